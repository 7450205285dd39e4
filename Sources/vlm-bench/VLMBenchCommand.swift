import ArgumentParser
import VLMBench
import VLMCommandLine
import VLMContainer
import VLMFoundation
import VLMTensor

@main
struct VLMBenchCommand: ParsableCommand {
  static func main() { runCommand(VLMBenchCommand.self, program: "vlm-bench") }

  // Asked for many times, and the version looks at the machine.
  static let configuration = CommandConfiguration(
    commandName: "vlm-bench",
    abstract: "Measure kernels and whole models.",
    version: versionText(program: "vlm-bench", formatVersion: Container.formatVersion),
    subcommands: [
      CasesCommand.self, DeviceCommand.self, LanguageCommand.self, OpenCommand.self,
    ],
    defaultSubcommand: CasesCommand.self)
}

/// `vlm-bench CASE…`, the command without a name.
struct CasesCommand: ParsableCommand {
  static var configuration: CommandConfiguration {
    CommandConfiguration(
      commandName: "cases",
      abstract: "Measure kernels and whole models with random weights (default).",
      discussion: """
        Example: vlm-bench tower/convnext_large/q8/768 'gemm/q8/M4096.K192.N768/avx2/t1'

        Each case is run once a round, the peaks of the machine between them; the median, the \
        extremes and the share of the measured peak are printed.
        """)
  }

  @Argument(
    help: "Cases by name, kernels and threads may be left off; default: a list, see --list.")
  var cases: [String] = []

  @Option(
    help: ArgumentHelp(
      "Only cases whose name matches; '*' is any run of characters.", valueName: "glob"))
  var filter: String?

  @OptionGroup var processor: ProcessorOptions

  @Option(help: "Samples of each case.")
  var runs = 5

  @Flag(help: "Say where the time of each tower goes.")
  var profile = false

  @Flag(help: "Print one JSON object.")
  var json = false

  @Flag(help: "Print the names of the cases and stop.")
  var list = false

  @Flag(name: .shortAndLong, help: "No progress on standard error.")
  var quiet = false

  func validate() throws {
    guard (1...10_000).contains(runs) else {
      throw ValidationError("--runs: found \(runs), expected 1 to 10000")
    }
  }

  func run() throws {
    let names = try selectedCases()
    if list {
      for name in names { Report.line("\(name)") }
      return
    }
    let progress = Progress("cases", total: names.count, unit: .items, quiet: quiet)
    let outcome = try Benchmark(names: names, runs: runs).run { done, total, name in
      progress.update(total == 0 ? 0 : done * names.count / total, detail: name)
    }
    progress.finish()
    let towers = names.filter { if case .tower = $0.work { true } else { false } }
    let profiles = try profile ? towers.map { try TowerProfile.measure($0, runs: runs) } : []
    let report = BenchReport(outcome, profiles: profiles, runs: runs)
    if json {
      Report.line(report.json.serialized(pretty: true))
    } else {
      for line in report.lines { Report.line(line) }
    }
  }

  private func selectedCases() throws -> [CaseName] {
    let (kernels, threads) = (try processor.kernels(), try processor.threadCount())
    var names = try cases.map {
      try CaseName(parsing: $0, isa: kernels.name, threads: threads)
    }
    if cases.isEmpty { names = DefaultCases.names(isa: kernels.name, threads: threads) }
    if let filter {
      let glob = Glob(filter)
      names = names.filter { glob.matches("\($0)") }
      guard !names.isEmpty else { throw BenchError(.noCases(filter: filter)) }
    }
    return names
  }
}
