import ArgumentParser
import VLMCheckpoint
import VLMCommandLine
import VLMContainer
import VLMFoundation
import VLMImages
import VLMModels
import VLMTensor
import VLMText
import VLMZ

extension Scores: ExpressibleByArgument {}

@main
struct VLMRun: ParsableCommand {
  static func main() { runCommand(VLMRun.self, program: "vlm-run") }

  // Asked for many times, and the version looks at the machine.
  static let configuration = CommandConfiguration(
    commandName: "vlm-run",
    abstract: "Run a vision or language model from a .vlmz file.",
    discussion: """
      Examples: vlm-run convnext.vlmz photo.jpg
                vlm-run llava.vlmz photo.jpg -p "What is in the picture?"
                vlm-run llava.vlmz photos/ -r --each -p "What is in the picture?" --jsonl
                vlm-run llama.vlmz --chat

      Prints the most probable classes of each image. An image is a PNG, JPEG, WebP, GIF, BMP, PNM, \
      TIFF, HEIC or AVIF file, '-' for standard input, which may have several one after the other, \
      or a safetensors file with the model's input as 'pixel_values' [1, channels, height, width].

      A language model prints its answer as it writes it; pictures of a conversation are such \
      files too, of safetensors where the model does not cut pictures into tiles. They stand before \
      the question unless that says <image> where each goes.
      """,
    version: versionText(program: "vlm-run", formatVersion: Container.formatVersion))

  @Argument(help: "A .vlmz file made by vlm-convert.")
  var model: String

  @Argument(help: "Images; '-' reads them from standard input, as they come.")
  var images: [String] = []

  @OptionGroup
  var pictures: PictureOptions

  @Option(name: .long, help: "Classes to print for each image; default: 5.")
  var top: Int?

  @OptionGroup
  var labels: LabelOptions

  @Option(
    help: ArgumentHelp(
      "What to show of the classes: softmax, sigmoid, or raw for the outputs themselves; default: "
        + "what the file says.", valueName: "kind"))
  var scores: Scores?

  @Flag(help: "Print one JSON array, an object per image; an answer is one object.")
  var json = false

  @Flag(help: "Print one JSON object per line, as each image or answer is done or has failed.")
  var jsonl = false

  @Option(
    help: ArgumentHelp(
      "Write embeddings to a .npy or .safetensors file: a row per image, NaN for one that failed; of a "
        + "model that answers, a row per visual token; with --labels and no image, a row per text. "
        + "What the rows are of is in the .json beside a .npy, or in the metadata.",
      valueName: "file"))
  var embed: String?

  @Option(
    help: ArgumentHelp(
      "Write the input and every named intermediate of one image or prompt, f32, channels first.",
      valueName: "file.safetensors"))
  var dump: String?

  @Option(
    help: ArgumentHelp(
      "Draw what the model makes of one image: its input, features and gates.",
      valueName: "file.png"))
  var explain: String?

  @Flag(help: "Replace existing output files.")
  var force = false

  @OptionGroup(title: "Conversation")
  var conversation: ConversationOptions

  @OptionGroup
  var trusted: TrustOptions

  @OptionGroup(title: "Preprocessing")
  var preprocessing: PreprocessingOptions

  @Option(help: "Threads; default: the processors this process may use.")
  var threads: Int?

  @OptionGroup
  var memory: MemoryOptions

  @Flag(help: "Open the model and the images, say what would run, and stop.")
  var dryRun = false

  @Flag(name: .shortAndLong, help: "No progress and no timing on standard error.")
  var quiet = false

  func validate() throws {
    if let top, top < 1 { throw ValidationError("--top: found \(top), expected 1 or more") }
    guard !labels.isUsed || scores == nil else {
      throw ValidationError(
        "--scores and \(labels.given[0]) exclude each other: the model says what becomes of "
          + "similarities")
    }
    guard !(json && jsonl) else { throw ValidationError("--json and --jsonl exclude each other") }
    // A language model has intermediates without any image.
    for (option, isGiven) in [("--dump", dump != nil), ("--explain", explain != nil)] where isGiven
    {
      guard pictures.given.isEmpty else {
        throw ValidationError(
          "\(option): found \(pictures.given[0]), expected the name of one image")
      }
      guard images.count == 1 || (images.isEmpty && option == "--dump") else {
        throw ValidationError("\(option): found \(images.count) images, expected one")
      }
    }
    if let fps = conversation.fps {
      guard fps > 0, fps <= 1000 else {
        throw ValidationError("--fps: found \(fps), expected more than 0, at most 1000")
      }
      let others =
        [("--chat", conversation.chat), ("--each", conversation.each)]
        + [("--dump", dump != nil), ("--explain", explain != nil), ("--embed", embed != nil)]
      if let (other, _) = others.first(where: \.1) {
        throw ValidationError(
          "--fps and \(other) exclude each other: a film is asked about once, as a whole")
      }
    }
    let readers = images + [conversation.prompt, pictures.filesFrom].compactMap { $0 }
    guard readers.count(where: { $0 == "-" }) <= 1 else {
      throw ValidationError("'-' can be read once")
    }
    guard model != "-" else {
      throw ValidationError("a model is mapped into memory, so it cannot come from a pipe")
    }
  }

  /// Refuses names that say another format; what may not be written in any format is said first.
  private func checkEndings() throws {
    for (option, file, endings) in [
      ("--embed", embed, [".npy", ".safetensors"]), ("--dump", dump, [".safetensors"]),
      ("--explain", explain, [".png"]),
    ] {
      guard let file, !endings.contains(where: { file.lowercased().hasSuffix($0) }) else {
        continue
      }
      for input in images + [model] { InputFiles.add(path: input) }
      try OutputFile.check(file, overwrite: true)
      throw ValidationError(
        "\(option): found '\(file.escapedForDisplay())', expected a name that ends in "
          + endings.joined(separator: " or "))
    }
  }

  func run() throws {
    try checkEndings()
    let kernels = try Environment.kernelSet()
    let container: Container
    do {
      container = try openModel(
        model, trusting: trusted, threads: try threadCount(option: threads), quiet: quiet,
        program: "vlm-run")
    } catch let error as ContainerError {
      throw CheckpointPath.refusalAsContainer(model) ?? error
    }
    if let model = try conversationModel(container, kernels) { return try converse(model) }
    guard conversation.given.isEmpty else {
      throw ValidationError(
        "\(model.escapedForDisplay()) is no model that answers questions: no effect of "
          + Self.list(conversation.given))
    }
    let isOfTexts = images.isEmpty && pictures.given.isEmpty
    guard !isOfTexts || dryRun || (labels.isUsed && embed != nil && dump == nil) else {
      throw ValidationError("expected at least one image")
    }
    // Said before the work, not after it.
    if !dryRun {
      try outputs.check(besides: images + labels.labelsFile + lists)
      if !outputs.isEmpty { Report.outliveReader() }
    }
    let session = try Session(
      of: Model(
        container, kernels: kernels,
        pool: WorkerPool(threadCount: try threadCount(option: threads)), memory: memory.use))
    if labels.isUsed, session.clip == nil, session.description.classCount != nil {
      throw ValidationError(
        "\(labels.given[0]): found a classifier, expected a CLIP or a SigLIP with its text tower; names of classes "
          + "are stored in the file: vlm-convert \(model.quotedForShell) new.vlmz --labels-file FILE"
      )
    }
    if labels.isUsed, session.clip == nil {
      throw ValidationError(
        "\(labels.given[0]): found a model of pictures alone, expected one with a text tower, such as a "
          + "CLIP; this one embeds pictures (--embed), and embeddings of two can be compared")
    }
    if labels.isUsed { try setTextClasses(of: session) }
    if let scores {
      guard session.description.classCount != nil else {
        throw ValidationError("--scores: expected a model with classes")
      }
      session.scores = scores
    }
    guard top == nil || session.labels != nil || session.description.classCount != nil else {
      throw ValidationError(
        "--top: expected a model with classes, or labels for a CLIP or a SigLIP with its text tower"
      )
    }
    let loader = ImageLoader(
      preprocessing: try preprocessing.applied(to: session.preprocessing),
      channels: session.inputChannels, policy: try preprocessing.policy(),
      isFast: preprocessing.decodesFast, limits: preprocessing.limits)
    preprocessing.noteCost(of: session.description.config.image)
    let run = ImageRun(
      session: session, loader: loader, source: source, records: Records(format), top: top ?? 5,
      outputs: outputs, quiet: quiet)
    if dryRun { return try describe(session, run) }
    _ = loadWeights(session.model)
    try run.records.finishing { try run.run() }
  }

  /// Takes the user's labels for classes.
  private func setTextClasses(of session: Session) throws {
    let texts = try labels.texts()
    let cut = try session.setTextClasses(texts, templates: labels.labelTemplate)
    if let first = cut.first {
      Report.warning(
        "labels: \(cut.count == 1 ? "a text is" : "\(cut.count) texts are") longer than the text tower "
          + "reads and cut: '\(first.escapedForDisplay(limit: 60))'", program: "vlm-run")
    }
    var seen = Set<ExactString>()
    // By itself each text has its own.
    if session.scores == .softmax,
      let twice = texts.first(where: { !seen.insert(ExactString($0)).inserted })
    {
      Report.warning(
        "labels: '\(twice.escapedForDisplay(limit: 60))' is given twice, and shares its probability",
        program: "vlm-run")
    }
  }

  /// The pictures that this call is about.
  var source: PictureSource {
    var options = pictures
    // A folder can be nothing but the frames.
    if conversation.fps != nil { options.recursive = true }
    return PictureSource(images, options, limits: preprocessing.limits, quiet: quiet)
  }

  /// Files with names of pictures.
  var lists: [String] { pictures.filesFrom.map { [$0] } ?? [] }

  /// "--temp and --seed".
  static func list(_ options: [String]) -> String {
    guard options.count > 1, let last = options.last else { return options.joined() }
    return options.dropLast().joined(separator: ", ") + " and " + last
  }

  var outputs: OutputFiles {
    OutputFiles(embed: embed, dump: dump, explain: explain, overwrite: force)
  }

  var format: Records.Format { json ? .json : jsonl ? .jsonLines : .text }

  private func describe(_ session: Session, _ run: ImageRun) throws {
    let (records, loader) = (run.records, run.loader)
    var plan = Plan(session.container, session.kernels, session.pool)
    plan.add(session.model.reading)
    plan.add("preprocessing", loader.preprocessing.json(), loader.preprocessing.json().serialized())
    try plan.show(run.source, records) { picture in
      let pixels = try loader.load(picture)
      return (pixels.width, pixels.height)
    }
  }
}
