import VLMKernels
import VLMNN
import VLMTensor

/// What transformers' `config.json` says of one of CLIP's towers.
struct CLIPDescription {
  /// The tower's own fields.
  let json: JSONValue

  /// - Parameters:
  ///   - description: of the tower or of a whole `CLIPModel`.
  ///   - part: "vision_config" or "text_config".
  init(_ description: JSONValue, _ part: String) {
    let inner = description[part] ?? description
    // OpenAI's first files have every difference once more under this name, which transformers
    // lets win.
    guard let changes = description[part + "_dict"]?.objectValue,
      var object = inner.objectValue
    else {
      json = inner
      return
    }
    for member in changes.members where !member.value.isNull {
      object.set(member.key, member.value)
    }
    json = .object(object)
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
          field: "hidden_act", found: other.map { "'\($0)'" } ?? "a \(stated.kind)",
          expected: "'quick_gelu' or 'gelu'"))
    }
  }
}
