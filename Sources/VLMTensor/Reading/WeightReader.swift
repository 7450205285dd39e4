import Synchronization
import VLMFoundation

/// Keeps a part of a model's weights in memory: a thread reads what is used next and lets go of what is
/// used latest, as a `ReadingOrder` says.
///
/// The weights stay mapped, so that a product is right even where the thread is behind: then it waits for
/// the pages itself. Several callers may use one model; where they are at different layers, each waits
/// for its own.
package final class WeightReader: @unchecked Sendable {
  /// Tensors that are used together, such as those of a layer.
  package struct Part: Sendable, Equatable {
    package let name: String
    /// Bytes of the file, ascending.
    package let ranges: [Range<Int>]

    package init(name: String, ranges: [Range<Int>]) {
      self.name = name
      self.ranges = ranges
    }

    package var byteCount: Int { ranges.reduce(0) { $0 + $1.count } }
  }

  private let state: State
  private let thread: WorkThread?
  /// The part that was used last, for callers that use it again: most do.
  private let current = Atomic<Int>(-1)

  /// - Parameters:
  ///   - parts: at least one, in the order in which they are probably used.
  ///   - limit: bytes that they may have in memory now; asked every few parts.
  package init(file: MappedFile, parts: [Part], limit: @escaping @Sendable () -> Int) {
    precondition(!parts.isEmpty, "something to read")
    let state = State(file: file, parts: parts, limit: limit)
    self.state = state
    // Without a thread whoever computes reads the pages, as without a reader.
    thread = WorkThread { state.run() }
  }

  deinit {
    guard let thread else { return }
    state.stop()
    thread.join()
  }

  /// Bytes of all parts.
  package var byteCount: Int { state.parts.reduce(0) { $0 + $1.byteCount } }

  /// Bytes that were read so far, those of a part that is being read included.
  package var bytesRead: Int { state.monitor.withLock { state.bytesRead } }

  /// Bytes that are held in memory or being read.
  package var bytesHeld: Int { state.monitor.withLock { state.order.heldBytes } }

  /// Says that a part is used now, and waits until it is in memory. Any thread may call.
  package func use(_ part: Int) {
    if current.load(ordering: .acquiring) == part || thread == nil { return }
    state.use(part)
    current.store(part, ordering: .releasing)
  }
}

/// A tensor's part of a model whose weights are read as they are used.
package final class WeightPlace: Sendable {
  private let reader: WeightReader
  private let part: Int

  package init(_ reader: WeightReader, part: Int) {
    self.reader = reader
    self.part = part
  }

  /// Waits until the tensor is in memory.
  func reach() { reader.use(part) }
}

/// What the reader shares with its thread, which does not keep the reader alive.
private final class State: @unchecked Sendable {
  let parts: [WeightReader.Part]
  private let file: MappedFile
  private let limit: @Sendable () -> Int
  /// Whether the disk is to be asked for what comes next.
  private let asksAhead: Bool
  let monitor = Monitor()

  // All guarded by it.
  var order: ReadingOrder
  var bytesRead = 0
  private var isInMemory: [Bool]
  private var toRead: [Int] = []
  private var toDrop: [Int] = []
  private var beingRead: Int?
  private var uses = 0
  private var isStopping = false

  /// Bytes that are waited for at a time, and that a disk is asked for ahead of that.
  private static let piece = 4 << 20
  private static let requested = 32 << 20
  /// What a system that reads so far ahead does by itself, in larger pages than we can ask for: a
  /// fifth of the work.
  private static let ownReadAhead = 1 << 20
  /// Bytes of parts that are read before they are used.
  private static let ahead = 64 << 20
  /// Uses of parts after which the limit is asked for again.
  private static let usesOfLimit = 16

  init(file: MappedFile, parts: [WeightReader.Part], limit: @escaping @Sendable () -> Int) {
    self.file = file
    self.parts = parts
    self.limit = limit
    asksAhead = file.readAheadByteCount() < Self.ownReadAhead
    let bytes = limit()
    order = ReadingOrder(
      byteCounts: parts.map(\.byteCount), limit: bytes, ahead: min(Self.ahead, bytes / 4))
    isInMemory = parts.map { _ in false }
  }

  func stop() {
    monitor.withLock {
      isStopping = true
      monitor.wakeAll()
    }
  }

  func use(_ part: Int) {
    monitor.withLock {
      if order.current != part {
        uses += 1
        if uses % Self.usesOfLimit == 0 { order.limit = limit() }
        follow(order.use(part))
        monitor.wakeAll()
      }
      // Another caller may have had it let go in the meantime: then its pages are read as they are used.
      while !isInMemory[part], order.holds(part), !isStopping { monitor.wait() }
    }
  }

  private func follow(_ step: ReadingOrder.Step) {
    for part in step.letGo where isInMemory[part] {
      isInMemory[part] = false
      toDrop.append(part)
    }
    // What was let go and is wanted again before it was dropped is there.
    toDrop.removeAll { part in
      if order.holds(part) { isInMemory[part] = true }
      return order.holds(part)
    }
    let earlier = toRead.filter { order.holds($0) && !step.wanted.contains($0) }
    toRead = step.wanted.filter { !isInMemory[$0] && $0 != beingRead } + earlier
  }

  // MARK: - The thread

  func run() {
    while let (dropped, next) = nextWork() {
      for part in dropped {
        for range in parts[part].ranges { file.discard(range) }
      }
      if let next {
        read(parts[next], before: monitor.withLock { toRead.first }.map { parts[$0] })
        finish(next)
      }
    }
  }

  /// What to drop and to read, once there is something; nil at the end.
  private func nextWork() -> (dropped: [Int], next: Int?)? {
    monitor.withLock {
      while toDrop.isEmpty, toRead.isEmpty, !isStopping { monitor.wait() }
      if isStopping { return nil }
      let dropped = toDrop
      toDrop = []
      beingRead = toRead.isEmpty ? nil : toRead.removeFirst()
      return (dropped, beingRead)
    }
  }

  private func finish(_ part: Int) {
    monitor.withLock {
      beingRead = nil
      if order.holds(part) { isInMemory[part] = true } else { toDrop.append(part) }
      monitor.wakeAll()
    }
  }

  /// Reads a part, and has the disk begin with the one behind it, so that it never waits for us.
  private func read(_ part: WeightReader.Part, before next: WeightReader.Part?) {
    let own = Self.pieces(part.ranges)
    let all = own + Self.pieces(next?.ranges ?? [])
    let depth = asksAhead ? Self.requested / Self.piece : 0
    for piece in all.prefix(depth) { file.beginLoad(piece) }
    for (index, piece) in own.enumerated() {
      if asksAhead, index + depth < all.count { file.beginLoad(all[index + depth]) }
      file.finishLoad(piece)
      let isOver = monitor.withLock {
        bytesRead += piece.count
        return isStopping
      }
      if isOver { return }
    }
  }

  private static func pieces(_ ranges: [Range<Int>]) -> [Range<Int>] {
    ranges.flatMap { range in
      stride(from: range.lowerBound, to: range.upperBound, by: piece).map {
        $0..<min(range.upperBound, $0 + piece)
      }
    }
  }
}
