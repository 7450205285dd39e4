import VLMFoundation
import VLMTensor

/// LLaVA-HR's vision tower found in a checkpoint: its geometry, and where its tensors come from.
package struct MultiResolutionCheckpoint: Sendable {
  /// What the language model's `config.json` says of the tower.
  package struct Facts: Sendable {
    /// `input_image_size`.
    package var imageSize: Int
    /// `freeze_vision`; nil when it is not stated, and adapters are there when their tensors are.
    package var isFrozen: Bool?
    /// `vision_tower_slow`: a name in timm, of which "xxlarge" decides the norms' epsilon.
    package var slowName: String
    /// `config.json` of the CLIP that `mm_vision_tower` names, where it is at hand.
    package var clip: JSONValue?
    /// What that is called in messages.
    package var clipPlace = "config.json"

    package init(imageSize: Int, isFrozen: Bool?, slowName: String, clip: JSONValue?) {
      self.imageSize = imageSize
      self.isFrozen = isFrozen
      self.slowName = slowName
      self.clip = clip
    }

    /// - Throws: `ModelError` when `input_image_size` is missing, or a field has another type.
    package init(llava config: JSONValue, clip: JSONValue?) throws(ModelError) {
      let fields = ConfigFields(config, path: "config.json")
      self.init(
        imageSize: try fields.int("input_image_size", 1...16_384),
        isFrozen: try fields.statedBool("freeze_vision"),
        slowName: try fields.statedString("vision_tower_slow") ?? "", clip: clip)
    }
  }

  package let config: MultiResolutionConfig
  /// By our name.
  package let tensors: [String: ModelCheckpoint.Source]
  /// Tensors of the tower that nothing reads.
  package let dead: [String]
  /// Tensors under names that the tower has not.
  package let unused: [String]
  /// What a person should know, one line each.
  let notes: [Note]

  /// Whether `names`, without what stands before a tower's, are such a tower's.
  package static func isPresent(in names: some Sequence<String>) -> Bool {
    names.contains { $0.hasPrefix("slow_vision_tower.") }
  }

  /// - Parameters:
  ///   - names: the tower's tensors with their shapes.
  ///   - prefix: what stands before their names in the checkpoint.
  /// - Throws: `ModelError` when the tensors contradict each other or the facts.
  package init(
    names: [CheckpointFacts.Name], facts: Facts, prefix: String = ""
  ) throws(ModelError) {
    var tensors: [String: ModelCheckpoint.Source] = [:]
    var dead: [String] = []
    var unused: [String] = []
    for (name, shape) in names {
      let original = prefix + name
      switch MultiResolutionNaming.meaning(name) {
      case .tensor(let ours):
        tensors[ours] = ModelCheckpoint.Source(
          original: original, shape: MultiResolutionNaming.modelShape(ours, shape))
      case .dead: dead.append(original)
      case .unused: unused.append(original)
      }
    }
    let fastShapes = Self.shapes(tensors, under: "fast.")
    let geometry = ViTGeometry(
      shapes: fastShapes, description: facts.clip, place: facts.clipPlace)
    var fast = try geometry.config(feature: .patches, usesClassToken: false)
    notes = try geometry.notes()
    fast.showsClassToken = fastShapes["embeddings.class"] != nil
    let (slow, slowTensors) = try Self.slow(tensors, name: facts.slowName)
    for (name, source) in slowTensors { tensors["slow." + name] = source }
    let hasAdapters = tensors.keys.contains { $0.hasPrefix("adapters.") }
    config = MultiResolutionConfig(
      imageSize: facts.imageSize, fast: fast, slow: slow,
      usesAdapters: facts.isFrozen.map { !$0 } ?? hasAdapters)
    try config.validate()
    self.tensors = tensors
    self.dead = dead
    self.unused = unused
  }

  private static func shapes(
    _ tensors: [String: ModelCheckpoint.Source], under prefix: String
  ) -> [String: [Int]] {
    var result: [String: [Int]] = [:]
    for (name, source) in tensors {
      if let rest = name.dropping(prefix) { result[rest] = source.shape }
    }
    return result
  }

  /// The slow path by the rules for any ConvNeXt with timm's names, without its head.
  private static func slow(
    _ tensors: [String: ModelCheckpoint.Source], name: String
  ) throws(ModelError) -> (ConvNeXtConfig, [String: ModelCheckpoint.Source]) {
    var originals: [String: String] = [:]
    var names: [(name: String, shape: [Int])] = []
    for (name, source) in tensors {
      guard let rest = name.dropping("slow.") else { continue }
      originals[rest] = source.original
      names.append((rest, source.shape))
    }
    // The code takes any name with "xxlarge" for that model, and any other for the large one.
    let description: JSONValue? = name.isEmpty ? nil : ["architecture": .string(name)]
    guard let found = try ConvNeXtCheckpoint(names: names, description: description) else {
      throw ModelError(.missingTensor("slow_vision_tower.vision_tower.stages.0.blocks.0.conv_dw"))
    }
    let trunk = try found.tower(selectLayer: -1)
    var result: [String: ModelCheckpoint.Source] = [:]
    for (name, source) in trunk.tensors {
      result[name] = ModelCheckpoint.Source(
        original: originals[source.original] ?? source.original, shape: source.shape)
    }
    return (trunk.config, result)
  }
}
