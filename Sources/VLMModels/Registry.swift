import VLMFoundation
import VLMTensor

/// Every family of models that is known. A new one is a folder and a line here.
package enum Registry {
  /// In the order in which they are asked about a checkpoint. A family whose models contain those of
  /// others stands before them: a LLaVA's names include a CLIP's and a LLaMA's.
  package static let families: [any Family.Type] = [
    SmolVLMFamily.self,
    LLaVAFamily.self,
    SigLIPFamily.self,
    CLIPFamily.self,
    MultiResolutionFamily.self,
    ViTFamily.self,
    FastViTFamily.self,
    MobileNetFamily.self,
    PlainViTFamily.self,
    ConvNeXtFamily.self,
    LLaMAFamily.self,
  ]

  /// Families of whole models.
  package static let models = families.compactMap { $0 as? any ModelFamily.Type }
  /// Families of vision towers.
  package static let towers = families.compactMap { $0 as? any VisionTowerFamily.Type }

  /// What a checkpoint may be, and where more is said of it, for messages.
  package static let summary =
    "one of " + families.compactMap { $0.summary }.joined(separator: ", ")
    + "; docs/models.md has all that are read, and from which files"

  /// The model of a checkpoint whose names have no prefix; nil when no family knows it.
  ///
  /// - Throws: `ModelError` when the tensors contradict each other or the description.
  static func recognise(_ facts: CheckpointFacts) throws(ModelError) -> ModelCheckpoint? {
    try StatedClasses.check(facts.description)
    try refuseOtherTasks(facts.description)
    for family in models {
      if let found = try family.recognise(facts) { return found }
    }
    return nil
  }

  /// What describes the language model and the vision tower of a checkpoint, as their own projects
  /// would have written it.
  ///
  /// - Throws: `ModelError` when the tensors contradict each other or the description.
  package static func descriptions(
    of facts: CheckpointFacts
  ) throws(ModelError) -> (language: JSONValue?, tower: JSONValue?) {
    for family in models {
      if let found = try family.descriptions(of: facts) { return found }
    }
    return (facts.description, facts.towerDescription)
  }

  /// Refuses a file in GGUF that is the vision half of a model of no family.
  ///
  /// - Throws: `ModelError`.
  package static func checkVisionHalf(
    _ metadata: JSONValue, _ names: [CheckpointFacts.Name]
  ) throws(ModelError) {
    for family in models where try family.isVisionHalf(metadata, names) { return }
  }

  /// The tower that a container describes: `type`, and under its name the configuration.
  ///
  /// - Throws: `ModelError` for an unknown type, a field that is missing or out of range, or a tower
  ///   that gives no grid of features.
  package static func tower(json: JSONValue) throws(ModelError) -> any VisionTowerConfig {
    let stated = json["type"]?.stringValue
    for family in towers where family.name == stated {
      let tower = try config(of: family, json[family.name] ?? .null, path: family.name)
      try tower.requireGrid("tower.\(family.name)")
      return tower
    }
    throw ModelError(
      .configuration(
        field: "tower.type", found: stated.map { "'\($0)'" } ?? "nothing",
        expected: alternatives(towers.map { $0.name })))
  }

  /// The JSON that `tower(json:)` reads.
  package static func json(of tower: any VisionTowerConfig) -> JSONValue {
    let name = type(of: tower).family
    var object = JSONObject()
    object.set("type", .string(name))
    object.set(name, tower.json)
    return .object(object)
  }

  /// The configuration of a tower, wherever it stands.
  static func config(
    of family: any VisionTowerFamily.Type, _ json: JSONValue, path: String
  ) throws(ModelError) -> any VisionTowerConfig {
    func read<F: VisionTowerFamily>(_ family: F.Type) throws(ModelError) -> any VisionTowerConfig {
      try F.Tower(json: json, path: path)
    }
    return try read(family)
  }

  /// "'a', 'b' or 'c'".
  static func alternatives(_ names: [String]) -> String {
    let quoted = names.map { "'\($0)'" }
    guard let last = quoted.last, quoted.count > 1 else { return quoted.first ?? "" }
    return quoted.dropLast().joined(separator: ", ") + " or " + last
  }
}
