import VLMFoundation
import VLMTensor

/// LLaVA: Liu et al., "Visual Instruction Tuning", and the models of its build: a vision tower, a
/// projector, and a language model that reads projected tokens between those of the text.
///
/// What becomes of a picture before the tower sees it is the container's preprocessing.
package struct LLaVAConfig: Sendable, Equatable {
  package var tower: any VisionTowerConfig
  package var projector: ProjectorConfig
  package var language: LLaMAConfig
  /// How the tiles of a picture become one sequence.
  package var merge: TileMerge
  /// Positions of the longest prompt that the model was trained with, pictures included (ConvLLaVA's
  /// `tokenizer_model_max_length`, where upstream's code cuts); nil where the files do not say.
  package var promptLimit: Int?

  package init(
    tower: any VisionTowerConfig, projector: ProjectorConfig, language: LLaMAConfig,
    promptLimit: Int?, merge: TileMerge = .inOrder
  ) {
    self.merge = merge
    self.tower = tower
    self.projector = projector
    self.language = language
    self.promptLimit = promptLimit
  }

  /// Refuses parts that do not fit each other; each part has checked itself.
  package func validate() throws(ModelError) {
    try projector.validate()
    try merge.validate()
    let channels = tower.geometry.channels
    guard projector.inputs == channels else {
      throw ModelError(
        .configuration(
          field: "projector.inputs", found: "\(projector.inputs)",
          expected: "\(channels), the tower's channels"))
    }
    guard projector.outputs == language.hidden else {
      throw ModelError(
        .configuration(
          field: "projector.outputs", found: "\(projector.outputs)",
          expected: "\(language.hidden), the language model's width"))
    }
    guard merge == .inOrder || tower.givesMap else {
      throw ModelError(
        .configuration(
          field: "merge", found: "a tower that gives a class token too",
          expected: "one that gives patches alone, of which the tiles make a map"))
    }
    if let promptLimit, !(1...LLaMAConfig.maximumContext).contains(promptLimit) {
      throw ModelError(
        .configuration(
          field: "prompt_limit", found: "\(promptLimit)",
          expected: "1 to \(LLaMAConfig.maximumContext)"))
    }
  }

  package static func == (a: LLaVAConfig, b: LLaVAConfig) -> Bool {
    a.tower.isEqual(to: b.tower) && a.projector == b.projector && a.language == b.language
      && a.promptLimit == b.promptLimit && a.merge == b.merge
  }

  package var json: JSONValue {
    var object = JSONObject()
    object.set("tower", Registry.json(of: tower))
    object.set("projector", projector.json)
    object.set("language", language.json)
    object.set("prompt_limit", promptLimit.map { .int($0) } ?? .null)
    if merge != .inOrder { object.set("merge", merge.json) }
    return .object(object)
  }

  /// Reads what `json` wrote; every field is checked, and required but for the merge.
  package init(json: JSONValue) throws(ModelError) {
    let fields = ConfigFields(json, path: "llava")
    tower = try Registry.tower(json: json["tower"] ?? .null)
    projector = try ProjectorConfig(json: json["projector"] ?? .null)
    language = try LLaMAConfig(json: json["language"] ?? .null)
    merge = try TileMerge(json: json["merge"])
    promptLimit = fields.has("prompt_limit") ? try fields.int("prompt_limit") : nil
    try validate()
  }
}
