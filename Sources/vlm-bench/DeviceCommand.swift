import ArgumentParser
import VLMBench
import VLMCommandLine
import VLMTensor

/// `vlm-bench device`: what this device can do.
struct DeviceCommand: ParsableCommand {
  static var configuration: CommandConfiguration {
    CommandConfiguration(
      commandName: "device",
      abstract: "What this device can do, in under three minutes.",
      discussion: """
        Measures what arithmetic and memory can do at most, small image models, a language model's \
        prompt and tokens with random weights, and whether the device slows down as it gets hot. What does not fit the \
        memory or the time is left out, and said. With --json the result can be sent to others, and \
        compared; docs/benchmarks.md lists its members.
        """)
  }

  @OptionGroup var processor: ProcessorOptions

  @Option(help: "Seconds of repeating one product, to see what heat does; 0 for none.")
  var heat = 45.0

  @Flag(help: "Print one JSON object.")
  var json = false

  @Flag(name: .shortAndLong, help: "No progress on standard error.")
  var quiet = false

  func validate() throws {
    guard heat >= 0, heat <= 3600 else {
      throw ValidationError("--heat: found \(heat), expected 0 to 3600")
    }
  }

  func run() throws {
    let (kernels, threads) = (try processor.kernels(), try processor.threadCount())
    let cases = DeviceRun.cases(isa: kernels.name, threads: threads)
    var durations = DeviceRun.Durations()
    durations.ofAll += heat - durations.ofHeat
    durations.ofHeat = heat
    let steps = cases.count + 2
    let progress = Progress("measuring", total: steps, unit: .items, quiet: quiet)
    var done = 0
    let report = try DeviceRun(
      kernels: kernels, threads: threads, cases: cases, durations: durations
    ).run { name in
      progress.update(done, detail: name)
      done += 1
    }
    progress.finish()
    if json {
      Report.line(report.json.serialized(pretty: true))
    } else {
      for line in report.lines { Report.line(line) }
    }
  }
}
