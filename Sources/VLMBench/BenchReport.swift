import VLMFoundation
import VLMTensor

#if canImport(Glibc)
  import Glibc
#endif

/// The results as text for people and as JSON for programs.
package struct BenchReport {
  private let outcome: Benchmark.Outcome
  private let profiles: [TowerProfile]
  private let runs: Int

  package init(_ outcome: Benchmark.Outcome, profiles: [TowerProfile], runs: Int) {
    self.outcome = outcome
    self.profiles = profiles
    self.runs = runs
  }

  // MARK: - Text

  package var lines: [String] {
    var lines = ["machine: \(Self.processor), \(counted(ThreadCount.available, "processor"))"]
    for peak in outcome.peaks {
      lines.append("peak t\(peak.threads): \(peak.name): \(Self.rate(peak.rate, peak.bound))")
    }
    if !outcome.results.isEmpty {
      lines.append("")
      lines += Self.table(
        ["case", "median ms", "min", "max", "spread", "rate", "share", "of"],
        outcome.results.map { result in
          let rate =
            result.bound == .bandwidth ? result.bytesPerSecond : result.operationsPerSecond
          return [
            "\(result.name)", Self.milliseconds(result.seconds.median),
            Self.milliseconds(result.seconds.minimum), Self.milliseconds(result.seconds.maximum),
            Self.percent(result.seconds.spread), Self.rate(rate, result.bound),
            result.share.map(Self.percent) ?? "-", result.bound.name,
          ]
        })
    }
    for profile in profiles {
      let total = profile.parts.reduce(0) { $0 + $1.seconds }
      lines += ["", "\(profile.name): \(Self.milliseconds(profile.wallSeconds)) ms an image"]
      lines += Self.table(
        ["part", "ms over all threads", "share"],
        profile.parts.map {
          [$0.name, Self.milliseconds($0.seconds), Self.percent($0.seconds / total)]
        })
    }
    return lines
  }

  /// The first column to the left, all others to the right.
  static func table(_ header: [String], _ rows: [[String]]) -> [String] {
    let all = [header] + rows
    let widths = header.indices.map { column in all.map { $0[column].count }.max() ?? 0 }
    return all.map { row in
      row.indices.map { column in
        let padding = String(repeating: " ", count: widths[column] - row[column].count)
        return column == 0 ? row[column] + padding : padding + row[column]
      }
      .joined(separator: "  ")
    }
  }

  static func milliseconds(_ seconds: Double) -> String { decimal(seconds * 1e3, 3) }
  static func percent(_ share: Double) -> String { decimal(share * 100, 0) + " %" }

  static func rate(_ value: Double, _ bound: Bound) -> String {
    decimal(value * 1e-9, 1) + (bound == .bandwidth ? " GB/s" : " GOP/s")
  }

  // MARK: - JSON

  /// `{"schema": 1, "machine", "runs", "peaks": [...], "cases": [...], "profiles": [...]}`;
  /// `docs/benchmarks.md` lists the fields.
  package var json: JSONValue {
    [
      "schema": 1,
      "machine": [
        "processor": .string(Self.processor), "processors": .int(ThreadCount.available),
        "kernels": .array(KernelSet.all.map { .string($0.name) }),
      ],
      "runs": .int(runs),
      "peaks": .array(outcome.peaks.map(Self.object)),
      "cases": .array(outcome.results.map(Self.object)),
      "profiles": .array(
        profiles.map { profile in
          [
            "name": .string("\(profile.name)"),
            "milliseconds": Self.number(profile.wallSeconds * 1e3),
            "thread_milliseconds": .object(
              profile.parts.reduce(into: JSONObject()) {
                $0.set($1.name, Self.number($1.seconds * 1e3))
              }),
          ]
        }),
    ]
  }

  static func object(_ peak: Benchmark.Peak) -> JSONValue {
    [
      "name": .string(peak.name), "bound": .string(peak.bound.name),
      "threads": .int(peak.threads), "giga_per_second": number(peak.rate * 1e-9),
    ]
  }

  private static func object(_ result: Benchmark.Result) -> JSONValue {
    [
      "name": .string("\(result.name)"), "operation": .string(result.name.operation),
      "shape": .string(result.name.shape), "isa": .string(result.name.isa),
      "threads": .int(result.name.threads),
      "milliseconds": [
        "median": number(result.seconds.median * 1e3), "min": number(result.seconds.minimum * 1e3),
        "max": number(result.seconds.maximum * 1e3),
        "samples": .array(result.seconds.values.map { number($0 * 1e3) }),
      ],
      "spread": number(result.seconds.spread),
      "giga_operations": number(result.operations * 1e-9),
      "gigabytes": number(result.bytes * 1e-9),
      "giga_operations_per_second": number(result.operationsPerSecond * 1e-9),
      "gigabytes_per_second": number(result.bytesPerSecond * 1e-9),
      "bound": .string(result.bound.name),
      "share": result.share.map(number) ?? .null,
      "machine_share": result.machineShare.map(number) ?? .null,
    ]
  }

  /// Six decimals: what is behind them is noise.
  static func number(_ value: Double) -> JSONValue {
    .double((value * 1e6).rounded() / 1e6)
  }

  /// What the processor, or the board that it is on, is called.
  static let processor: String = {
    // Of a machine with many processors the file is long, and its beginning says enough.
    ProcessorName.text(
      cpuinfo: ControlGroup.content("/proc/cpuinfo") ?? "",
      board: ControlGroup.content("/proc/device-tree/model"))
  }()
}
