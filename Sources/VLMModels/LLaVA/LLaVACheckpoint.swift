import VLMFoundation
import VLMTensor

/// A checkpoint recognised as a LLaVA of upstream's code: a language model in transformers' names,
/// a projector, and a vision tower among them or in a folder of its own.
struct LLaVACheckpoint {
  private let facts: CheckpointFacts
  private let description: JSONValue
  private var towerNames: [CheckpointFacts.Name] = []
  /// What stands before a tower's names in the checkpoint.
  private var towerPrefix = ""
  private var languageNames: [CheckpointFacts.Name] = []
  private var tensors: [String: ModelCheckpoint.Source] = [:]
  private var unused: [String] = []
  private var unexpected: [String] = []
  private var frequencies: [String] = []
  private var notes: [Note] = []
  private var merge = TileMerge.inOrder

  /// The model that the tensors make up; nil when they are no LLaVA's.
  ///
  /// - Throws: `ModelError` when the tensors contradict each other or the description, or ask for
  ///   arithmetic that is not supported.
  static func recognise(_ facts: CheckpointFacts) throws(ModelError) -> ModelCheckpoint? {
    let names = facts.names.lazy.map(\.name)
    let isStated = facts.description?["mm_vision_tower"]?.stringValue != nil
    guard LLaVANaming.detect(names) || isStated && LLaMANaming.detect(names) != nil else {
      return nil
    }
    guard let description = facts.description else {
      throw ModelError(
        .configuration(
          field: "config.json", found: "none beside the weights",
          expected: "the LLaVA's, which says how many heads there are"))
    }
    var checkpoint = try LLaVACheckpoint(facts, description)
    return try checkpoint.model()
  }

  private init(_ facts: CheckpointFacts, _ description: JSONValue) throws(ModelError) {
    self.facts = facts
    self.description = description
    var folder: [CheckpointFacts.Name] = []
    for (name, shape) in facts.names {
      if name.hasPrefix(CheckpointFacts.towerPrefix) {
        folder.append((String(name.dropFirst(CheckpointFacts.towerPrefix.count)), shape))
        continue
      }
      switch LLaVANaming.part(name) {
      case .tower(let prefix, let inner):
        towerNames.append((inner, shape))
        towerPrefix = prefix
      case .projector(let ours):
        try tensors.add(.init(original: name, shape: shape), as: ours)
      case .newline:
        try tensors.add(.init(original: name, shape: shape), as: "image_newline")
      case .language(let inner): languageNames.append((inner, shape))
      }
    }
    if towerNames.isEmpty {
      towerNames = folder
      towerPrefix = CheckpointFacts.towerPrefix
    } else if !folder.isEmpty {
      notes.append(
        "the checkpoint has the vision tower's weights: those of its folder are not read")
    }
  }

  private mutating func model() throws(ModelError) -> ModelCheckpoint {
    try refuseSpecialTokens()
    let tower = try tower()
    let tiles = try LLaVATiles(fields, side: tower.config.geometry.trainedSide)
    merge = tiles.merge
    let language = try language()
    let config = LLaVAConfig(
      tower: tower.config, projector: try projector(tower.config.geometry.channels, language),
      language: language,
      // Where ConvLLaVA's own code cuts a prompt off.
      promptLimit: tower.cutsPrompts ? try fields.statedInt("tokenizer_model_max_length") : nil,
      merge: tiles.merge)
    try config.validate()
    var model = ModelCheckpoint(
      description: ModelDescription(LLaVAFamily.self, config), naming: "llava", tensors: tensors,
      unused: unused,
      unexpected: unexpected, notes: notes)
    model.frequencies = frequencies
    model.tiles = tiles.sizes
    return model
  }

  // MARK: - Parts

  private mutating func tower() throws(ModelError) -> TowerCheckpoint {
    guard !towerNames.isEmpty else { throw ModelError(.missingTensor("vision tower")) }
    let facts = TowerFacts(
      names: towerNames, llava: towerSelection, description: facts.towerDescription,
      place: facts.towerPlace)
    try StatedClasses.check(facts.description, facts.place)
    for family in Registry.towers {
      guard let found = try family.tower(in: facts) else { continue }
      try checkType(facts.description, family)
      for (name, source) in found.tensors {
        try tensors.add(source.renamed { towerPrefix + $0 }, as: "tower.\(name)")
      }
      unused += found.unused.map { towerPrefix + $0 }
      unexpected += found.unexpected.map { towerPrefix + $0 }
      notes += found.notes
      return found
    }
    let example = towerPrefix + (towerNames.first?.name ?? "")
    throw ModelError(
      .configuration(
        field: "vision tower", found: "'\(example)' and \(towerNames.count - 1) more tensors",
        expected: Registry.towers.map { $0.possessive }.joined(separator: ", or ")))
  }

  /// The description with the layer of the tower that is read. The code of LLaVA-OneVision's authors
  /// takes the last layer off Google's SigLIP, whatever it says, and stores what is left: of a tower
  /// among the model's own tensors the last is read.
  private var towerSelection: JSONValue {
    let ratio = description["image_aspect_ratio"]?.stringValue ?? ""
    guard isQwen, ratio.hasPrefix("anyres"), towerPrefix != CheckpointFacts.towerPrefix,
      var object = description.objectValue
    else { return description }
    object.set("mm_vision_select_layer", -1)
    return .object(object)
  }

  /// Whether the class is that of LLaVA-OneVision's authors.
  private var isQwen: Bool {
    let classes = (description["architectures"]?.arrayValue ?? []).compactMap(\.stringValue)
    return classes == ["LlavaQwenForCausalLM"]
      || classes.isEmpty && description["model_type"] == "llava_qwen"
  }

  /// Refuses a tower that has one family's tensors and another's description.
  private func checkType(
    _ description: JSONValue?, _ family: any VisionTowerFamily.Type
  ) throws(ModelError) {
    guard let type = description?["model_type"]?.stringValue,
      !family.stated.towerTypes.contains(type),
      Registry.towers.contains(where: { $0.stated.towerTypes.contains(type) })
    else { return }
    throw ModelError(
      .configuration(
        field: "vision_config.model_type", found: "'\(type)'",
        expected: "\(family.possessive), whose tensors these are"))
  }

  private mutating func language() throws(ModelError) -> LLaMAConfig {
    let isGGUF = description["general.architecture"] != nil
    let found = try LLaMACheckpoint.Parts(
      languageNames, isGGUF ? .gguf : .huggingFace, languageDescription)
    for (ours, source) in found.tensors { try tensors.add(source, as: "language.\(ours)") }
    unused += found.unused
    unexpected += found.unexpected
    frequencies += found.frequencies
    notes += found.notes
    return found.config
  }

  /// The description without what the language model's own class does not know.
  private var languageDescription: JSONValue {
    guard var object = description.objectValue else { return description }
    object.set(TransformersLLaVA.biasKey, .null)
    guard merge != .inOrder else { return .object(object) }
    object.set("mm_patch_merge_type", "flat")
    // Of LLaVA-OneVision's videos, which are not read.
    for key in ["mm_newline_position", "mm_spatial_pool_mode", "mm_spatial_pool_stride"] {
      object.set(key, .null)
    }
    return .object(object)
  }

  private func projector(
    _ channels: Int, _ language: LLaMAConfig
  ) throws(ModelError) -> ProjectorConfig {
    let type = try fields.statedString("mm_projector_type") ?? "linear"
    guard let layers = ProjectorConfig.layers(ofType: type) else {
      throw fields.refusal(
        "mm_projector_type", found: "'\(type)'", expected: "identity, linear or mlpNx_gelu")
    }
    if let stated = try fields.statedInt("mm_hidden_size"), stated != channels {
      throw fields.refusal(
        "mm_hidden_size", found: "\(stated)",
        expected: "\(channels), which the vision tower has")
    }
    if let shape = tensors["projector.0.weight"]?.shape, shape.count == 2, shape[1] != channels,
      let selected = description[TowerFacts.layerKey], selected.arrayValue != nil
    {
      throw fields.refusal(
        TowerFacts.layerKey, found: "\(selected.serialized()), \(channels) columns",
        expected: "as many layers as the projector reads columns of, \(shape[1])")
    }
    let hasBias = try fields.bool(TransformersLLaVA.biasKey, default: true)
    let biases = tensors.keys.filter { $0.hasPrefix("projector.") && $0.hasSuffix(".bias") }
    if !hasBias, !biases.isEmpty {
      throw fields.refusal(
        TransformersLLaVA.biasKey, found: "false", expected: "true, as the projector has biases")
    }
    return ProjectorConfig(
      layers: layers, inputs: channels, outputs: language.hidden, hasBias: hasBias)
  }

  /// Models trained with tokens around each picture would need them in every prompt.
  private func refuseSpecialTokens() throws(ModelError) {
    guard try fields.statedBool("mm_use_im_start_end") != true else {
      throw fields.refusal("mm_use_im_start_end", found: "true", expected: "false")
    }
  }

  private var fields: ConfigFields { ConfigFields(description, path: "config.json") }
}
