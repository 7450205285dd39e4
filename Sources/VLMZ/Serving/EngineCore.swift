import VLMFoundation
import VLMModels
import VLMText

/// The part of an engine that any thread may call: who waits, whether it runs on, and what it counts.
///
/// The scheduler belongs to whoever calls `turn`: the engine's thread.
final class EngineCore: @unchecked Sendable {
  private let options: BatchEngineOptions
  private let monitor = Monitor()
  private let scheduler: AnswerScheduler
  private let clock = ContinuousClock()

  private enum Phase { case running, draining, stopped }

  // Guarded by `monitor`.
  private var phase = Phase.running
  private var queue = FairQueue<EngineTicket>()
  private var counts = EngineStatistics()
  private var isComputing = false
  private var drained: [CheckedContinuation<Void, Never>] = []
  /// Seconds that an answer takes from its beginning, an average in which the last ones weigh most.
  private var secondsPerAnswer = 0.0

  init(_ scheduler: AnswerScheduler, _ options: BatchEngineOptions) {
    self.scheduler = scheduler
    self.options = options
  }

  /// - Throws: `.noMemory` when no thread can be had.
  func start() throws(VLMZError) {
    var isStarted = true
    Background.start { [self] in
      while awaitWork() { turn() }
    } failed: {
      isStarted = false
    }
    guard isStarted else { throw Background.noThread }
  }

  // MARK: - For callers

  /// - Throws: what `submit` throws whatever the request is.
  func requireRoom() throws(EngineError) {
    if let error = monitor.withLock({ refusal() }) { throw error }
  }

  /// Why no request is taken now; the caller holds the lock.
  private func refusal() -> EngineError? {
    guard phase == .running else { return .stopped }
    guard queue.count >= max(1, options.maximumWaiting) else { return nil }
    counts.refused += 1
    let seconds = secondsPerAnswer * Double(queue.count) / Double(options.maximumActive)
    return .busy(retryAfter: .seconds(min(60, max(1, seconds.rounded(.up)))))
  }

  func submit(_ content: EngineTicket.Content) throws(EngineError) -> GenerationStream {
    let flag = CancellationFlag()
    let (events, continuation) = AsyncThrowingStream.makeStream(
      of: GenerationEvent.self, throwing: (any Error).self)
    let ticket = EngineTicket(content, flag: flag, now: clock.now, continuation)
    let error = monitor.withLock {
      if let error = refusal() { return error as EngineError? }
      queue.append(ticket, client: ticket.client)
      counts.accepted += 1
      monitor.signal()
      return nil
    }
    if let error { throw error }
    continuation.onTermination = { _ in flag.cancel() }
    return GenerationStream(events, flag)
  }

  var statistics: EngineStatistics {
    monitor.withLock {
      var counts = counts
      counts.waiting = queue.count
      return counts
    }
  }

  func drain() async {
    await withCheckedContinuation { continuation in
      let isOver = monitor.withLock {
        if phase == .running { phase = .draining }
        if phase == .stopped || isIdle { return true }
        drained.append(continuation)
        monitor.signal()
        return false
      }
      if isOver { continuation.resume() }
    }
  }

  func stop() {
    monitor.withLock {
      phase = .stopped
      monitor.signal()
    }
  }

  private var isIdle: Bool { queue.isEmpty && !isComputing }

  // MARK: - For the engine's thread

  /// Waits until there is something to do; false when there never will be.
  private func awaitWork() -> Bool {
    monitor.withLock {
      while isIdle, phase != .stopped { monitor.wait() }
      return !(isIdle && phase == .stopped)
    }
  }

  /// One round: those that are over leave, those that fit come in, and one pass over the weights.
  func turn() {
    let now = clock.now
    let (isStopped, over) = monitor.withLock {
      let isStopped = phase == .stopped
      return (isStopped, queue.removeAll { isStopped || $0.interruption(at: now) != nil })
    }
    for ticket in over {
      let reason = ticket.interruption(at: now) ?? .cancelled
      ticket.finish(reason)
      monitor.withLock { counts.ended[reason, default: 0] += 1 }
    }
    if isStopped { scheduler.stop(at: now) }
    while let ticket = monitor.withLock({ queue.first }), scheduler.admit(ticket, at: now) {
      monitor.withLock { _ = queue.popFirst() }
    }
    scheduler.turn { self.clock.now }
    let waiting = monitor.withLock { () -> [CheckedContinuation<Void, Never>] in
      scheduler.count(into: &counts)
      isComputing = scheduler.isBusy
      guard isIdle else { return [] }
      defer { drained = [] }
      return drained
    }
    for continuation in waiting { continuation.resume() }
  }
}
