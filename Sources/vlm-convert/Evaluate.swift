import ArgumentParser
import VLMCommandLine
import VLMContainer
import VLMConversion
import VLMFoundation
import VLMTensor
import VLMZ
import VLMZConverter

/// `vlm-convert evaluate`: how good a model is, and how far it is from what it was.
struct Evaluate: ParsableCommand {
  static var configuration: CommandConfiguration {
    CommandConfiguration(
      commandName: "evaluate",
      abstract: "Judge a .vlmz file on pictures, texts or conversations.",
      discussion: """
        Example: vlm-convert evaluate convnext-q4.vlmz --reference convnext-tiny/ --data validation/

        Compares what the model makes of the data with what the reference does: classes, \
        embeddings, visual tokens, answers, probabilities of tokens. Where pictures lie in folders \
        that are named as classes, their accuracy is told. Without a reference: accuracy and \
        perplexity alone.

        Exit status 0: done; 2: the loss is above --fail-above; others: an error.
        """)
  }

  @Argument(help: "The .vlmz file to judge.")
  var model: String

  @Option(
    help: ArgumentHelp(
      "What it is compared with, usually what it was made of: a checkpoint, or a .vlmz with floats.",
      valueName: "path"))
  var reference: String?

  @Option(
    help: ArgumentHelp(
      "A picture, a folder of them, a text, or conversations in JSON Lines. Repeatable.",
      valueName: "path"))
  var data: [String] = []

  @Option(
    help: ArgumentHelp(
      "Tokens that a language model reads at most; default: 8192.", valueName: "n"))
  var tokens = 8192

  @Option(
    help: ArgumentHelp("Pictures that an image model sees at most; default: all.", valueName: "n"))
  var pictures: Int?

  @Option(
    help: ArgumentHelp(
      "Questions with answers in the data that both models answer themselves too; default: 16.",
      valueName: "n"))
  var answers = 16

  @Option(help: ArgumentHelp("Tokens of such an answer at most; default: 48.", valueName: "n"))
  var answerTokens = 48

  @Option(
    help: ArgumentHelp(
      "Draw what is lost of each picture or window, and how reliable the scores are, as SVG.",
      valueName: "file"))
  var plot: String?

  @Option(
    help: ArgumentHelp(
      "Exit with status 2 where the loss is above this: the mean divergence in nats, or of models "
        + "without classes one less the mean cosine.", valueName: "loss"))
  var failAbove: Double?

  @Option(
    help: ArgumentHelp(
      "Where the reference's outputs are kept for the while; default: TMPDIR, else the model's folder.",
      valueName: "folder"))
  var temporaryFolder: String?

  @OptionGroup(title: "A reference that is a checkpoint") var checkpoint: ReferenceOptions

  @Flag(help: "Replace an existing plot.")
  var force = false

  @Flag(help: "Print one JSON object.")
  var json = false

  @OptionGroup var work: WorkOptions

  @Flag(name: .shortAndLong, help: "No progress, no report; the exit status tells.")
  var quiet = false

  func validate() throws {
    guard !data.isEmpty else { throw ValidationError("expected --data") }
    for (name, value, least) in [
      ("--tokens", tokens, 16), ("--pictures", pictures ?? 1, 1), ("--answers", answers, 0),
      ("--answer-tokens", answerTokens, 1),
    ] where !(least...Evaluator.mostData).contains(value) {
      throw ValidationError(
        "\(name): found \(value), expected \(least) to \(Evaluator.mostData)")
    }
    if let failAbove {
      guard failAbove >= 0, failAbove.isFinite else {
        throw ValidationError("--fail-above: found \(failAbove), expected a number, 0 or more")
      }
      guard reference != nil else { throw ValidationError("--fail-above needs --reference") }
    }
    try OutputOptions.requireFile(plot)
  }

  private func options() -> Evaluator.Options {
    var options = Evaluator.Options()
    options.checkpoint = checkpoint.options
    options.tokenCount = tokens
    options.pictureCount = pictures
    options.answerCount = answers
    options.answerTokens = answerTokens
    options.temporaryFolder = temporaryFolder ?? Environment.temporaryFolder
    return options
  }

  func run() throws {
    for path in data + checkpoint.files { InputFiles.add(path: path) }
    let options = options()
    let container = try Container.open(path: model)
    let opened = try reference.map { try Evaluator.Reference(path: $0, options.checkpoint) }
    if let plot {
      try Extract.check(plot, endsIn: ".svg")
      try OutputFile.check(plot, overwrite: force)
      Report.outliveReader()
    }
    let evaluator = try Evaluator(
      container, opened, options, threads: try work.threadCount(),
      kernels: try Environment.kernelSet())
    let progress = StagedProgress(quiet: quiet)
    let result = try evaluator.run(on: data) { text in
      progress.finish()
      if !quiet { Report.warning(text, program: "vlm-convert") }
    } progress: { step in
      progress.update(step.done, of: step.total, step.stage)
    }
    progress.finish()
    if let plot { try Self.write(result, to: plot, overwrite: force) }
    if json {
      Report.line(JSONValue.object(result.object).serialized(pretty: true))
    } else if !quiet {
      for line in EvaluationTable(result).lines { Report.line(line) }
    }
    try judge(result)
  }

  private static func write(
    _ result: Evaluation, to path: String, overwrite: Bool
  ) throws {
    guard let svg = result.plot else {
      return Report.warning("nothing to plot without a reference", program: "vlm-convert")
    }
    let file = try OutputFile(path: path, overwrite: overwrite)
    try file.write(Array(svg.utf8))
    try file.commit()
  }

  private func judge(_ result: Evaluation) throws {
    guard let failAbove, let loss = result.loss, !(loss <= failAbove) else { return }
    if !quiet {
      Report.note("vlm-convert: the loss, \(decimal(loss, 6)), is above \(failAbove)")
    }
    throw ExitCode(ExitStatus.difference.rawValue)
  }
}

/// What it takes to read a reference that is a checkpoint.
struct ReferenceOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Read the preprocessing from this file.", valueName: "file"))
  var preprocessor: String?

  @Option(help: ArgumentHelp("The folder of a LLaVA's vision tower.", valueName: "folder"))
  var visionTower: String?

  @Option(help: ArgumentHelp("The folder of LLaVA-HR's ConvNeXt.", valueName: "folder"))
  var visionTowerSlow: String?

  @Option(
    help: ArgumentHelp(
      "The folder of the language model, for a projector alone.", valueName: "folder"))
  var modelBase: String?

  @Option(
    help: ArgumentHelp(
      "What lies between the linear layers of a head.", valueName: "name"))
  var headActivation: String?

  @Option(help: ArgumentHelp("The vision half of a LLaVA-1.5 in GGUF.", valueName: "file"))
  var mmproj: String?

  @Flag(help: "Leave out tensors that the model does not have.")
  var ignoreUnexpected = false

  @OptionGroup var pyTorch: PyTorchOptions

  /// How the checkpoint is read.
  var options: Converter.Options {
    var options = Converter.Options()
    options.state = pyTorch.state
    options.verifiesChecksums = !pyTorch.noVerify
    options.ignoresUnexpectedTensors = ignoreUnexpected
    options.headActivation = headActivation
    options.preprocessor = preprocessor
    options.visionTower = visionTower
    options.visionTowerSlow = visionTowerSlow
    options.modelBase = modelBase
    options.mmproj = mmproj
    return options
  }

  /// Files that no output may replace.
  var files: [String] { [preprocessor, mmproj].compactMap { $0 } }
}
