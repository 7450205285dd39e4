import VLMFoundation
import VLMTensor

/// Runs cases interleaved - every case once a round, and the peaks between them - so that a slow
/// moment of the machine falls on all of them alike.
package struct Benchmark {
  private let names: [CaseName]
  private let runs: Int

  /// What a case took.
  package struct Result: Sendable {
    package let name: CaseName
    /// Seconds per run of the case.
    package let seconds: Samples
    /// Products and additions of one run, each counted, and bytes that it must read or write.
    package let operations: Double
    package let bytes: Double
    package let operationsPerSecond: Double
    package let bytesPerSecond: Double
    package let bound: Bound
    /// Of what the instructions of these kernels can do; nil for a set without a peak loop.
    package let share: Double?
    /// Of what the machine can do by its best instructions.
    package let machineShare: Double?
  }

  package struct Peak: Sendable {
    package let name: String
    package let bound: Bound
    package let threads: Int
    /// Operations or bytes per second.
    package let rate: Double
    /// The lowest set of kernels that has the instructions; 0 for memory.
    let isa: UInt32
  }

  package struct Outcome: Sendable {
    package let peaks: [Peak]
    package let results: [Result]
  }

  /// A run of a case is repeated until it takes this long; the time is divided.
  private static let shortestSample = 0.005

  /// - Parameter runs: samples of each case.
  package init(names: [CaseName], runs: Int) {
    precondition(runs >= 1, "at least one run")
    self.names = names
    self.runs = runs
  }

  /// The kernels called `name`.
  package static func kernels(named name: String) throws(BenchError) -> KernelSet {
    guard let kernels = KernelSet(named: name) else {
      throw BenchError(.unavailableKernels(name, available: KernelSet.all.map(\.name)))
    }
    return kernels
  }

  /// - Parameter progress: called with samples taken, of all, and what comes next.
  package func run(progress: (Int, Int, String) -> Void) throws -> Outcome {
    try OpenBLAS.load()
    var pools: [Int: WorkerPool] = [:]
    for name in names where pools[name.threads] == nil {
      pools[name.threads] = WorkerPool(threadCount: name.threads)
    }
    let total = names.count * (runs + 1)
    var done = 0
    func step(_ name: CaseName) {
      progress(done, total, "\(name)")
      done += 1
    }

    // Warm-up: memory is touched, caches and clocks are where they will be.
    let towers = try Towers()
    var cases: [(prepared: PreparedCase, repeats: Int, samples: Samples)] = []
    for name in names {
      step(name)
      let prepared = try Self.prepare(name, pools, towers)
      try prepared.run()
      let once = try Clock.seconds(prepared.run)
      let repeats = max(1, min(10_000, Int((Self.shortestSample / max(once, 1e-7)).rounded(.up))))
      cases.append((prepared, repeats, Samples()))
    }
    towers.removeFiles()
    let peaks = pools.mapValues { MachinePeak(pool: $0) }

    for _ in 0..<runs {
      for peak in peaks.values { peak.measure() }
      for index in cases.indices {
        let (prepared, repeats, _) = cases[index]
        step(prepared.name)
        let seconds = try Clock.seconds { for _ in 0..<repeats { try prepared.run() } }
        cases[index].samples.add(seconds / Double(repeats))
      }
    }
    return Outcome(
      peaks: peaks.values.sorted { $0.threads < $1.threads }.flatMap { peak in
        peak.loops.map {
          Peak(
            name: $0.name, bound: $0.bound, threads: peak.threads, rate: $0.best, isa: $0.isa)
        }
      },
      results: try cases.map {
        try result($0.prepared, $0.samples, peaks[$0.prepared.name.threads])
      }
    )
  }

  /// A case with its memory; its pool is made where `pools` has none of so many threads.
  static func prepare(
    _ name: CaseName, _ pools: [Int: WorkerPool], _ towers: Towers
  ) throws -> PreparedCase {
    let kernels = try kernels(named: name.isa)
    if case .tower(let model, let scheme, let side) = name.work {
      return try towers.prepare(name, model, scheme, side, kernels: kernels)
    }
    if case .language(let model, let scheme, let rows, let positions) = name.work {
      return try towers.prepareLanguage(
        name, model, scheme, rows: rows, positions: positions, kernels: kernels)
    }
    if case .speculation(let model, let scheme, let rows, let positions) = name.work {
      return try towers.prepareLanguage(
        name, model, scheme, rows: rows, positions: positions, kernels: kernels)
    }
    if case .answers(let model, let scheme, let count, let positions) = name.work {
      return try towers.prepareAnswers(
        name, model, scheme, count: count, positions: positions, kernels: kernels)
    }
    let pool = pools[name.threads] ?? WorkerPool(threadCount: name.threads)
    return try KernelCases(kernels: kernels, pool: pool).prepare(name)
  }

  private func result(
    _ prepared: PreparedCase, _ samples: Samples, _ peak: MachinePeak?
  ) throws -> Result {
    let median = samples.median
    let rate = (prepared.bound == .bandwidth ? prepared.bytes : prepared.operations) / median
    let kernels = try Self.kernels(named: prepared.name.isa)
    return Result(
      name: prepared.name, seconds: samples, operations: prepared.operations,
      bytes: prepared.bytes, operationsPerSecond: prepared.operations / median,
      bytesPerSecond: prepared.bytes / median, bound: prepared.bound,
      share: peak?.reachable(prepared.bound, by: kernels).map { rate / $0 },
      machineShare: peak?.machine(prepared.bound).map { rate / $0 })
  }
}
