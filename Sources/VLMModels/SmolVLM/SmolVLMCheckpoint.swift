import VLMFoundation
import VLMTensor

/// A checkpoint recognised as a SmolVLM.
struct SmolVLMCheckpoint {
  private let naming: LLaMANaming
  private let languageNames: [CheckpointFacts.Name]
  /// As a checkpoint of the language model alone has it.
  private let language: JSONValue
  private let vision: ConfigFields
  private let shuffle: Int
  private var tensors: [String: ModelCheckpoint.Source] = [:]
  private var unused: [String] = []
  private var unexpected: [String] = []
  private var notes: [Note]

  /// In transformers' names, with `prefix` before them.
  ///
  /// - Throws: `ModelError` for names that are there twice, and for a description that is missing or
  ///   another model's.
  init(_ facts: CheckpointFacts, prefix: String) throws(ModelError) {
    let head = SmolVLMNaming.head(prefix)
    let description = try SmolVLMDescription(
      facts.description, hasHead: facts.names.contains { $0.name == head })
    try ConfigFields(stated: facts.description, path: "config.json")
      .checkPictureTokens(facts.names)
    (language, vision, shuffle) = (
      description.language, description.vision, description.shuffle
    )
    (naming, notes) = (.huggingFace, description.notes)
    var names: [CheckpointFacts.Name] = []
    var originals: [String: String] = [:]
    for (name, shape) in facts.names {
      switch SmolVLMNaming.part(name, prefix: prefix) {
      case .vision(let ours):
        try tensors.add(.init(original: name, shape: shape), as: "tower.\(ours)")
      case .projector(let ours): try tensors.add(.init(original: name, shape: shape), as: ours)
      case .language(let inner):
        originals[inner] = name
        names.append((inner, shape))
      case .other:
        unused.append(name)
        if !HeadModule.isInert((name, shape)) { unexpected.append(name) }
      }
    }
    languageNames = names
    self.originals = originals
  }

  /// In llama.cpp's two halves.
  ///
  /// - Throws: `ModelError` for a name that is there twice.
  init(_ half: SmolVLMVisionHalf) throws(ModelError) {
    (language, vision, shuffle) = (half.language, half.fields, half.shuffle)
    (naming, notes, languageNames) = (.gguf, half.notes, half.languageNames)
    originals = [:]
    for (ours, source) in half.tensors { try tensors.add(source, as: ours) }
    (unused, unexpected) = (half.unexpected, half.unexpected)
  }

  /// The checkpoint's names of the language model's tensors, by those that they have alone.
  private let originals: [String: String]

  /// - Throws: `ModelError` when the tensors contradict each other or the description, or ask for
  ///   arithmetic that is not supported.
  func model() throws(ModelError) -> ModelCheckpoint {
    var tensors = tensors
    let found = try LLaMACheckpoint.Parts(languageNames, naming, language)
    for (ours, source) in found.tensors {
      try tensors.add(
        .init(
          original: originals[source.original] ?? source.original, shape: source.shape,
          rows: source.rows), as: "language.\(ours)")
    }
    func original(_ name: String) -> String { originals[name] ?? name }
    let shapes = SmolVLMShapes(tensors, self.vision)
    let vision: SmolVLMVisionConfig
    do throws(ModelError) {
      vision = try shapes.config(shuffle: shuffle)
    } catch { throw error.beside(tensors) }
    let config = SmolVLMConfig(vision: vision, language: found.config)
    try vision.validate()
    try shapes.check(config, shuffle: shuffle)
    try config.parts.validate()
    var model = ModelCheckpoint(
      description: ModelDescription(SmolVLMFamily.self, config),
      naming: naming == .gguf ? naming.rawValue : "hugging-face", tensors: tensors,
      unused: unused + found.unused.map(original),
      unexpected: unexpected + found.unexpected.map(original),
      notes: notes + found.notes + (try shapes.notes()))
    model.frequencies = found.frequencies.map(original)
    return model
  }
}

/// Works out the tower's configuration from the shapes of its tensors, and from the description what
/// shapes cannot tell.
private struct SmolVLMShapes {
  private let tensors: [String: ModelCheckpoint.Source]
  private let shapes: PatchTransformerShapes
  private let fields: ConfigFields

  /// Heads and columns of `Idefics3VisionConfig` where nothing is said.
  private static let usual = (heads: 16, width: 1152)
  private static let epsilon: Float = 1e-6

  init(_ tensors: [String: ModelCheckpoint.Source], _ fields: ConfigFields) {
    (self.tensors, self.fields) = (tensors, fields)
    shapes = PatchTransformerShapes(tensors.mapValues(\.shape), scope: "tower.")
  }

  func config(shuffle: Int) throws(ModelError) -> SmolVLMVisionConfig {
    let (width, patchSize) = try shapes.patches()
    let side = try shapes.table(classToken: false).grid.height
    let layers = try shapes.layers()
    try fields.checkSide("image_size", patches: side, patchSize: patchSize)
    let (filled, overflow) = side.multipliedReportingOverflow(by: patchSize)
    return SmolVLMVisionConfig(
      imageSize: try fields.statedSide("image_size") ?? (overflow ? 0 : filled),
      patchSize: patchSize,
      encoder: TransformerConfig(
        width: width, layers: layers, heads: try heads(width).count,
        hidden: try shapes.shape("layers.0.mlp.fc1.weight", rank: 2)[0],
        activation: try fields.statedChoice("hidden_act", Self.activations) ?? .geluTanh,
        epsilon: try fields.statedEpsilon("layer_norm_eps") ?? Self.epsilon),
      shuffle: shuffle)
  }

  private static let activations: KeyValuePairs<String, Activation> = [
    "gelu_pytorch_tanh": .geluTanh, "gelu": .gelu, "quick_gelu": .quickGELU,
  ]

  private func heads(_ width: Int) throws(ModelError) -> (count: Int, isUsual: Bool) {
    try fields.heads(width: width, usual: Self.usual, guess: max(1, width / 64))
  }

  /// What is taken where the description is silent, one line each.
  func notes() throws(ModelError) -> [Note] {
    let width = try shapes.patches().width
    let heads = try heads(width)
    let note = fields.assumption(
      isTyped: true,
      ["num_attention_heads": counted(heads.count, "head")],
      heads.isUsual ? "transformers' default" : "as wide as SigLIP's")
    return note.map { [$0] } ?? []
  }

  /// A description that contradicts the tensors is another model's.
  func check(_ config: SmolVLMConfig, shuffle: Int) throws(ModelError) {
    let encoder = config.vision.encoder
    try fields.check("hidden_size", is: encoder.width)
    try fields.check("num_hidden_layers", is: encoder.layers)
    try fields.check("intermediate_size", is: encoder.hidden)
    try fields.check("patch_size", is: config.vision.patchSize)
    try fields.check("num_channels", is: 3)
    guard let connector = tensors["projector.0.weight"] else {
      throw ModelError(.missingTensor("projector.0.weight")).beside(tensors)
    }
    guard connector.shape.count == 2, connector.shape[1] == config.vision.featureColumns else {
      throw ModelError(
        .configuration(
          field: "scale_factor", found: "\(shuffle)",
          expected: "one with which \(encoder.width) columns make the \(connector.shape.last ?? 0) "
            + "of '\(connector.original)'"))
    }
  }
}
