import VLMFoundation
import VLMTensor

#if canImport(Glibc)
  import Glibc
#endif

/// What a device can do, as a table for people and as JSON that can be compared with others'.
package struct DeviceReport: Sendable {
  /// A model, or why it was left out.
  package struct Case: Sendable {
    package let name: CaseName
    /// Of one run; empty where it was left out.
    package let seconds: Samples
    package let operations: Double
    package let bytes: Double
    /// Pictures or tokens of one run.
    package let items: Int
    package let skipped: String?

    init(name: CaseName, seconds: Samples, operations: Double, bytes: Double, items: Int) {
      self.name = name
      self.seconds = seconds
      self.operations = operations
      self.bytes = bytes
      self.items = items
      skipped = nil
    }

    init(name: CaseName, skipped: String) {
      self.name = name
      seconds = Samples()
      (operations, bytes, items) = (0, 0, 0)
      self.skipped = skipped
    }

    /// Pictures or tokens.
    var perSecond: Double { Double(items) / seconds.median }
  }

  /// How the rate of one product changes while it is repeated.
  package struct Heat: Sendable {
    package struct Sample: Sendable {
      /// Since the first run.
      package let seconds: Double
      /// Operations a second.
      package let rate: Double
      package let megahertz: Double?
      package let celsius: Double?
    }

    package let name: CaseName
    package let samples: [Sample]

    static let sampleCount = 45
    /// Samples of the beginning and of the end.
    private static let compared = 5

    /// Operations a second at the beginning and at the end.
    package var rates: (first: Double, last: Double) {
      (
        Samples(samples.prefix(Self.compared).map(\.rate)).median,
        Samples(samples.suffix(Self.compared).map(\.rate)).median
      )
    }

    /// The share of its rate that the device keeps.
    package var kept: Double { rates.last / rates.first }
  }

  package let kernels: KernelSet
  package let threads: Int
  /// Degrees before anything ran.
  package let celsius: Double?
  package let memory: Machine.Memory
  package let available: Int?
  package let peaks: [Benchmark.Peak]
  package let cases: [Case]
  /// Nil where it was not asked for.
  package let heat: Heat?
  /// That all of it took.
  package let seconds: Double

  // MARK: - Text

  package var lines: [String] {
    var lines = [
      "device: \(BenchReport.processor), \(counted(ThreadCount.available, "processor")), "
        + "Linux \(Self.system)",
      "memory: \(byteText(memory.byteCount))"
        + (memory.isControlGroups ? " by the limit of a control group" : "")
        + (available.map { ", \(byteText($0)) free" } ?? ""),
      "kernels: \(kernels.name) of \(KernelSet.all.map(\.name).joined(separator: ", ")); "
        + counted(threads, "thread"),
    ]
    lines += KernelChoice.ofThisMachine.decisions.map { "  \($0)" }
    lines.append("")
    lines += BenchReport.table(
      ["peak", "threads", "rate"],
      peaks.map { [$0.name, "\($0.threads)", Self.rate($0.rate, $0.bound)] })
    lines.append("")
    lines += BenchReport.table(
      ["model", "a second", "median ms", "spread", "share", "of"],
      cases.filter { $0.skipped == nil }.map { one in
        [
          "\(one.name.operation)/\(one.name.shape)", decimal(one.perSecond, 1) + Self.unit(one),
          BenchReport.milliseconds(one.seconds.median), BenchReport.percent(one.seconds.spread),
          share(one).map(BenchReport.percent) ?? "-", one.name.bound.name,
        ]
      })
    for one in cases {
      if let reason = one.skipped {
        lines.append("\(one.name.operation)/\(one.name.shape): left out: \(reason)")
      }
    }
    if let heat { lines += ["", text(heat)] }
    lines.append("all of it: \(decimal(seconds, 0)) s")
    return lines
  }

  private func text(_ heat: Heat) -> String {
    let (first, last) = heat.rates
    var text =
      "heat: \(decimal(heat.samples.last?.seconds ?? 0, 0)) s of \(heat.name.operation): "
      + "\(Self.rate(first, .int8)) at first, \(Self.rate(last, .int8)) at the end, "
      + BenchReport.percent(heat.kept)
    if let before = heat.samples.first?.megahertz, let after = heat.samples.last?.megahertz {
      text += "; \(decimal(before, 0)) and \(decimal(after, 0)) MHz"
    }
    if let before = celsius ?? heat.samples.first?.celsius, let after = heat.samples.last?.celsius {
      text += "; \(decimal(before, 0)) and \(decimal(after, 0)) °C"
    }
    return text
  }

  private static func unit(_ one: Case) -> String {
    if case .tower = one.name.work { return " pictures" }
    return " tokens"
  }

  private static func rate(_ value: Double, _ bound: Bound) -> String {
    decimal(value * 1e-9, 1) + (bound == .bandwidth ? " GB/s" : " GOP/s")
  }

  /// Of the peak of the kernels' instructions, or of reading memory.
  private func share(_ one: Case) -> Double? {
    let bound = one.name.bound
    let isa = kernels.table.pointee.isa.rawValue
    let peak = peaks.filter { $0.bound == bound && $0.threads == threads && $0.isa <= isa }
      .map(\.rate).max()
    let work = bound == .bandwidth ? one.bytes : one.operations
    return peak.map { work / one.seconds.median / $0 }
  }

  /// The release of the kernel.
  private static var system: String {
    let text = ControlGroup.content("/proc/sys/kernel/osrelease") ?? "unknown"
    return String(text.prefix { $0 != "\n" }).escapedForDisplay(limit: 80)
  }

  // MARK: - JSON

  /// `{"schema": 1, "kind": "device", "version", "device", "kernels", "peaks", "cases", "heat",
  /// "seconds"}`; docs/benchmarks.md lists the members.
  package var json: JSONValue {
    let choices = KernelChoice.ofThisMachine.decisions.map { JSONValue.string("\($0)") }
    return [
      "schema": 1, "kind": "device", "version": .string(productVersion),
      "device": [
        "processor": .string(BenchReport.processor), "processors": .int(ThreadCount.available),
        "system": .string("Linux " + Self.system), "memory_bytes": .int(memory.byteCount),
        "memory_is_limited": .bool(memory.isControlGroups),
        "memory_free_bytes": available.map { .int($0) } ?? .null,
        "celsius": Self.number(celsius),
      ],
      "kernels": [
        "used": .string(kernels.name), "all": .array(KernelSet.all.map { .string($0.name) }),
        "choices": .array(choices), "threads": .int(threads),
      ],
      "peaks": .array(peaks.map(BenchReport.object)), "cases": .array(cases.map(object)),
      "heat": heat.map(Self.object) ?? .null, "seconds": BenchReport.number(seconds),
    ]
  }

  private func object(_ one: Case) -> JSONValue {
    var object = JSONObject()
    object.set("name", .string("\(one.name)"))
    object.set("skipped", one.skipped.map { .string($0) } ?? .null)
    guard one.skipped == nil else { return .object(object) }
    object.set("items", .int(one.items))
    object.set("per_second", BenchReport.number(one.perSecond))
    object.set(
      "milliseconds",
      [
        "median": BenchReport.number(one.seconds.median * 1e3),
        "min": BenchReport.number(one.seconds.minimum * 1e3),
        "max": BenchReport.number(one.seconds.maximum * 1e3),
        "samples": .int(one.seconds.values.count),
      ])
    object.set("bound", .string(one.name.bound.name))
    object.set("share", Self.number(share(one)))
    return .object(object)
  }

  private static func object(_ heat: Heat) -> JSONValue {
    let samples = heat.samples.map { sample -> JSONValue in
      [
        "seconds": BenchReport.number(sample.seconds),
        "giga_per_second": BenchReport.number(sample.rate * 1e-9),
        "megahertz": number(sample.megahertz), "celsius": number(sample.celsius),
      ]
    }
    return [
      "name": .string("\(heat.name)"), "kept": BenchReport.number(heat.kept),
      "samples": .array(samples),
    ]
  }

  private static func number(_ value: Double?) -> JSONValue {
    value.map(BenchReport.number) ?? .null
  }
}
