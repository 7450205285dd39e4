import ArgumentParser
import VLMCheckpoint
import VLMCommandLine
import VLMContainer
import VLMConversion
import VLMFoundation
import VLMModels
import VLMTensor
import VLMZ
import VLMZConverter

extension ScoreKind: ExpressibleByArgument {}

struct Convert: ParsableCommand {
  static var configuration: CommandConfiguration {
    CommandConfiguration(
      commandName: "convert",
      abstract: "Convert a checkpoint (the default).",
      discussion: """
        Schemes, with the bits that a weight of a large matrix takes. Depthwise filters, stems, \
        norms, scales and biases always stay f32. Below 8 bits the few matrices that would lose \
        too much get 8, and the report says which and why. With --calibrate or a budget each \
        matrix has the scheme by which the model loses least.

        \(SchemeFlag.table)
        """)
  }

  @Argument(
    help:
      "A .safetensors, PyTorch, GGUF or .vlmz file, or a folder as timm or Hugging Face saves it.")
  var input: String

  @Argument(help: "The .vlmz file to write.")
  var output: String?

  @Flag(exclusivity: .exclusive, help: "How to store matrices; default: --q8.")
  var scheme: SchemeFlag?

  @OptionGroup(title: "Budget, in place of a scheme") var budget: BudgetOptions

  @Option(
    name: .long,
    help: ArgumentHelp(
      "Another scheme for the tensors that match; '*' stands for any characters. Repeatable; the "
        + "last match counts.", valueName: "pattern=scheme"))
  var tensorType: [String] = []

  @Option(
    help: ArgumentHelp(
      "Read the preprocessing from this preprocessor_config.json or config.json.",
      valueName: "file"))
  var preprocessor: String?

  @Option(
    help: ArgumentHelp(
      "Names of the classes: a line each, a JSON list, {index: name} or {name: index}.",
      valueName: "file"))
  var labelsFile: String?

  @Option(
    help: ArgumentHelp(
      "What a classifier's outputs are: softmax, sigmoid, or raw for numbers; default: what the "
        + "checkpoint says it was trained for.", valueName: "kind"))
  var scores: ScoreKind?

  @Option(
    help: ArgumentHelp(
      "The folder of a LLaVA's vision tower, where its config.json names one that is not here.",
      valueName: "folder"))
  var visionTower: String?

  @Option(
    help: ArgumentHelp(
      "The folder of LLaVA-HR's ConvNeXt, as timm saves it, for a checkpoint that has none.",
      valueName: "folder"))
  var visionTowerSlow: String?

  @Option(
    help: ArgumentHelp(
      "The folder of the language model, for a checkpoint that is a projector alone "
        + "(mm_projector.bin).", valueName: "folder"))
  var modelBase: String?

  @Option(
    help: ArgumentHelp(
      "What lies between the linear layers of a head that was put on the model, where the file "
        + "does not say: \(HeadActivationOption.names.joined(separator: ", ")).",
      valueName: "name"))
  var headActivation: String?

  @Option(
    help: ArgumentHelp(
      "The vision half of a LLaVA or SmolVLM in GGUF, for its language half; in a folder with both "
        + "it is found.", valueName: "file"))
  var mmproj: String?

  @OptionGroup var pyTorch: PyTorchOptions

  @OptionGroup(title: "Calibration") var calibration: CalibrationOptions

  @Option(
    help: ArgumentHelp(
      "After converting, run the model and an unquantized one on this and report how far apart they "
        + "are: a picture, a folder of them, a text, or conversations in JSON Lines. Repeatable.",
      valueName: "path"))
  var evaluate: [String] = []

  @Flag(help: "Leave out tensors that the model does not have.")
  var ignoreUnexpected = false

  @Flag(help: "Replace an existing output.")
  var force = false

  @Flag(
    help: ArgumentHelp(
      "Go on with a conversion that was broken off, and leave this one to go on with if it is.",
      discussion: """
        What is in OUT.partial is checked against its checksums and taken over when the source, \
        the flags and the version are the same; otherwise the conversion starts over. A calibration \
        goes on behind the last block that was done.
        """))
  var resume = false

  @Flag(help: "Read the finished file back and check every byte.")
  var verify = false

  @Flag(help: "Say what would be written and calibrated on, and stop.")
  var dryRun = false

  @Flag(help: "Print the report as JSON.")
  var json = false

  @OptionGroup var work: WorkOptions

  @Flag(name: .shortAndLong, help: "No progress, no report; warnings are shown.")
  var quiet = false

  func validate() throws {
    try MistakenCommand.check(input: input, output: output)
    guard !input.isEmpty else {
      throw ValidationError("found an empty name, expected a checkpoint")
    }
    guard input != "-" else {
      throw ValidationError("a checkpoint is mapped into memory, so it cannot come from a pipe")
    }
    try OutputOptions.requireFile(output)
    if let scheme, let other = budget.given.first {
      throw ValidationError(
        "found --\(scheme.scheme.name) and \(other), expected one of them: each says how matrices "
          + "are stored")
    }
    guard budget.loss == nil || calibration.isAsked else {
      throw ValidationError(
        "--loss needs --calibrate, or --statistics: by the weights alone nobody knows what a model "
          + "loses")
    }
    guard output != nil || dryRun else { throw ValidationError("expected an output file") }
    _ = try tensorType.map(Self.override)
    guard let headActivation, HeadActivationOption(name: headActivation) == nil else { return }
    throw ValidationError(
      "--head-activation: found '\(headActivation.escapedForDisplay())', expected one of "
        + HeadActivationOption.names.joined(separator: ", "))
  }

  /// The options as values.
  private func options() throws -> Converter.Options {
    var options = Converter.Options(scheme: scheme.map { WeightScheme($0.scheme) } ?? .q8)
    if let size = budget.size { try ByteSize.requireWhole(size, option: "--size") }
    options.budget = try budget.budget()
    options.givenSize = budget.size.flatMap { ByteSize.given($0) }
    options.planFile = budget.plan
    options.tensorSchemes = try tensorType.map(Self.override)
    options.calibration = try calibration.calibration(budget.effort)
    options.state = pyTorch.state
    options.verifiesChecksums = !pyTorch.noVerify
    options.ignoresUnexpectedTensors = ignoreUnexpected
    options.headActivation = headActivation
    options.preprocessor = preprocessor
    options.labelsFile = labelsFile
    options.scores = scores
    options.visionTower = visionTower
    options.visionTowerSlow = visionTowerSlow
    options.modelBase = modelBase
    options.mmproj = mmproj
    options.overwrites = force
    options.resumes = resume
    return options
  }

  func run() throws {
    for path in evaluate { InputFiles.add(path: path) }
    calibration.noteInputs()
    if let plan = budget.plan { InputFiles.add(path: plan) }
    let options = try options()
    let source: SourceModel
    do {
      source = try options.open(input)
    } catch {
      // Of two that are the wrong way round the first need not be there.
      guard let output, output != input else { throw error }
      throw CheckpointPath.refusalAsOutput(output) ?? error
    }
    // Said before the work, not after it.
    let evaluation = try ConversionEvaluation(source, paths: evaluate)
    let converter = try Converter(
      source, options, threads: try work.threadCount(),
      kernels: try Environment.kernelSet())
    for note in converter.remarks where !quiet || !note.isExpected {
      Report.warning(note.shown, program: "vlm-convert")
    }
    let unused = source.checkpoint.worthTelling
    if !unused.isEmpty, !quiet {
      // Those that the user wants to be left out are what has to be seen.
      let unexpected = source.checkpoint.unexpected
      let names = unexpected + unused.filter { !unexpected.contains($0) }
      let shown = names.prefix(max(3, min(20, unexpected.count)))
      let examples = shown.map { "'\($0.escapedForDisplay())'" }
      Report.note(
        "vlm-convert: \(counted(unused.count, "tensor is", "tensors are")) no part "
          + "of the model, left out: "
          + examples.joined(separator: ", ") + (names.count > shown.count ? ", …" : ""))
    }
    guard budget.curve == nil || converter.hasBudget else {
      throw ValidationError(
        "--curve: found no budget, expected --size, --bits, --loss, or fewer than 8 bits with --calibrate"
      )
    }
    guard let output, !dryRun else { return try describe(converter) }
    try converter.conversion.checkOutput(output)
    // What must not be written under any name is said first.
    if FileSystem.exists(output) { try OutputFile.check(output, overwrite: true) }
    try Extract.check(output, endsIn: ".vlmz")
    if let curve = budget.curve { try OutputFile.check(curve, overwrite: force) }
    Report.outliveReader()
    let oldSignature = OldSignature(beside: output)
    var progress: Progress?
    let start = Progress.now()
    let calibrating = CalibrationProgress(quiet: quiet)
    let report = try converter.write(
      to: output, note: { if !quiet { Report.note("vlm-convert: \($0)") } },
      calibrating: calibrating.update
    ) { step in
      let line =
        progress
        ?? Progress("converting", total: step.totalByteCount, unit: .bytes, quiet: quiet)
      progress = line
      line.update(step.byteCount, detail: step.tensor)
    }
    progress?.finish()
    if !quiet { oldSignature?.tell() }
    try budget.draw(report.details.spending, overwrite: force)
    if verify { try check(output) }
    let seconds = Progress.now() - start
    let judged = try evaluation?.run(
      model: output, threads: try work.threadCount(), quiet: quiet)
    if json {
      var object = report.object(in: .options)
      if let evaluation, let judged { object.set("evaluation", evaluation.json(judged)) }
      Report.line(JSONValue.object(object).serialized(pretty: true))
    } else if !quiet {
      ReportText(report: report.details, output: output, seconds: seconds).print()
      if let evaluation, let judged { evaluation.report(judged) }
    }
  }

  private func check(_ output: String) throws {
    let defects = try Verify.defects(
      of: try Container.open(path: output), threads: try work.threadCount(), quiet: quiet)
    for defect in defects { Report.note("vlm-convert: \(defect.shown)") }
    guard defects.isEmpty else { throw ExitCode(ExitStatus.difference.rawValue) }
  }

  /// "pattern=scheme".
  private static func override(_ text: String) throws -> Converter.Options.TensorScheme {
    guard let split = text.lastIndex(of: "="),
      let scheme = Scheme(name: String(text[text.index(after: split)...]))
    else {
      throw ValidationError(
        "--tensor-type: found '\(text.escapedForDisplay())', expected PATTERN=SCHEME with one of "
          + Scheme.allCases.map(\.name).joined(separator: ", "))
    }
    return .init(String(text[..<split]), WeightScheme(scheme))
  }

  private func describe(_ converter: Converter) throws {
    let calibrating = CalibrationProgress(quiet: quiet)
    let planned = try converter.settled(
      note: { if !quiet { Report.note("vlm-convert: \($0)") } },
      calibrating: calibrating.update)
    try budget.draw(planned.spending, overwrite: force)
    if json {
      let plan = Converter.Plan(planned, converter.source)
      return Report.line(try JSONValue.parse(Array(plan.json.utf8)).serialized(pretty: true))
    }
    let plan = planned.plan
    Report.line(
      "\(converter.source.description.architecture) (\(converter.source.checkpoint.naming)"
        + " names), \(plan.parameterCount) parameters in \(counted(plan.items.count, "tensor"))")
    Report.line("about \(byteText(plan.byteCount)) as \(planned.label)")
    if let spending = planned.spending { SpendingText(spending).print() }
    for item in plan.items where !item.format.scheme.isExact {
      let reason = item.reason.map { "  (\($0.shown))" } ?? ""
      Report.line("  \(item.spec.path.escapedForDisplay())  \(item.format)\(reason)")
    }
    guard let preview = try converter.calibrationPreview() else { return }
    Report.line("calibration on \(preview.summary)")
    for defect in preview.defects {
      Report.warning("left out: \(defect.shown)", program: "vlm-convert")
    }
  }
}
