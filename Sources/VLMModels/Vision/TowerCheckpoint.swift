import VLMFoundation
import VLMTensor

/// What a LLaVA's checkpoint says of its vision tower, before anything is read from its tensors.
package struct TowerFacts: Sendable {
  /// The tower's tensors, without what stands before all of their names.
  package let names: [CheckpointFacts.Name]
  /// `config.json` of the LLaVA, as upstream's code would have written it.
  package let llava: JSONValue
  /// `config.json` of the tower's own folder, if there.
  package let description: JSONValue?
  /// What that is called in messages.
  package let place: String

  package init(
    names: [CheckpointFacts.Name], llava: JSONValue, description: JSONValue?,
    place: String = "config.json"
  ) {
    self.names = names
    self.llava = llava
    self.description = description
    self.place = place
  }

  /// Of the LLaVA's `config.json`.
  var fields: ConfigFields { ConfigFields(llava, path: "config.json") }

  /// `mm_vision_select_layer`: which of transformers' `hidden_states` is read. Upstream's code does
  /// not run without it.
  ///
  /// - Parameters:
  ///   - usual: that of the published models.
  ///   - notes: gets a line where it is not stated.
  /// - Throws: `ModelError` for what is no integer.
  func selectedLayer(usual: Int, notes: inout [Note]) throws(ModelError) -> Int {
    let key = Self.layerKey
    if llava[key]?.arrayValue != nil {
      throw fields.refusal(
        key, found: llava[key]?.serialized() ?? "",
        expected: "one integer: several layers are read of a CLIP's or a SigLIP's tower only")
    }
    if let layer = try fields.statedInt(key) { return layer }
    notes.append(
      "config.json does not state \(key): assuming \(usual), as in the published models")
    return usual
  }

  /// The same of a tower that can give several side by side.
  func selectedLayers(usual: Int, notes: inout [Note]) throws(ModelError) -> [Int] {
    guard llava[Self.layerKey]?.arrayValue != nil else {
      return [try selectedLayer(usual: usual, notes: &notes)]
    }
    guard let layers = try fields.statedInts(Self.layerKey), !layers.isEmpty else {
      throw fields.refusal(Self.layerKey, found: "[]", expected: "an integer or several")
    }
    return layers
  }

  static let layerKey = "mm_vision_select_layer"

  /// What shapes cannot tell is known of OpenAI's CLIPs; of another this is a guess.
  var clipNotes: [Note] {
    guard description == nil else { return [] }
    guard !(llava["mm_vision_tower"]?.stringValue ?? "").contains("clip-vit-") else { return [] }
    return [
      "no config.json of the vision tower: assuming heads of 64 and quick GELU, as in OpenAI's CLIP"
    ]
  }
}

/// A vision tower that a family found among a checkpoint's tensors.
protocol FoundTower {
  associatedtype Config: ModelConfig, VisionTowerConfig

  var config: Config { get }
  /// By our name.
  var tensors: [String: ModelCheckpoint.Source] { get }
  /// Tensors that are no part of what is run.
  var unused: [String] { get }
  /// Those of them that nothing explains: without them it may be another model.
  var unexpected: [String] { get }
  /// What a person should know, one line each.
  var notes: [Note] { get }
}

extension FoundTower {
  /// The tower as a model by itself.
  ///
  /// - Parameter naming: whose names the tensors have.
  func model<F: ModelFamily>(
    _ family: F.Type, naming: String
  ) -> ModelCheckpoint where F.Config == Config {
    ModelCheckpoint(
      description: ModelDescription(family, config), naming: naming, tensors: tensors,
      unused: unused, unexpected: unexpected, notes: notes)
  }

  /// The tower of a language model, with what is to be known of how that one sees before the tower's
  /// own notes.
  func tower(notes before: [Note] = []) -> TowerCheckpoint {
    var tower = TowerCheckpoint(config: config, tensors: tensors)
    (tower.unused, tower.unexpected, tower.notes) = (unused, unexpected, before + notes)
    return tower
  }
}

/// A vision tower found among a LLaVA's tensors.
package struct TowerCheckpoint: Sendable {
  package let config: any VisionTowerConfig
  /// By our name; the checkpoint's names are those of `TowerFacts`.
  package let tensors: [String: ModelCheckpoint.Source]
  /// Tensors that are no part of what the language model sees with.
  package var unused: [String] = []
  /// Those of them that nothing explains: without them it may be another tower.
  package var unexpected: [String] = []
  /// What a person should know, one line each.
  package var notes: [Note] = []
  /// Whether upstream's code for this tower cuts prompts at `tokenizer_model_max_length`.
  package var cutsPrompts = true

  package init(config: any VisionTowerConfig, tensors: [String: ModelCheckpoint.Source]) {
    self.config = config
    self.tensors = tensors
  }
}
