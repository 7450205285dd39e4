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
  private var notes: [String] = []

  /// The model that the tensors make up; nil when they are no LLaVA's.
  ///
  /// - Throws: `ModelError` when the tensors contradict each other or the description, or ask for
  ///   arithmetic that there is not.
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
        try set(ours, ModelCheckpoint.Source(original: name, shape: shape))
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

  private mutating func set(
    _ name: String, _ source: ModelCheckpoint.Source
  ) throws(ModelError) {
    if let other = tensors.updateValue(source, forKey: name) {
      throw ModelError(
        .configuration(
          field: "tensor '\(name)'", found: "'\(other.original)' and '\(source.original)'",
          expected: "one of them"))
    }
  }

  private mutating func model() throws(ModelError) -> ModelCheckpoint {
    try refuseSpecialTokens()
    let tower = try tower()
    let language = try language()
    let config = LLaVAConfig(
      tower: tower, projector: try projector(tower, language), language: language,
      promptLimit: try promptLimit(tower))
    try config.validate()
    var model = ModelCheckpoint(
      description: .llava(config), naming: "llava", tensors: tensors, unused: unused,
      unexpected: unexpected, notes: notes)
    model.frequencies = frequencies
    return model
  }

  // MARK: - Parts

  private mutating func tower() throws(ModelError) -> VisionTower {
    guard !towerNames.isEmpty else { throw ModelError(.missingTensor("vision tower")) }
    if MultiResolutionCheckpoint.isPresent(in: towerNames.lazy.map(\.name)) {
      return try multiResolutionTower()
    }
    if let tower = try clipTower() { return tower }
    let selected = try integer("mm_vision_select_layer") ?? -1
    guard
      let found = try ConvNeXtCheckpoint(names: towerNames, description: facts.towerDescription)
    else {
      let example = towerPrefix + (towerNames.first?.name ?? "")
      throw ModelError(
        .configuration(
          field: "vision tower", found: "'\(example)' and \(towerNames.count - 1) more tensors",
          expected: "a ConvNeXt's, or a CLIP's, or LLaVA-HR's"))
    }
    let trunk = try found.tower(selectLayer: selected)
    for (name, source) in trunk.tensors {
      try set(
        "tower.\(name)",
        ModelCheckpoint.Source(original: towerPrefix + source.original, shape: source.shape))
    }
    unused += found.unused.map { towerPrefix + $0 }
    // A classifier is of no use here; what is no layer of one may be a part of the trunk.
    let strange = HeadModule.modules(of: towerNames).filter(\.isOther).flatMap(\.names)
    unexpected += (found.headFault?.tensors ?? []).filter { strange.contains($0) }
      .map { towerPrefix + $0 }
    return .convNeXt(trunk.config)
  }

  private mutating func setTower(
    _ sources: [String: ModelCheckpoint.Source], prefix: String
  ) throws(ModelError) {
    for (name, source) in sources {
      try set(
        "tower.\(name)",
        ModelCheckpoint.Source(original: prefix + source.original, shape: source.shape))
    }
  }

  /// LLaVA-HR: a tower with two towers in it.
  private mutating func multiResolutionTower() throws(ModelError) -> VisionTower {
    let found = try MultiResolutionCheckpoint(
      names: towerNames,
      facts: MultiResolutionCheckpoint.Facts(llava: description, clip: facts.towerDescription))
    noteMissingDescription()
    try setTower(found.tensors, prefix: towerPrefix)
    unused += (found.dead + found.unused).map { towerPrefix + $0 }
    unexpected += towerNames.filter {
      found.unused.contains($0.name) && !HeadModule.isInert($0)
    }.map { towerPrefix + $0.name }
    return .multiResolution(found.config)
  }

  /// LLaVA-1.5: CLIP's transformer; nil when the tower is another.
  private mutating func clipTower() throws(ModelError) -> VisionTower? {
    let feature: CLIPViTConfig.Feature
    switch description["mm_vision_select_feature"]?.stringValue ?? "patch" {
    case "patch": feature = .patches
    case "cls_patch": feature = .tokens
    case let other:
      throw ModelError(
        .configuration(
          field: "mm_vision_select_feature", found: "'\(other)'",
          expected: "'patch' or 'cls_patch'"))
    }
    let layer = try integer("mm_vision_select_layer") ?? -2
    guard
      let found = try CLIPViTCheckpoint(
        names: towerNames, description: facts.towerDescription,
        CLIPViTCheckpoint.Selection(feature: feature, layer: layer))
    else { return nil }
    noteMissingDescription()
    try setTower(found.tensors, prefix: towerPrefix)
    unused += found.unused.map { towerPrefix + $0 }
    unexpected += found.unexpected.map { towerPrefix + $0 }
    return .clipViT(found.config)
  }

  /// What shapes cannot tell is known of OpenAI's CLIPs; of another this is a guess.
  private mutating func noteMissingDescription() {
    guard facts.towerDescription == nil else { return }
    let stated = description["mm_vision_tower"]?.stringValue ?? ""
    guard !stated.contains("clip-vit-") else { return }
    notes.append(
      "no config.json of the vision tower: assuming heads of 64 and quick GELU, as in OpenAI's CLIP"
    )
  }

  private mutating func language() throws(ModelError) -> LLaMAConfig {
    let isGGUF = description["general.architecture"] != nil
    let found = try LLaMACheckpoint.Parts(
      languageNames, isGGUF ? .gguf : .huggingFace, description)
    for (ours, source) in found.tensors { try set("language.\(ours)", source) }
    unused += found.unused
    unexpected += found.unexpected
    frequencies += found.frequencies
    notes += found.notes
    return found.config
  }

  private func projector(
    _ tower: VisionTower, _ language: LLaMAConfig
  ) throws(ModelError) -> ProjectorConfig {
    let type = description["mm_projector_type"]?.stringValue ?? "linear"
    guard let layers = ProjectorConfig.layers(ofType: type) else {
      throw ModelError(
        .configuration(
          field: "mm_projector_type", found: "'\(type)'",
          expected: "identity, linear or mlpNx_gelu"))
    }
    if let stated = try integer("mm_hidden_size"), stated != tower.tokenChannels {
      throw ModelError(
        .configuration(
          field: "mm_hidden_size", found: "\(stated)",
          expected: "\(tower.tokenChannels), which the vision tower has"))
    }
    return ProjectorConfig(layers: layers, inputs: tower.tokenChannels, outputs: language.hidden)
  }

  /// Where ConvLLaVA's own code cuts a prompt off; LLaVA-HR's does not look at it.
  private func promptLimit(_ tower: VisionTower) throws(ModelError) -> Int? {
    switch tower {
    case .convNeXt, .clipViT: try integer("tokenizer_model_max_length")
    case .multiResolution: nil
    }
  }

  /// Models trained with tokens around each picture would need them in every prompt.
  private func refuseSpecialTokens() throws(ModelError) {
    guard description["mm_use_im_start_end"]?.boolValue != true else {
      throw ModelError(
        .configuration(field: "mm_use_im_start_end", found: "true", expected: "false"))
    }
  }

  private func integer(_ key: String) throws(ModelError) -> Int? {
    guard let value = description[key], !value.isNull else { return nil }
    guard let number = value.intValue else {
      throw ModelError(
        .configuration(field: key, found: value.kindWithArticle, expected: "an integer"))
    }
    return number
  }
}
