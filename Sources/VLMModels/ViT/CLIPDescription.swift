import VLMFoundation
import VLMTensor

/// What transformers' `config.json` says of one of CLIP's towers.
struct CLIPDescription {
  /// The tower's own fields.
  let json: JSONValue

  /// - Parameters:
  ///   - description: of the tower or of a whole `CLIPModel`.
  ///   - part: "vision_config" or "text_config".
  init(_ description: JSONValue, _ part: String) {
    // OpenAI's first files have it once more under this name, which transformers lets win whole:
    // what it leaves out is the default.
    if let other = description[part + "_dict"], other.objectValue != nil {
      json = other
    } else {
      json = description[part] ?? description
    }
  }

  /// Models of transformers that name their tensors as CLIP does and compute something else.
  private static let kin = ["siglip", "xclip", "owlv", "blip", "altclip", "groupvit"]

  /// - Throws: `ModelError` naming such a model where the description says that it is one.
  static func refuseKin(_ facts: CheckpointFacts) throws(ModelError) {
    guard let type = facts.description?["model_type"]?.stringValue,
      kin.contains(where: { type.hasPrefix($0) }),
      facts.names.contains(where: {
        $0.name.hasPrefix("vision_model.") || $0.name.hasPrefix("embeddings.")
      })
    else { return }
    throw ModelError(
      .configuration(field: "model_type", found: "'\(type)'", expected: "'clip' or a ConvNeXt's"))
  }

  /// `hidden_act`, quick GELU where nothing is said.
  static func activation(_ tower: JSONValue?) throws(ModelError) -> Activation {
    guard let stated = tower?["hidden_act"] else { return .quickGELU }
    switch stated.stringValue {
    case "quick_gelu": return .quickGELU
    case "gelu": return .gelu
    case let other:
      throw ModelError(
        .configuration(
          field: "hidden_act", found: other.map { "'\($0)'" } ?? stated.kindWithArticle,
          expected: "'quick_gelu' or 'gelu'"))
    }
  }
}
