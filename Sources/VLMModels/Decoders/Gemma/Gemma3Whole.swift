import VLMFoundation
import VLMTensor

/// Gemma 3 with its tower for pictures, `Gemma3ForConditionalGeneration`, of which the language model is
/// read and nothing else.
struct Gemma3Whole {
  static let stated = StatedClasses(
    classes: ["Gemma3ForConditionalGeneration"], types: ["gemma3"])

  /// The language model as `Gemma3ForCausalLM` has it.
  let facts: CheckpointFacts
  /// The checkpoint's names, by those.
  private let originals: [String: String]
  private let leftOut: [String]

  /// - Returns: nil for another model.
  /// - Throws: `ModelError` when the language model is not described.
  init?(_ facts: CheckpointFacts) throws(ModelError) {
    let fields = try ConfigFields(stated: facts.description, path: "config.json")
    let names = try fields.statedStrings("architectures") ?? []
    let isStated =
      names.isEmpty
      ? try fields.statedString("model_type") == "gemma3"
      : names.contains(where: Self.stated.classes.contains)
    guard isStated else { return nil }
    let text = try fields.object("text_config")
    var description = text.value.objectValue ?? JSONObject()
    if description["model_type"] == nil { description.set("model_type", "gemma3_text") }
    // The head's place is told beside the language model's own fields.
    if !text.has("tie_word_embeddings"), let ties = fields.value["tie_word_embeddings"] {
      description.set("tie_word_embeddings", ties)
    }
    var originals: [String: String] = [:]
    var inner: [CheckpointFacts.Name] = []
    var leftOut: [String] = []
    for (name, shape) in facts.names {
      guard let ours = Self.languageName(name) else {
        leftOut.append(name)
        continue
      }
      originals[ours] = name
      inner.append((ours, shape))
    }
    self.facts = CheckpointFacts(names: inner, description: .object(description))
    self.originals = originals
    self.leftOut = leftOut
  }

  /// Whether `names` are those of such a model with its projector.
  static func isPresent(in names: [String]) -> Bool {
    names.contains { $0.hasSuffix("multi_modal_projector.mm_input_projection_weight") }
  }

  /// transformers 4.52 put the language model into the whole; files of before are the most. The last
  /// ones are of a language model that was taken out.
  private static let prefixes = [
    ("language_model.model.", "model."), ("model.language_model.", "model."),
    ("language_model.lm_head.", "lm_head."), ("lm_head.", "lm_head."),
    ("model.layers.", "model.layers."), ("model.embed_tokens.", "model.embed_tokens."),
    ("model.norm.", "model.norm."),
  ]

  private static func languageName(_ name: String) -> String? {
    for (theirs, ours) in prefixes {
      if let rest = name.dropping(theirs) { return ours + rest }
    }
    return nil
  }

  /// `checkpoint`, which was recognised from `facts`, with the names that the file has.
  func restoringNames(of checkpoint: ModelCheckpoint) -> ModelCheckpoint {
    let known = ["vision_tower.", "multi_modal_projector."].flatMap { [$0, "model." + $0] }
    let (pictures, others) = (
      leftOut.filter { name in known.contains { name.hasPrefix($0) } },
      leftOut.filter { name in !known.contains { name.hasPrefix($0) } }
    )
    var notes: [Note] = []
    if !pictures.isEmpty {
      notes = ["the language model alone: Gemma 3's tower for pictures is not read"]
    }
    var result = checkpoint.renamed(originals, naming: "hugging-face", notes: notes)
    result.addUnused(pictures + others)
    result.unexpected += others
    return result
  }
}
