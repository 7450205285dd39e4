import VLMFoundation
import VLMTensor

/// CLIP's vision transformer found among a checkpoint's tensors.
package struct ViTCheckpoint: FoundTower, Sendable {
  package let config: ViTConfig
  package let tensors: [String: ModelCheckpoint.Source]
  /// Tensors that are no part of the tower, or of no use to what is asked of it.
  package let unused: [String]
  let unexpected: [String]
  let notes: [Note]

  /// What LLaVA makes of a tower's tokens.
  package struct Selection: Sendable {
    package var feature: ViTConfig.Feature
    /// `mm_vision_select_layer`: which of transformers' `hidden_states`, -1 the last one. What
    /// comes behind them is left out.
    package var layers: [Int]

    package init(feature: ViTConfig.Feature, layers: [Int] = [-1]) {
      self.feature = feature
      self.layers = layers
    }
  }

  /// - Parameters:
  ///   - names: tensors with their shapes; the tower's begin with "vision_model." or with nothing.
  ///   - description: `config.json` of a `CLIPVisionModel` or `CLIPModel`, if there.
  ///   - place: what the description is called in messages.
  /// - Returns: nil when there is no such tower.
  /// - Throws: `ModelError` when the tensors contradict each other or the description.
  package init?(
    names: [CheckpointFacts.Name], description: JSONValue?, place: String = "config.json",
    _ selection: Selection
  ) throws(ModelError) {
    guard let parts = ViTNaming.split(names) else { return nil }
    var found: [String: ModelCheckpoint.Source] = [:]
    var unused: [String] = []
    var unexpected: [String] = []
    for name in parts.others {
      if selection.feature == .pooled, name.name == ViTNaming.projection {
        found["projection"] = ModelCheckpoint.Source(original: name.name, shape: name.shape)
        continue
      }
      unused.append(name.name)
      // What is no part of the tower is of no use to who reads its tokens.
      let isOther = name.name == ViTNaming.projection || ViTNaming.isOfTexts(name.name)
      if selection.feature.isVector, !isOther, !HeadModule.isInert(name) {
        unexpected.append(name.name)
      }
    }
    for (name, prefixed) in parts.tower {
      guard let ours = ViTNaming.canonical(prefixed) else {
        unused.append(name.name)
        if !HeadModule.isInert(name) { unexpected.append(name.name) }
        continue
      }
      found[ours] = ModelCheckpoint.Source(original: name.name, shape: name.shape)
    }
    let geometry = ViTGeometry(
      shapes: found.mapValues(\.shape), description: description, place: place)
    let config: ViTConfig
    do throws(ModelError) {
      config = try geometry.config(feature: selection.feature, selectLayers: selection.layers)
    } catch {
      throw error.beside(found)
    }
    self.config = config
    notes = try geometry.notes()
    tensors = found.filter { name, _ in
      name.hasPrefix("post_norm.")
        ? selection.feature == .pooled : config.encoder.runs(name)
    }
    self.unused = unused
    self.unexpected = unexpected
  }

  static let guessed: Note =
    "no config.json beside the weights: assuming heads of 64 and quick GELU, as in OpenAI's CLIP"

  /// The tower as a model by itself, pooled; nil when the tensors are none.
  static func recognise(_ facts: CheckpointFacts) throws(ModelError) -> ModelCheckpoint? {
    guard
      let found = try ViTCheckpoint(
        names: facts.names, description: facts.description, Selection(feature: .pooled))
    else { return nil }
    return ModelCheckpoint(
      description: ModelDescription(ViTFamily.self, found.config), naming: "hugging-face",
      tensors: found.tensors, unused: found.unused, unexpected: found.unexpected,
      notes: facts.description == nil ? [guessed] : found.notes)
  }
}
