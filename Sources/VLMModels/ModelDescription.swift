import VLMFoundation
import VLMTensor

/// Which model a container holds, with its geometry: the content of the container's `config`.
package struct ModelDescription: Sendable, Equatable {
  /// The value of `architecture`: the family's name.
  package let architecture: String
  package let config: any ModelConfig

  private init(architecture: String, config: any ModelConfig) {
    self.architecture = architecture
    self.config = config
  }

  /// A model of a family.
  package init<F: ModelFamily>(_ family: F.Type, _ config: F.Config) {
    self.init(architecture: F.name, config: config)
  }

  package static func == (a: ModelDescription, b: ModelDescription) -> Bool {
    a.architecture == b.architecture && a.config.isEqual(to: b.config)
  }

  package var json: JSONValue {
    var object = JSONObject()
    object.set("architecture", .string(architecture))
    object.set(architecture, config.json)
    return .object(object)
  }

  /// - Throws: `ModelError` for an unknown architecture, or a field that is missing or out of range.
  package init(json: JSONValue) throws(ModelError) {
    let stated = json["architecture"]?.stringValue
    for family in Registry.models where family.name == stated {
      self = try Self.read(family, json[family.name] ?? .null)
      return
    }
    throw ModelError(
      .configuration(
        field: "architecture", found: stated.map { "'\($0)'" } ?? "nothing",
        expected: Registry.alternatives(Registry.models.map { $0.name })))
  }

  private static func read<F: ModelFamily>(
    _ family: F.Type, _ json: JSONValue
  ) throws(ModelError) -> ModelDescription {
    ModelDescription(family, try F.Config(json: json))
  }

  /// What the field calls the model: where its family runs models of several names, the one that the
  /// checkpoint stated, such as "qwen3"; else, and where it stated none, the family's.
  ///
  /// - Parameter provenance: the container's section.
  package func commonName(provenance: JSONValue?) -> String {
    let family = Registry.models.first { $0.name == architecture }
    guard family?.hasManyNames == true, let stated = provenance?["model_type"]?.stringValue,
      (1...64).contains(stated.utf8.count),
      stated.utf8.allSatisfy({ Self.nameBytes.contains($0) })
    else { return architecture }
    return stated
  }

  private static let nameBytes = Set(
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-".utf8)

  // MARK: - What follows

  /// Outputs that labels may name; nil for a model that does not classify.
  package var classCount: Int? { config.text == nil ? config.image?.vector?.classCount : nil }

  /// Channels that an image model sees.
  package var inputChannels: Int { config.image?.geometry.inputChannels ?? 3 }

  /// Whether the model answers questions about pictures.
  package var seesPictures: Bool { config.visionTower != nil }

  /// The side of the pictures that an image model was trained on; nil where any will do.
  package var trainedSide: Int? { config.image?.geometry.trainedSide }

  /// The language model that it is or has.
  package var language: LLaMAConfig? { config.languageModel }

  /// Rows of the table of embeddings, which the ids of a tokenizer are in; nil for a model that reads
  /// no texts.
  package var tokenRows: Int? { config.text?.vocabulary ?? config.languageModel?.vocabulary }

  /// Every tensor that the model has, in the order it asks for them.
  package func manifest() throws(ModelError) -> [TensorSpec] {
    let recorder = ManifestRecorder()
    guard let scalar = KernelSet(named: "scalar") else { return [] }
    _ = try config.build(Weights(recorder, kernels: scalar))
    return recorder.specs
  }

  /// Names of the tensors of the language model that it is or has.
  package func languageTensors() throws(ModelError) -> Set<String> {
    guard let language, let scalar = KernelSet(named: "scalar") else { return [] }
    let recorder = ManifestRecorder()
    let weights = Weights(recorder, kernels: scalar)
    _ = try LLaMA(seesPictures ? weights[LLaVA.languageName] : weights, language)
    return Set(recorder.specs.map(\.path))
  }
}
