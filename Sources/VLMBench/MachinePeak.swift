import CVLMKernels
import CVLMPeak
import VLMTensor

/// What the machine can do at most on a number of threads, measured between the cases.
final class MachinePeak {
  /// A measured limit: operations or bytes per second.
  struct Loop {
    let name: String
    let bound: Bound
    /// The lowest set of kernels that has the instructions; 0 for memory.
    let isa: UInt32
    let work: Double
    let run: (_ rounds: Int) -> Void
    var rounds: Int
    var best = 0.0
  }

  let threads: Int
  private(set) var loops: [Loop] = []

  /// Larger than any cache.
  static let bufferBytes = 512 << 20
  private static let targetSeconds = 0.01

  /// - Parameter bufferBytes: that are read as memory; a multiple of 4096 for each thread.
  init(pool: WorkerPool, bufferBytes: Int = MachinePeak.bufferBytes) {
    threads = pool.threadCount
    let threads = pool.threadCount
    var count = 0
    let found = vlm_peak_loops(&count)
    for index in 0..<count {
      guard let loop = found?[index], let run = loop.run else { continue }
      let bound: Bound =
        switch loop.kind {
        case VLM_PEAK_INT8: .int8
        case VLM_PEAK_BF16: .bf16
        default: .f32
        }
      loops.append(
        Loop(
          name: String(cString: loop.name), bound: bound, isa: loop.isa.rawValue,
          work: loop.operations_per_round * Double(threads),
          run: { rounds in pool.forEach(count: threads) { _, _ in run(rounds) } }, rounds: 1000))
    }
    let buffer = Bytes(count: bufferBytes)
    // More pieces than threads: one that started late does not hold up the others.
    let pieces = 8 * threads
    let pieceBytes = bufferBytes / pieces / 256 * 256
    let sink = Bytes(count: pieces * 8)
    loops.append(
      Loop(
        name: "memory read", bound: .bandwidth, isa: 0, work: Double(pieces * pieceBytes),
        run: { rounds in
          for _ in 0..<rounds {
            pool.forEach(count: pieces) { piece, _ in
              let sum = vlm_peak_read(buffer.base + piece * pieceBytes, pieceBytes)
              sink.base.storeBytes(of: sum, toByteOffset: piece * 8, as: UInt64.self)
            }
          }
        }, rounds: 1))
    for index in loops.indices {
      let loop = loops[index]
      // The first run starts threads.
      loop.run(1)
      let once = Clock.seconds { loop.run(loop.rounds) }
      if loop.bound != .bandwidth {
        loops[index].rounds = max(1, Int(Double(loop.rounds) * Self.targetSeconds / once))
      }
    }
  }

  /// Runs each loop once more. The best time counts: a peak is what was possible at some moment.
  func measure() {
    for index in loops.indices {
      let loop = loops[index]
      let seconds = Clock.seconds { loop.run(loop.rounds) }
      loops[index].best = max(loop.best, loop.work * Double(loop.rounds) / seconds)
    }
  }

  /// The most that the machine did, by whatever instructions; nil when nothing was measured.
  func machine(_ bound: Bound) -> Double? {
    loops.filter { $0.bound == bound && $0.best > 0 }.map(\.best).max()
  }

  /// The most that the instructions of `kernels` and of the sets below it did.
  func reachable(_ bound: Bound, by kernels: KernelSet) -> Double? {
    let isa = kernels.table.pointee.isa.rawValue
    return loops.filter { $0.bound == bound && $0.isa <= isa && $0.best > 0 }.map(\.best).max()
  }
}
