import ArgumentParser
import VLMCheckpoint
import VLMCommandLine
import VLMContainer
import VLMInput
import VLMKernels
import VLMModels
import VLMRuntime
import VLMTensor

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
                vlm-run llama.vlmz --chat

      Prints the most probable classes of each image. An image is a PNG, JPEG, WebP, \
      GIF, BMP, PNM, TIFF, HEIC or AVIF file, '-' for standard input, or a safetensors file with the model's input as 'pixel_values' \
      [1, channels, height, width].

      A language model prints its answer as it writes it; pictures of a conversation are such \
      files too. They stand before the question unless that says <image> where each goes.
      """,
    version: versionText(program: "vlm-run", formatVersion: Container.formatVersion))

  @Argument(help: "A .vlmz file made by vlm-convert.")
  var model: String

  @Argument(help: "Images; '-' reads one from standard input.")
  var images: [String] = []

  @Option(name: .long, help: "Classes to print for each image.")
  var top = 5

  @Option(
    help: ArgumentHelp(
      "Texts to liken images to, with a model that reads texts too (CLIP).",
      valueName: "text,text…"), transform: \.repairedText)
  var labels: String?

  @Option(
    help: ArgumentHelp(
      "What to show of the classes: softmax, sigmoid, or raw for the outputs themselves; default: "
        + "what the file says.", valueName: "kind"))
  var scores: Scores?

  @Flag(help: "Print one JSON array, an object per image; an answer is one object.")
  var json = false

  @Flag(help: "Print one JSON object per line, as each image or answer is done.")
  var jsonl = false

  @Option(
    help: ArgumentHelp(
      "Write embeddings to a .npy or .safetensors file: a row per image; of a model that answers, "
        + "a row per visual token; with --labels and no image, a row per text.",
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

  @OptionGroup(title: "Preprocessing")
  var preprocessing: PreprocessingOptions

  @Option(help: "Threads; default: the processors this process may use.")
  var threads: Int?

  @Flag(help: "Open the model and the images, say what would run, and stop.")
  var dryRun = false

  @Flag(name: .shortAndLong, help: "No progress and no timing on standard error.")
  var quiet = false

  func validate() throws {
    guard top >= 1 else { throw ValidationError("--top: found \(top), expected 1 or more") }
    guard labels == nil || scores == nil else {
      throw ValidationError("--scores and --labels exclude each other: likeness is a softmax")
    }
    guard !(json && jsonl) else { throw ValidationError("--json and --jsonl exclude each other") }
    // A language model has intermediates without any image.
    guard dump == nil || images.count <= 1 else {
      throw ValidationError("--dump: found \(images.count) images, expected one")
    }
    guard explain == nil || images.count == 1 else {
      throw ValidationError("--explain: found \(images.count) images, expected one")
    }
    if let explain, !explain.lowercased().hasSuffix(".png") {
      throw ValidationError("--explain: found '\(explain)', expected a name that ends in .png")
    }
    if let embed, ![".npy", ".safetensors"].contains(where: { embed.hasSuffix($0) }) {
      throw ValidationError(
        "--embed: found '\(embed)', expected a name that ends in .npy or .safetensors")
    }
    let readers = images + (conversation.prompt.map { [$0] } ?? [])
    guard readers.count(where: { $0 == "-" }) <= 1 else {
      throw ValidationError("'-' can be read once")
    }
    guard model != "-" else {
      throw ValidationError("a model is mapped into memory, so it cannot come from a pipe")
    }
  }

  func run() throws {
    let kernels = try KernelSet.selected()
    let container: Container
    do { container = try Container.open(path: model) } catch {
      throw CheckpointPath.refusalAsContainer(model) ?? error
    }
    if let model = try conversationModel(container, kernels) { return try converse(model) }
    guard !conversation.isUsed else {
      throw ValidationError("\(model.escapedForDisplay()) is no model that answers questions")
    }
    let embedsTexts = labels != nil && embed != nil && dump == nil
    guard !images.isEmpty || dryRun || embedsTexts else {
      throw ValidationError("expected at least one image")
    }
    // Said before the work, not after it.
    if !dryRun { try outputs.check(besides: images) }
    let session = try VisionSession(
      container, kernels: kernels, threads: try threadCount(option: threads))
    if labels != nil, session.openCLIP == nil, session.description.classCount != nil {
      throw ValidationError(
        "--labels: found a classifier, expected a CLIP with its text tower; names of classes are "
          + "stored in the file: vlm-convert \(model.quotedForShell) new.vlmz --labels-file FILE")
    }
    if let labels { try session.classify(as: try Self.texts(labels)) }
    if let scores {
      guard session.description.classCount != nil else {
        throw ValidationError("--scores: expected a model with classes")
      }
      session.scores = scores
    }
    let loader = ImageLoader(
      preprocessing: try preprocessing.applied(to: session.preprocessing),
      channels: session.inputChannels, policy: try preprocessing.policy(),
      isFast: preprocessing.decodesFast, limits: preprocessing.limits)
    if dryRun { return try describe(session, loader) }
    _ = loadWeights(container)
    let status = try ImageRun(
      session: session, loader: loader, images: images, format: format, top: top,
      outputs: outputs, quiet: quiet
    ).run()
    guard status == .success else { throw ExitCode(status.rawValue) }
  }

  var outputs: OutputFiles {
    OutputFiles(embed: embed, dump: dump, explain: explain, overwrite: force)
  }

  var format: ImageRun.Format { json ? .json : jsonl ? .jsonLines : .text }

  /// The parts between commas, without the spaces around them.
  private static func texts(_ labels: String) throws -> [String] {
    let parts = labels.split(separator: ",", omittingEmptySubsequences: false).map { part in
      String(part.drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
    }
    guard parts.allSatisfy({ !$0.isEmpty }) else {
      throw ValidationError("--labels: found an empty text, expected texts between commas")
    }
    return parts
  }

  private func describe(_ session: VisionSession, _ loader: ImageLoader) throws {
    let parameters = session.container.tensors.reduce(0) { $0 + $1.shape.reduce(1, *) }
    Report.line("model: \(session.description.architecture), \(parameters) parameters")
    Report.line("file: \(byteText(session.container.file.count))")
    Report.line("kernels: \(session.kernels.name), threads: \(session.pool.threadCount)")
    Report.line("preprocessing: \(loader.preprocessing.json().serialized())")
    for image in images {
      let pixels = try loader.load(image)
      Report.line("\(image.escapedForDisplay()): input \(pixels.width)×\(pixels.height)")
    }
  }
}
