import VLMFoundation
import VLMTensor

/// A reader of bytes from strangers, and what is done with what it reads.
///
/// A target is correct when it returns: with an error, or with a value of which every promise was
/// tried. A new format gets a case here, its entry in `run`, a file of its own, and a folder in
/// `Tests/Fuzz/corpus`; `scripts/fuzz` and the regression test know it then.
package enum FuzzTarget: String, CaseIterable, Sendable {
  case safetensors
  case safetensorsIndex = "safetensors-index"
  case pyTorch = "pytorch"
  case pyTorchLegacy = "pytorch-legacy"
  case gguf
  case json
  case container = "vlmz"
  /// Between two containers.
  case delta = "vlmzd"
  /// The packed form of a container.
  case packed = "vlmzp"
  case image
  /// Pictures one after the other.
  case pictureStream = "picture-stream"
  case preprocessing
  case modelConfig = "model-config"
  case sentencePiece = "sentencepiece"
  case tokenizerJSON = "tokenizer-json"
  /// The section of a container.
  case tokenizer
  case checkpointConfig = "checkpoint-config"
  /// A chat template, run.
  case template
  case conversation
  /// In GBNF, followed by tokens.
  case grammar
  case jsonSchema = "json-schema"
  case session
  case journal
  /// Of a calibration.
  case statistics
  /// The metadata of what `extract` writes.
  case extracted
  /// The body of a request to the server.
  case request
  /// The parts of a request's head that we read.
  case requestHead = "request-head"
  /// A key or a signature of minisign's.
  case signature

  package func run(_ bytes: UnsafeRawBufferPointer) {
    switch self {
    case .safetensors: CheckpointTargets.safetensors(bytes)
    case .safetensorsIndex: CheckpointTargets.index(bytes)
    case .pyTorch, .pyTorchLegacy: CheckpointTargets.pyTorch(bytes)
    case .gguf: CheckpointTargets.gguf(bytes)
    case .json: TextTargets.json(bytes)
    case .container: ContainerTarget.run(bytes)
    case .delta: DeltaTarget.run(bytes)
    case .packed: PackedTarget.run(bytes)
    case .image: ImageTarget.run(bytes)
    case .pictureStream: ImageStreamTarget.run(bytes)
    case .preprocessing: TextTargets.preprocessing(bytes)
    case .modelConfig: TextTargets.modelConfig(bytes)
    case .sentencePiece: TokenizerTargets.sentencePiece(bytes)
    case .tokenizerJSON: TokenizerTargets.json(bytes)
    case .tokenizer: TokenizerTargets.section(bytes)
    case .checkpointConfig: ModelTargets.checkpoint(bytes)
    case .template: TemplateTarget.run(bytes)
    case .conversation: ModelTargets.conversation(bytes)
    case .grammar: GrammarTargets.gbnf(bytes)
    case .jsonSchema: GrammarTargets.schema(bytes)
    case .session: SessionTarget.run(bytes)
    case .journal: JournalTarget.run(bytes)
    case .statistics: StatisticsTarget.run(bytes)
    case .extracted: ExtractedTarget.run(bytes)
    case .request: RequestTarget.run(bytes)
    case .requestHead: RequestHeadTarget.run(bytes)
    case .signature: SignatureTarget.run(bytes)
    }
  }
}

/// What `Tests/Fuzz/entry.c` calls.
///
/// - Returns: false when there is no target called `name`.
@_cdecl("vlm_fuzz")
public func fuzz(_ name: UnsafePointer<CChar>, _ bytes: UnsafeRawPointer?, _ count: Int) -> Bool {
  guard let target = FuzzTarget(rawValue: String(cString: name)) else { return false }
  target.run(UnsafeRawBufferPointer(start: bytes, count: count))
  return true
}

/// An error that a target met: printed as a user would see it, which must not fail either.
func report<E: ReportableError>(_ error: E) {
  precondition(!"\(error)".isEmpty, "an error says something")
}
