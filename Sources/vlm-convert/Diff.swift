import ArgumentParser
import VLMCheckpoint
import VLMCommandLine
import VLMConversion
import VLMFoundation
import VLMTensor

struct Diff: ParsableCommand {
  static var configuration: CommandConfiguration {
    CommandConfiguration(
      commandName: "diff", abstract: "Compare the tensors of two checkpoints or .vlmz files.",
      discussion: """
        Exit status 0: the same within the tolerance; 2: different; others: an error. A checkpoint \
        and a .vlmz are matched by what the tensors are in the model.
        """)
  }

  @Argument(help: "A .vlmz, .safetensors or PyTorch file, or a folder.")
  var first: String

  @Argument(help: "Another.")
  var second: String

  @Option(
    help: ArgumentHelp(
      "How far apart values may be: the root of sum (a - b)^2 / sum a^2 of a tensor.",
      valueName: "ratio"))
  var tolerance: Double = 0

  @Flag(help: "Print one JSON object.")
  var json = false

  @Option(help: ArgumentHelp("How many tensors to show; 0: all.", valueName: "n"))
  var top: Int = 20

  @OptionGroup var pyTorch: PyTorchOptions

  @OptionGroup var work: WorkOptions

  @Flag(name: .shortAndLong, help: "Say nothing; the exit status tells.")
  var quiet = false

  func validate() throws {
    guard tolerance >= 0 else { throw ValidationError("--tolerance: expected 0 or more") }
    guard top >= 0 else { throw ValidationError("--top: expected 0 or more") }
  }

  func run() throws {
    var progress: Progress?
    let difference = try ModelDifference(
      first, second, options: pyTorch.options(default: .automatic),
      pool: WorkerPool(threadCount: try work.threadCount())
    ) { done, total in
      if progress == nil {
        progress = Progress("comparing", total: total, unit: .items, quiet: quiet || json)
      }
      progress?.update(done)
    }
    progress?.finish()
    let isSame = difference.isSame(tolerance: tolerance)
    if json {
      Report.line(difference.json(tolerance: tolerance).serialized(pretty: true))
    } else if !quiet {
      describe(difference, isSame: isSame)
    }
    if !isSame { throw ExitCode(ExitStatus.difference.rawValue) }
  }

  private func describe(_ difference: ModelDifference, isSame: Bool) {
    for note in difference.notes { Report.warning(note.shown, program: "vlm-convert") }
    for (names, path) in [(difference.onlyInFirst, first), (difference.onlyInSecond, second)] {
      for name in top == 0 ? names[...] : names.prefix(top) {
        Report.line("only in \(path.escapedForDisplay()): \(name.escapedForDisplay())")
      }
      if top > 0, names.count > top {
        Report.line(
          "… and \(names.count - top) more only in \(path.escapedForDisplay()); --top 0 shows all")
      }
    }
    if let example = difference.ignored.first {
      Report.line(
        counted(difference.ignored.count, "tensor of one is", "tensors of one are")
          + " no part of the model: "
          + "\(example.escapedForDisplay())\(difference.ignored.count > 1 ? ", …" : "")")
    }
    let differing = difference.common.filter { $0.relativeError > 0 || !$0.isOfOneType }
    for entry in top == 0 ? differing[...] : differing.prefix(top) { Report.line(line(entry)) }
    if top > 0, differing.count > top {
      Report.line("… and \(differing.count - top) more; --top 0 shows all")
    }
    let beyond = difference.common.count { $0.relativeError > tolerance }
    let what =
      isSame
      ? "the same" + (tolerance > 0 ? " within \(tolerance)" : "")
      : "\(beyond) differ" + (tolerance > 0 ? " by more than \(tolerance)" : "")
    Report.line("\(counted(difference.common.count, "tensor")) in both, \(what)")
  }

  private func line(_ entry: ModelDifference.Entry) -> String {
    let name = entry.name.escapedForDisplay()
    let types = entry.isOfOneType ? "" : "  \(entry.types.0) and \(entry.types.1)"
    if entry.shapes.0 != entry.shapes.1 {
      return "\(name)  shapes \(entry.shapes.0) and \(entry.shapes.1)\(types)"
    }
    guard let error = entry.error else { return "\(name)  no numbers to compare\(types)" }
    if entry.mismatchCount > 0 {
      let values = counted(entry.mismatchCount, "value is", "values are")
      return "\(name)  \(values) NaN or infinite in one only\(types)"
    }
    return "\(name)  relative \(Self.text(entry.relativeError))  "
      + "max \(Self.text(error.maxAbsError))  cosine \(Self.cosine(error.cosine))\(types)"
  }

  /// Four significant digits.
  private static func text(_ value: Double) -> String {
    guard value != 0, value.isFinite else { return "\(value)" }
    var scale = 1.0
    while abs(value) * scale < 1000, scale < 1e300 { scale *= 10 }
    return "\((value * scale).rounded() / scale)"
  }

  private static func cosine(_ value: Double) -> String { "\((value * 1e7).rounded() / 1e7)" }
}
