import VLMFoundation
import VLMTensor

/// What the registry knows of every family of models.
package protocol Family: Sendable {
  /// The name in a container: `architecture` of a model, `type` of a tower, and the key of the
  /// configuration beside it.
  static var name: String { get }
  /// The classes of transformers that this family runs, and their `model_type`s.
  static var stated: StatedClasses { get }
  /// The models of this family in a word or a few, for the message about a file that holds no known
  /// model; nil for a family that never fills a file alone, or is named with another.
  static var summary: String? { get }
}

/// The names that transformers' `config.json` has for a family's models.
package struct StatedClasses: Sendable {
  /// In `architectures`.
  package var classes: Set<String> = []
  /// `model_type`, of files that name no class.
  package var types: Set<String> = []
  /// `model_type` of `vision_config` in transformers' LLaVAs whose tower is of this family.
  package var towerTypes: Set<String> = []
  /// The classes as messages abbreviate them: "Llama…".
  package var patterns: [String] = []

  package init(
    classes: Set<String> = [], types: Set<String> = [], towerTypes: Set<String> = [],
    patterns: [String] = []
  ) {
    self.classes = classes
    self.types = types
    self.towerTypes = towerTypes
    self.patterns = patterns
  }

  package static let none = StatedClasses()
}

extension Family {
  package static var stated: StatedClasses { .none }
  package static var summary: String? { nil }
}

/// A family of whole models: a container holds one.
package protocol ModelFamily: Family {
  associatedtype Config: ModelConfig

  /// Whether its models write text.
  static var writesText: Bool { get }
  /// Whether it runs models of several names, of which the checkpoint says which it is.
  static var hasManyNames: Bool { get }
  /// Whether `names`, which have no prefix, are those of such a model. The model is found by this in
  /// training checkpoints that store other things beside it.
  static func isPresent(in names: [String]) -> Bool
  /// The model that the tensors make up; nil when they are none of this family's.
  ///
  /// - Throws: `ModelError` when the tensors contradict each other or the description.
  static func recognise(_ facts: CheckpointFacts) throws(ModelError) -> ModelCheckpoint?

  /// What describes the language model and the vision tower, as checkpoints of each alone would have
  /// it; nil where the tensors are none of this family's, or that is what describes them.
  ///
  /// - Throws: as `recognise`.
  static func descriptions(
    of facts: CheckpointFacts
  ) throws(ModelError) -> (language: JSONValue?, tower: JSONValue?)?
  /// Whether a file in GGUF is the vision half of one of its models.
  ///
  /// - Throws: `ModelError` for the half of a model that is none of any family's, where it knows.
  static func isVisionHalf(
    _ metadata: JSONValue, _ names: [CheckpointFacts.Name]
  ) throws(ModelError) -> Bool
}

extension ModelFamily {
  package static var writesText: Bool { false }
  package static var hasManyNames: Bool { false }

  package static func descriptions(
    of facts: CheckpointFacts
  ) throws(ModelError) -> (language: JSONValue?, tower: JSONValue?)? { nil }

  package static func isVisionHalf(
    _ metadata: JSONValue, _ names: [CheckpointFacts.Name]
  ) throws(ModelError) -> Bool { false }
}

/// A family of vision towers that a language model can use.
package protocol VisionTowerFamily: Family {
  associatedtype Tower: VisionTowerConfig

  /// The owner of such tensors in messages: "a ConvNeXt's".
  static var possessive: String { get }

  /// The tower among the tensors of a LLaVA; nil when they are none of this family's.
  ///
  /// - Throws: `ModelError` when the tensors contradict each other or the description.
  static func tower(in facts: TowerFacts) throws(ModelError) -> TowerCheckpoint?
}

/// The configuration of a model, as a container stores it, and what callers can learn from it.
package protocol ModelConfig: Sendable, Equatable {
  var json: JSONValue { get }
  /// Reads what `json` wrote.
  ///
  /// - Throws: `ModelError` for a field that is missing or out of range.
  init(json: JSONValue) throws(ModelError)

  /// Builds the model on `weights`, which sees every tensor that it asks for.
  ///
  /// - Throws: `ModelError` when a tensor is missing or has another shape.
  func build(_ weights: Weights) throws(ModelError) -> ModelLayers

  /// The tower that makes vectors of pictures; nil for a model that makes none.
  var image: (any VisionTowerConfig)? { get }
  /// The text tower whose embeddings are compared with those of pictures.
  var text: TextTowerConfig? { get }
  /// The language model that it is or has.
  var languageModel: LLaMAConfig? { get }
  /// The vision tower of the language model; nil for one that reads text alone.
  var visionTower: (any VisionTowerConfig)? { get }
  /// Whether the language model reads marks around the tiles of a picture: the row and the column of
  /// each.
  var marksTiles: Bool { get }
  /// The preprocessing that is assumed where a checkpoint states none.
  ///
  /// - Parameter naming: whose names the checkpoint's tensors have.
  func assumedSteps(naming: String) -> AssumedSteps
}

extension ModelConfig {
  package var image: (any VisionTowerConfig)? { nil }
  package var text: TextTowerConfig? { nil }
  package var languageModel: LLaMAConfig? { nil }
  package var visionTower: (any VisionTowerConfig)? { nil }
  package var marksTiles: Bool { false }
  package func assumedSteps(naming: String) -> AssumedSteps { .timm }

  func isEqual(to other: any ModelConfig) -> Bool { (other as? Self) == self }
}

/// A vision tower that fills a file alone.
extension ModelConfig where Self: VisionTowerConfig {
  package init(json: JSONValue) throws(ModelError) {
    try self.init(json: json, path: Self.family)
  }

  package func build(_ weights: Weights) throws(ModelError) -> ModelLayers {
    .image(try tower(weights))
  }

  package var image: (any VisionTowerConfig)? { self }
}

/// The preprocessing that is assumed where a checkpoint states none.
package enum AssumedSteps: Sendable, Equatable {
  /// timm's defaults for ImageNet.
  case timm
  /// The same at this side, with no share of a picture cut off but for its proportions: timm's
  /// `crop_pct` 1, as its DINOv3s have it.
  case timmWhole(side: Int)
  /// torchvision's, which resize the short side to so many pixels.
  case torchvision(resize: Int)
  /// CLIP's at this side.
  case clip(side: Int)
  /// This content of a `preprocessor_config.json`, and its origin for messages.
  case processor(JSONValue, of: String)
}
