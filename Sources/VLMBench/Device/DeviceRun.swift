import VLMFoundation
import VLMTensor

/// What a device can do, found out in a time that one is willing to wait.
package struct DeviceRun: Sendable {
  /// Seconds that the parts may take.
  package struct Durations: Sendable {
    /// Of the samples of a case.
    package var ofCase = 3.0
    /// Of one product repeated on all threads.
    package var ofHeat = 45.0
    /// Of all; cases that would take longer are left out.
    package var ofAll = 170.0

    package init() {}
  }

  package let kernels: KernelSet
  package let threads: Int
  package let cases: [CaseName]
  package let durations: Durations
  private let sensors: Sensors
  private let available: @Sendable () -> Int?

  /// - Parameters:
  ///   - cases: towers and language models, the quickest first.
  ///   - available: bytes of memory that are free.
  package init(
    kernels: KernelSet, threads: Int, cases: [CaseName], durations: Durations = Durations(),
    sensors: Sensors = Sensors(),
    available: @escaping @Sendable () -> Int? = { Machine.availableMemory }
  ) {
    self.kernels = kernels
    self.threads = threads
    self.cases = cases
    self.durations = durations
    self.sensors = sensors
    self.available = available
  }

  /// Small towers at 224 pixels, and a language model of 135 million parameters: a prompt, and the token
  /// behind it.
  package static func cases(isa: String, threads: Int) -> [CaseName] {
    var work = ["atto", "femto", "pico", "nano", "tiny"].map {
      CaseName.Work.tower(model: "convnext_" + $0, .q8, side: 224)
    }
    work.append(.tower(model: "convnext_tiny", .q4, side: 224))
    work.append(.language(model: "smollm2", .q4, rows: 1, positions: 512))
    work.append(.tower(model: "clip_vit_b_224", .q8, side: 224))
    work.append(.language(model: "smollm2", .q4, rows: 512, positions: 512))
    return work.map { CaseName($0, isa: isa, threads: threads) }
  }

  /// Bytes of memory that are left to everything else.
  private static let reserve = 64 << 20
  /// Samples of a case at most.
  private static let mostSamples = 50
  /// Rounds of the peaks.
  private static let peakRounds = 5
  /// The share of the peak that a case has at least, for a guess at its time.
  private static let leastShare = 0.1

  /// - Parameter progress: called with what comes next.
  package func run(progress: (String) -> Void = { _ in }) throws -> DeviceReport {
    let start = Clock.now
    let before = sensors.celsius
    progress("peaks")
    let pools = Set([1, threads]).sorted().map { WorkerPool(threadCount: $0) }
    var peaks: [Benchmark.Peak] = []
    var best = 0.0
    let bytes = min(MachinePeak.bufferBytes, (available() ?? .max) / 4) / (1 << 20) * (1 << 20)
    for pool in pools {
      let peak = MachinePeak(pool: pool, bufferBytes: max(1 << 20, bytes))
      for _ in 0..<Self.peakRounds { peak.measure() }
      for loop in peak.loops {
        peaks.append(
          Benchmark.Peak(
            name: loop.name, bound: loop.bound, threads: peak.threads, rate: loop.best,
            isa: loop.isa))
      }
      best = peak.reachable(.int8, by: kernels) ?? 1e9
    }

    let towers = try Towers()
    defer { towers.removeFiles() }
    var results: [DeviceReport.Case] = []
    for name in cases {
      progress("\(name)")
      let left = durations.ofAll - durations.ofHeat - (Clock.now - start)
      results.append(measure(name, towers, pools, peak: best, left: left))
    }
    progress("heat")
    let heat = try durations.ofHeat > 0 ? heat(pools) : nil
    return DeviceReport(
      kernels: kernels, threads: threads, celsius: before, memory: Machine.memory,
      available: available(), peaks: peaks, cases: results, heat: heat,
      seconds: Clock.now - start)
  }

  // MARK: - Cases

  private func measure(
    _ name: CaseName, _ towers: Towers, _ pools: [WorkerPool], peak: Double, left: Double
  ) -> DeviceReport.Case {
    do {
      let bytes = try RandomModel.weightBytes(of: name.work)
      // Its file may lie in memory, too.
      let needed = 2 * bytes + Self.reserve
      if let available = available(), needed > available {
        return .init(
          name: name,
          skipped: "needs \(byteText(needed)) of memory, found \(byteText(available))")
      }
      let prepared = try Benchmark.prepare(
        name, Dictionary(uniqueKeysWithValues: pools.map { ($0.threadCount, $0) }), towers)
      let guess = prepared.operations / (peak * Self.leastShare)
      guard 2 * guess <= left else {
        return .init(name: name, skipped: "might take longer than the time that is left")
      }
      // The first run touches memory, and counts where there is no time for another.
      var samples = Samples([try Clock.seconds(prepared.run)])
      let end = Clock.now + min(durations.ofCase, max(0, left))
      while samples.values.count < Self.mostSamples, Clock.now < end {
        samples.add(try Clock.seconds(prepared.run))
      }
      if samples.values.count > 1 { samples = Samples(Array(samples.values.dropFirst())) }
      return .init(
        name: name, seconds: samples, operations: prepared.operations, bytes: prepared.bytes,
        items: name.work.items)
    } catch {
      return .init(name: name, skipped: (error as? any ReportableError)?.description ?? "\(error)")
    }
  }

  // MARK: - Heat

  /// One product again and again on all threads.
  private func heat(_ pools: [WorkerPool]) throws -> DeviceReport.Heat {
    let work = CaseName.Work.product(.q8, rows: 384, inputs: 768, outputs: 3072)
    let name = CaseName(work, isa: kernels.name, threads: threads)
    let pool = pools.last ?? WorkerPool(threadCount: threads)
    let prepared = try KernelCases(kernels: kernels, pool: pool).prepare(name)
    let interval = durations.ofHeat / Double(DeviceReport.Heat.sampleCount)
    var samples: [DeviceReport.Heat.Sample] = []
    let start = Clock.now
    for index in 1...DeviceReport.Heat.sampleCount {
      let end = start + Double(index) * interval
      let begin = Clock.now
      var runs = 0
      repeat {
        try prepared.run()
        runs += 1
      } while Clock.now < end
      let seconds = Clock.now - begin
      samples.append(
        DeviceReport.Heat.Sample(
          seconds: Clock.now - start, rate: Double(runs) * prepared.operations / seconds,
          megahertz: sensors.megahertz, celsius: sensors.celsius))
    }
    return DeviceReport.Heat(name: name, samples: samples)
  }
}

extension CaseName.Work {
  /// Pictures or tokens of one run.
  fileprivate var items: Int {
    switch self {
    case .language(_, _, let rows, _): rows
    case .answers(_, _, let count, _): count
    default: 1
    }
  }
}
