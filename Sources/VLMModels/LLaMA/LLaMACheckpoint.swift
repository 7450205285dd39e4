import VLMNN
import VLMTensor

/// A checkpoint recognised as a LLaMA and nothing more.
enum LLaMACheckpoint {
  /// The model that the tensors make up; nil when they are no LLaMA's.
  ///
  /// - Throws: `ModelError` when there is no description, or one of another arithmetic.
  static func recognise(_ facts: CheckpointFacts) throws(ModelError) -> ModelCheckpoint? {
    guard let naming = LLaMANaming.detect(facts.names.lazy.map(\.name)) else {
      // A GGUF file says what it is, whatever its tensors are called.
      if let description = facts.description { try LLaMAConfig.checkGGUF(description) }
      return nil
    }
    guard let description = facts.description else {
      throw ModelError(
        .configuration(
          field: "config.json", found: "none beside the weights",
          expected: "the model's, which says how many heads there are"))
    }
    let parts = try Parts(facts.names, naming, description)
    return ModelCheckpoint(
      description: .llama(parts.config), naming: naming.rawValue, tensors: parts.tensors,
      foreign: parts.foreign, notes: parts.notes)
  }
}

extension LLaMACheckpoint {
  /// A language model among a checkpoint's tensors, alone or as a part of another model.
  struct Parts {
    let config: LLaMAConfig
    /// By our name.
    private(set) var tensors: [String: ModelCheckpoint.Source] = [:]
    private(set) var foreign: [String] = []
    private(set) var notes: [String] = []

    init(
      _ names: [CheckpointFacts.Name], _ naming: LLaMANaming, _ description: JSONValue
    ) throws(ModelError) {
      config =
        naming == .gguf
        ? try LLaMAConfig(gguf: description, names: names)
        : try LLaMAConfig(huggingFace: description)
      for (name, shape) in names {
        switch naming.match(name) {
        case .tensor("lm_head.weight") where config.tiedEmbeddings:
          notes.append("'\(name)' is not read: the model's head is its table of embeddings")
        case .tensor(let ours):
          let source = ModelCheckpoint.Source(
            original: name, shape: shape,
            rows: LLaMACheckpoint.rowOrder(ours, naming, description, config))
          if let other = tensors.updateValue(source, forKey: ours) {
            throw ModelError(
              .configuration(
                field: "tensor '\(ours)'", found: "'\(other.original)' and '\(name)'",
                expected: "one of them"))
          }
        case .derived: break
        case .foreign where name == LLaMAConfig.ggufFrequencies: break
        // Nothing else shares a GGUF file with its model, so what is not known would be missed.
        case .foreign where naming == .gguf: tensors[name] = .init(original: name, shape: shape)
        case .foreign: foreign.append(name)
        }
      }
      if config.contextLength < (description["max_position_embeddings"]?.intValue ?? 0) {
        notes.append(
          "sliding window: the context is cut to its \(config.contextLength) positions")
      }
    }
  }

  /// GGUF stores the queries and keys of LLaMA for a rotation of neighbours, those of the others
  /// as transformers does.
  fileprivate static func rowOrder(
    _ name: String, _ naming: LLaMANaming, _ description: JSONValue, _ config: LLaMAConfig
  ) -> RowOrder {
    guard naming == .gguf, description["general.architecture"]?.stringValue == "llama" else {
      return .stored
    }
    if name.contains(".q_proj.") { return .interleavedRotary(heads: config.heads) }
    if name.contains(".k_proj.") { return .interleavedRotary(heads: config.keyValueHeads) }
    return .stored
  }
}
