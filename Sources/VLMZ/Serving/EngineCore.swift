import VLMFoundation
import VLMModels
import VLMText

/// The part of an engine that any thread may call: who waits, whether it runs on, and what it counts.
///
/// Requests with pictures pass through `encoding` first, on a thread of their own, so that no answer waits
/// for a tower. The scheduler belongs to the thread that calls `turn`, the preparer to the one that calls
/// `prepareNext`.
final class EngineCore: @unchecked Sendable {
  private let options: BatchEngineOptions
  private let monitor = Monitor()
  private let scheduler: AnswerScheduler
  private let preparer: PromptPreparer
  private let now: @Sendable () -> ContinuousClock.Instant
  private let betweenLayers: @Sendable () -> Void

  private enum Phase { case running, draining, stopped }
  private typealias Ready = (ticket: EngineTicket, prompt: PreparedPrompt)

  // Guarded by `monitor`.
  private var phase = Phase.running
  /// Requests whose pictures are to be encoded.
  private var encoding = FairQueue<PromptPreparation>()
  private var queue = FairQueue<Ready>()
  private var isEncoding = false
  /// Whether one that was in `queue` is being looked at, to begin or to be put back.
  private var isAdmitting = false
  private var isComputing = false
  private var drained: [CheckedContinuation<Void, Never>] = []
  /// What is counted here, and what the scheduler counted last.
  private var own = EngineStatistics()
  private var computed: EngineStatistics

  /// - Parameters:
  ///   - now: what deadlines and latencies go by.
  ///   - betweenLayers: called on the engine's thread between two layers of a pass that others may join.
  init(
    _ scheduler: AnswerScheduler, _ preparer: PromptPreparer, _ options: BatchEngineOptions,
    now: @escaping @Sendable () -> ContinuousClock.Instant,
    betweenLayers: @escaping @Sendable () -> Void
  ) {
    self.scheduler = scheduler
    self.preparer = preparer
    self.options = options
    self.now = now
    self.betweenLayers = betweenLayers
    computed = scheduler.statistics
  }

  /// - Throws: `.noMemory` when no thread can be had.
  func start(seesPictures: Bool) throws(VLMZError) {
    var isStarted = true
    Background.start { [self] in
      while awaitWork() { turn() }
    } failed: {
      isStarted = false
    }
    if isStarted, seesPictures {
      Background.start { [self] in
        while awaitPictures() { prepareNext() }
      } failed: {
        isStarted = false
        stop()
      }
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
    // Those that wait for the next pass to begin take a place among the answers, not one of the queue.
    guard computed.active + waitingCount >= options.capacity else { return nil }
    own.refused += 1
    let seconds =
      computed.secondsPerAnswer * Double(waitingCount + 1) / Double(options.maximumActive)
    return .busy(retryAfter: .seconds(min(60, max(1, seconds.rounded(.up)))))
  }

  private var waitingCount: Int {
    queue.count + encoding.count + (isEncoding ? 1 : 0) + (isAdmitting ? 1 : 0)
  }

  /// - Parameter prompt: nil for one whose pictures are to be encoded.
  func submit(
    _ content: EngineTicket.Content, _ prompt: PreparedPrompt?
  ) throws(EngineError) -> GenerationStream {
    let flag = CancellationFlag()
    let (events, continuation) = AsyncThrowingStream.makeStream(
      of: GenerationEvent.self, throwing: (any Error).self)
    continuation.onTermination = { _ in flag.cancel() }
    let ticket = EngineTicket(content, flag: flag, now: now(), continuation)
    let error = monitor.withLock { () -> EngineError? in
      if let error = refusal() { return error }
      if let prompt {
        queue.append((ticket, prompt), client: ticket.client)
      } else {
        encoding.append(PromptPreparation(ticket), client: ticket.client)
      }
      own.accepted += 1
      monitor.wakeAll()
      return nil
    }
    if let error { throw error }
    return GenerationStream(events, flag)
  }

  var statistics: EngineStatistics {
    monitor.withLock {
      var counts = computed
      counts.waiting = waitingCount
      counts.accepted = own.accepted
      counts.refused = own.refused
      counts.failed += own.failed
      counts.picturesEncoded = own.picturesEncoded
      counts.pictureHits = own.pictureHits
      counts.ended.merge(own.ended) { $0 + $1 }
      return counts
    }
  }

  func drain() async {
    await withCheckedContinuation { continuation in
      let isOver = monitor.withLock {
        if phase == .running { phase = .draining }
        if isIdle { return true }
        drained.append(continuation)
        return false
      }
      if isOver { continuation.resume() }
    }
  }

  func stop() {
    monitor.withLock {
      phase = .stopped
      monitor.wakeAll()
    }
  }

  private var isIdle: Bool { waitingCount == 0 && !isComputing }

  /// Whether there is anything to compute, to encode or to end.
  var hasWork: Bool { monitor.withLock { !isIdle } }

  // MARK: - For the engine's threads

  /// Waits until there is something to compute; false when there never will be.
  private func awaitWork() -> Bool {
    monitor.withLock {
      while !isComputing, queue.isEmpty, !(phase == .stopped && !isEncoding && encoding.isEmpty) {
        monitor.wait()
      }
      return isComputing || !queue.isEmpty
    }
  }

  private func awaitPictures() -> Bool {
    monitor.withLock {
      while encoding.isEmpty, phase != .stopped { monitor.wait() }
      return !encoding.isEmpty
    }
  }

  /// Ends those that wait in vain.
  private func dismiss() {
    let time = now()
    let over = monitor.withLock { () -> [(EngineTicket, GenerationEnd.Reason)] in
      let isStopped = phase == .stopped
      func reason(_ ticket: EngineTicket) -> GenerationEnd.Reason? {
        ticket.interruption(at: time) ?? (isStopped ? .cancelled : nil)
      }
      let over =
        queue.removeAll { reason($0.ticket) }.map { ($0.element.ticket, $0.reason) }
        + encoding.removeAll { reason($0.ticket) }.map { ($0.element.ticket, $0.reason) }
      for (_, reason) in over { own.ended[reason, default: 0] += 1 }
      return over
    }
    for (ticket, reason) in over { ticket.finish(reason) }
  }

  /// One round: those that are over leave, those that fit come in, and one pass over the weights.
  func turn() {
    dismiss()
    monitor.withLock { isComputing = true }
    if monitor.withLock({ phase == .stopped }) { scheduler.stop() }
    admitThoseThatFit()
    scheduler.turn(now, arrivals: arrivals)
    let waiting = monitor.withLock { () -> [CheckedContinuation<Void, Never>] in
      computed = scheduler.statistics
      isComputing = scheduler.isBusy
      if phase == .stopped { monitor.wakeAll() }
      return idleWaiters()
    }
    scheduler.sayFarewell()
    for continuation in waiting { continuation.resume() }
  }

  /// Those who come while a pass is under way.
  private var arrivals: AnswerScheduler.Arrivals {
    AnswerScheduler.Arrivals { [self] in
      betweenLayers()
      return monitor.withLock { phase != .stopped && !queue.isEmpty }
    } letIn: { [self] in
      dismiss()
      admitThoseThatFit()
    }
  }

  /// Whoever is looked at is taken out of the queue first: meanwhile the other thread may take out those
  /// that are over, and what is first then need not be what was.
  private func admitThoseThatFit() {
    func next() -> Ready? {
      monitor.withLock {
        let next = queue.popFirst()
        isAdmitting = next != nil
        return next
      }
    }
    while let (ticket, prompt) = next() {
      let fits = scheduler.admit(ticket, prompt, at: now())
      monitor.withLock {
        isAdmitting = false
        if fits { computed.active += 1 }
        if !fits { queue.putBack((ticket, prompt), client: ticket.client) }
      }
      guard fits else { return }
    }
  }

  /// Those who wait for the engine to be idle, if it is; the caller holds the lock.
  private func idleWaiters() -> [CheckedContinuation<Void, Never>] {
    guard isIdle else { return [] }
    defer { drained = [] }
    return drained
  }

  /// Encodes one picture: the next one of the request whose turn it is. The request's others wait for the
  /// pictures of other clients.
  func prepareNext() {
    dismiss()
    let next = monitor.withLock { () -> PromptPreparation? in
      let next = encoding.popFirst()
      isEncoding = next != nil
      return next
    }
    var failure: (any Error)?
    var prompt: PreparedPrompt?
    if let next {
      do { prompt = try preparer.step(next) } catch { failure = error }
    }
    let interruption = next?.ticket.interruption(at: now())
    let waiting = monitor.withLock { () -> [CheckedContinuation<Void, Never>] in
      isEncoding = false
      own.picturesEncoded = preparer.encodedCount
      own.pictureHits = preparer.hitCount
      if let next, let prompt {
        queue.append((next.ticket, prompt), client: next.ticket.client)
      } else if failure != nil {
        if let interruption { own.ended[interruption, default: 0] += 1 } else { own.failed += 1 }
      } else if let next {
        encoding.giveWay(next, client: next.ticket.client)
      }
      monitor.wakeAll()
      return idleWaiters()
    }
    if let failure, let next {
      if let interruption {
        next.ticket.finish(interruption)
      } else {
        next.ticket.fail(EngineError(failure))
      }
    }
    for continuation in waiting { continuation.resume() }
  }
}
