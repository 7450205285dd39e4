import VLMFoundation
import VLMTensor

/// A checkpoint recognised as a LLaMA and nothing more.
enum LLaMACheckpoint {
  /// The model that the tensors make up; nil when they are no LLaMA's.
  ///
  /// - Throws: `ModelError` when there is no description, or one of another arithmetic.
  static func recognise(_ facts: CheckpointFacts) throws(ModelError) -> ModelCheckpoint? {
    if let whole = try Gemma3Whole(facts) {
      return try recogniseAlone(whole.facts).map { whole.restoringNames(of: $0) }
    }
    return try recogniseAlone(facts)
  }

  private static func recogniseAlone(
    _ facts: CheckpointFacts
  ) throws(ModelError) -> ModelCheckpoint? {
    guard let naming = LLaMANaming.detect(facts.names.lazy.map(\.name)) else {
      // A GGUF file says what it is, whatever its tensors are called.
      if let description = facts.description { try LLaMAConfig.checkGGUF(description) }
      return nil
    }
    guard let description = facts.description else {
      throw ModelError(
        .configuration(
          field: naming == .meta ? "params.json" : "config.json", found: "none beside the weights",
          expected: "the model's, which says how many heads there are"))
    }
    let parts = try Parts(facts.names, naming, description)
    var model = ModelCheckpoint(
      description: ModelDescription(LLaMAFamily.self, parts.config), naming: naming.rawValue,
      tensors: parts.tensors,
      unused: parts.unused, unexpected: parts.unexpected, notes: parts.notes)
    model.frequencies = parts.frequencies
    return model
  }
}

extension LLaMACheckpoint {
  /// A language model among a checkpoint's tensors, alone or as a part of another model.
  struct Parts {
    let config: LLaMAConfig
    /// By our name.
    private(set) var tensors: [String: ModelCheckpoint.Source] = [:]
    private(set) var unused: [String] = []
    /// Those of them that nothing explains: without them it may be another model.
    private(set) var unexpected: [String] = []
    private(set) var frequencies: [String] = []
    private(set) var notes: [Note] = []

    init(
      _ names: [CheckpointFacts.Name], _ naming: LLaMANaming, _ description: JSONValue
    ) throws(ModelError) {
      config =
        naming == .gguf
        ? try LLaMAConfig(gguf: description, names: names)
        : try LLaMAConfig(huggingFace: description)
      if naming != .gguf, !ConfigFields(description, path: "config.json").isTyped {
        notes.append(
          "config.json states neither model_type nor architectures: assuming a LLaMA, with \(config.heads) "
            + "heads and a rope_theta of \(config.ropeBase)")
      }
      let added =
        naming == .gguf || naming == .meta ? 0 : try Decoders.stated(in: description).normOffset
      for (name, shape) in names {
        switch naming.match(name, norms: config.traits.norms) {
        case .tensor("lm_head.weight") where config.tiedEmbeddings:
          notes.append("'\(name)' is not read: the model's head is its table of embeddings")
        case .tensor(let ours) where !config.traits.has(ours):
          unused.append(name)
          unexpected.append(name)
        case .tensor(let ours):
          // Of Phi-3 in GGUF, "ffn_up" is the gates' matrix too.
          if let parts = fusedGates(ours, naming, description) {
            try split(name, shape, parts)
            continue
          }
          try tensors.add(
            .init(
              original: name, shape: shape,
              rows: LLaMACheckpoint.rowOrder(ours, naming, description, config),
              added: ours.hasSuffix("norm.weight") ? added : 0), as: ours)
        case .fused(let parts): try split(name, shape, parts)
        case .derived: frequencies.append(name)
        case .unused where naming == .gguf && LLaMAConfig.ggufFactors.contains(name): break
        case .unused:
          unused.append(name)
          if !HeadModule.isInert((name, shape)), !LLaMANaming.isValueHead(name) {
            unexpected.append(name)
          }
        }
      }
    }

    /// Takes a matrix apart whose rows are those of several of ours.
    private mutating func split(
      _ name: String, _ shape: [Int], _ parts: [String]
    ) throws(ModelError) {
      let counts = parts.map(rows)
      let expected = [counts.reduce(0, +), config.hidden]
      guard shape == expected else {
        throw ModelError(.shape(name, found: shape, expected: expected))
      }
      var first = 0
      for (ours, count) in zip(parts, counts) {
        try tensors.add(
          .init(
            original: name, shape: [count, config.hidden],
            rows: .part(first: first, count: count)), as: ours)
        first += count
      }
    }

    /// Rows of a matrix that may be a part of another.
    private func rows(_ ours: String) -> Int {
      if ours.contains(".q_proj.") { return config.queryColumns }
      return ours.contains("self_attn.") ? config.keyValueColumns : config.feedForward
    }

    private func fusedGates(
      _ ours: String, _ naming: LLaMANaming, _ description: JSONValue
    ) -> [String]? {
      guard naming == .gguf, description["general.architecture"]?.stringValue == "phi3",
        ours.hasSuffix(".mlp.up_proj.weight")
      else { return nil }
      return [ours.parts(between: "up_proj").joined(separator: "gate_proj"), ours]
    }
  }

  /// Meta and GGUF store the queries and keys of LLaMA for a rotation of neighbours, those of the
  /// others are as transformers has them.
  fileprivate static func rowOrder(
    _ name: String, _ naming: LLaMANaming, _ description: JSONValue, _ config: LLaMAConfig
  ) -> RowOrder {
    guard
      naming == .meta
        || naming == .gguf
          && Decoders.gguf(named: description["general.architecture"]?.stringValue ?? "")?
            .ggufTurnsNeighbours == true
    else { return .stored }
    if name.contains(".q_proj.") { return .interleavedRotary(heads: config.heads) }
    if name.contains(".k_proj.") { return .interleavedRotary(heads: config.keyValueHeads) }
    return .stored
  }
}
