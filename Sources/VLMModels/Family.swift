import VLMFoundation
import VLMTensor

/// What the registry knows of every family of models.
package protocol Family: Sendable {
  /// The name in a container: `architecture` of a model, `type` of a tower, and the key of the
  /// configuration beside it.
  static var name: String { get }
  /// The classes of transformers that are run, and their `model_type`s.
  static var stated: StatedClasses { get }
  /// What a file of its may hold, for the message about one that holds nothing known; nil for what
  /// fills no file.
  static var summary: String? { get }
}

/// The names that transformers' `config.json` has for a family's models.
package struct StatedClasses: Sendable {
  /// In `architectures`.
  package var classes: Set<String> = []
  /// `model_type`, of files that name no class.
  package var types: Set<String> = []
  /// `model_type` of `vision_config` in a LLaVA of transformers, for the towers that it is run with.
  package var towerTypes: Set<String> = []
  /// How the classes are called in messages: "Llama…".
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

/// A family whose models fill a file.
package protocol ModelFamily: Family {
  associatedtype Config: ModelConfig

  /// Whether its models write text.
  static var writesText: Bool { get }
  /// Whether `names`, without anything before them, are those of such a model: by them its place is
  /// found among what else training stores.
  static func isPresent(in names: [String]) -> Bool
  /// The model that the tensors make up; nil when they are none of this family's.
  ///
  /// - Throws: `ModelError` when the tensors contradict each other or the description.
  static func recognise(_ facts: CheckpointFacts) throws(ModelError) -> ModelCheckpoint?
}

extension ModelFamily {
  package static var writesText: Bool { false }
}

/// A family of vision towers, which a language model may see with.
package protocol VisionTowerFamily: Family {
  associatedtype Tower: VisionTowerConfig

  /// Whose tensors these are, for messages: "a ConvNeXt's".
  static var possessive: String { get }

  /// The tower among the tensors of a LLaVA; nil when they are none of this family's.
  ///
  /// - Throws: `ModelError` when the tensors contradict each other or the description.
  static func tower(in facts: TowerFacts) throws(ModelError) -> TowerCheckpoint?
}

/// The configuration of a model: what a container says of it, and what follows for who opens it.
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
  /// The tower for texts whose vectors are likened to those of pictures.
  var text: TextTowerConfig? { get }
  /// The language model that it is or has.
  var languageModel: LLaMAConfig? { get }
  /// The tower through which the language model sees pictures.
  var sight: (any VisionTowerConfig)? { get }
  /// Steps for pictures where a checkpoint has none beside it.
  ///
  /// - Parameter naming: whose names the checkpoint's tensors have.
  func assumedSteps(naming: String) -> AssumedSteps
}

extension ModelConfig {
  package var image: (any VisionTowerConfig)? { nil }
  package var text: TextTowerConfig? { nil }
  package var languageModel: LLaMAConfig? { nil }
  package var sight: (any VisionTowerConfig)? { nil }
  package func assumedSteps(naming: String) -> AssumedSteps { .timm }

  func isEqual(to other: any ModelConfig) -> Bool { (other as? Self) == self }
}

/// Whose steps for pictures are assumed where a checkpoint says nothing.
package enum AssumedSteps: Sendable, Equatable {
  /// timm's defaults for ImageNet.
  case timm
  /// torchvision's, which resize the short side to so many pixels.
  case torchvision(resize: Int)
  /// CLIP's at this side.
  case clip(side: Int)
  /// What this content of a `preprocessor_config.json` says, and whose steps that are.
  case processor(JSONValue, of: String)
}
