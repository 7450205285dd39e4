import ArgumentParser
import VLMCommandLine
import VLMContainer
import VLMConversion
import VLMFoundation
import VLMTensor

struct Extract: ParsableCommand {
  static var configuration: CommandConfiguration {
    CommandConfiguration(
      commandName: "extract", abstract: "Write the tensors of a .vlmz file as safetensors.",
      discussion: """
        Tensors get the names they had in the checkpoint. The model's description goes into the \
        file's metadata, as JSON.
        """)
  }

  @Argument(help: "A .vlmz file.")
  var input: String

  @Argument(help: "The .safetensors file to write.")
  var output: String

  enum ElementType: String, ExpressibleByArgument, CaseIterable {
    case f32, f16, bf16

    var dtype: DType {
      switch self {
      case .f32: .f32
      case .f16: .f16
      case .bf16: .bf16
      }
    }
  }

  @Option(help: "The type of the numbers; default: f32, which is exact.")
  var dtype: ElementType?

  @Flag(help: "Write codes, steps, offsets and scales as they are stored, not their values.")
  var codes = false

  @Flag(help: "Use the names of the container, not those of the checkpoint.")
  var ownNames = false

  @OptionGroup var writing: OutputOptions

  private static let otherEndings = [
    ".vlmz", ".vlmzp", ".safetensors", ".pth", ".pt", ".bin", ".ckpt", ".tar", ".pkl", ".gguf",
    ".npz", ".npy", ".onnx", ".h5", ".hdf5", ".keras", ".tflite", ".msgpack", ".pb", ".zip",
    ".json", ".txt", ".md", ".png", ".jpg", ".jpeg", ".vlmzd", ".minisig", ".pub", ".key",
  ]

  /// Refuses names of other formats: whoever reads the file by its name would not find what that says.
  static func check(_ output: String, endsIn ending: String) throws {
    let name = output.lowercased()
    guard !name.hasSuffix(ending), let other = otherEndings.first(where: name.hasSuffix) else {
      return
    }
    throw ValidationError(
      "found '\(output.escapedForDisplay())', expected a name that ends in \(ending), "
        + "not in \(other), which is another format")
  }

  func validate() throws {
    try OutputOptions.requireFile(output)
    if codes, dtype != nil {
      throw ValidationError("--codes writes what is stored: it does not go with --dtype")
    }
  }

  func run() throws {
    let extraction = try Extraction(path: input)
    if extraction.container.file.isSameFile(as: output) {
      throw FileError(path: output, problem: .sameFile(as: input))
    }
    try Self.check(output, endsIn: ".safetensors")
    try OutputFile.check(output, overwrite: writing.force)
    Report.outliveReader()
    // What is written has no checksums that would tell of it.
    try Verify.requireSound(
      extraction.container, threads: threadCount(option: nil), quiet: writing.quiet)
    let total = extraction.container.tensors.reduce(0) { $0 + $1.shape.reduce(1, *) }
    let progress = Progress("extracting", total: total, unit: .items, quiet: writing.quiet)
    let count = try extraction.write(
      to: output, overwrite: writing.force, form: codes ? .codes : .values((dtype ?? .f32).dtype),
      ownNames: ownNames
    ) { done, _ in progress.update(done) }
    progress.finish()
    guard !writing.quiet else { return }
    if !ownNames, !extraction.hasOriginalNames {
      Report.warning(
        "the container does not know the checkpoint's names: its own are used",
        program: "vlm-convert")
    }
    if extraction.leavesTokenizer {
      Report.warning("the tokenizer is too large for the file's header", program: "vlm-convert")
    }
    let size = try MappedFile(path: output).count
    Report.line("\(output.escapedForDisplay()): \(byteText(size)), \(counted(count, "tensor"))")
  }
}
