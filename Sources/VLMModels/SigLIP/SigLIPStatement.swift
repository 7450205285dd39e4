import VLMFoundation
import VLMTensor

/// The class that a description states, where the tensors are a SigLIP's.
enum SigLIPStatement {
  /// Those of timm's models in transformers, which say which model it is beside it.
  private static let wrappers = StatedClasses(
    classes: ["TimmWrapperModel", "TimmWrapperForImageClassification"], types: ["timm_wrapper"])

  /// Whether the description says in any of its forms that this is a SigLIP.
  static func isSigLIP(_ json: JSONValue?) -> Bool {
    let stated = SigLIPFamily.stated
    if let type = json?["model_type"]?.stringValue, stated.types.contains(type) { return true }
    for name in json?["architectures"]?.arrayValue ?? [] {
      if let name = name.stringValue, stated.classes.contains(name) { return true }
    }
    let model = json?["model_cfg"] ?? json
    let name = model?["vision_cfg"]?["timm_model_name"] ?? model?["architecture"]
    return name?.stringValue?.contains("siglip") ?? false
  }

  /// Whether the stated class takes pictures as lists of patches; nil where none is stated.
  static func isNaFlex(_ json: JSONValue?) -> Bool? {
    let types = [json, json?["vision_config"]].compactMap { $0?["model_type"]?.stringValue }
    return types.first { $0.hasPrefix("siglip") }.map { $0.hasPrefix("siglip2") }
  }

  /// Whether the stated class has these tensors; true where none is stated, false for a class that
  /// no family has, which whoever opens the checkpoint refuses by its name.
  ///
  /// - Parameters:
  ///   - isTower: whether it is the tower of a language model.
  ///   - place: what the description is called in messages.
  /// - Throws: `ModelError` for the class of another family, for class and type that contradict each
  ///   other, and for what is no description at all.
  static func isOwn(
    _ json: JSONValue?, _ naming: SigLIPNaming, isTower: Bool, place: String
  ) throws(ModelError) -> Bool {
    try StatedClasses.check(json, place)
    let fields = ConfigFields(json ?? .null, path: place)
    let own = naming == .huggingFace ? SigLIPFamily.stated : wrappers
    func other(_ key: String, _ found: String, _ expected: Set<String>) -> ModelError {
      fields.refusal(
        key, found: "'\(found)'",
        expected: Registry.alternatives(expected.sorted()) + ", as the tensors are a SigLIP's")
    }
    let names = try fields.statedStrings("architectures") ?? []
    if let first = names.first, !names.contains(where: { own.classes.contains($0) }) {
      if !isTower, Registry.unknownClass(in: json) != nil { return false }
      throw other("architectures", first, own.classes)
    }
    if let type = try fields.statedString("model_type"), !own.types.contains(type) {
      if !isTower, Registry.unknownClass(in: json) != nil { return false }
      // Whoever reads the language model says so with the field's whole name.
      if isTower, Registry.towerTypes.contains(type) { return true }
      throw other("model_type", type, own.types)
    }
    // Their tensors have the same names, and are other models.
    if naming == .huggingFace, let name = names.first(where: { own.classes.contains($0) }),
      let type = try fields.statedString("model_type"), own.types.contains(type),
      name.hasPrefix("Siglip2") != type.hasPrefix("siglip2")
    {
      throw other(
        "model_type", type,
        own.types.filter { $0.hasPrefix("siglip2") == name.hasPrefix("Siglip2") })
    }
    return true
  }
}

/// What a description says of how the tokens become one vector.
enum SigLIPPooling {
  /// transformers': `vision_use_head`, true where nothing is said; nil without a description.
  case huggingFace(usesHead: Bool?)
  /// timm's pools by the fields that state them, and what the model has by itself: `map` or `avg`.
  case timm(stated: [(field: String, pool: String)], usual: String?)

  /// - Parameter hasHead: whether the tensors have an attention pooling head.
  /// - Throws: `ModelError` where both contradict each other.
  func feature(
    hasHead: Bool, notes: inout [Note]
  ) throws(ModelError) -> SigLIPConfig.Feature {
    switch self {
    case .huggingFace(let usesHead):
      if hasHead {
        guard usesHead == false else { return .attentionPooled }
        notes.append("vision_use_head is false: the pooling head among the weights is left out")
        return .patchMean
      }
      if usesHead == true { throw ModelError(.missingTensor("head.probe")) }
      if usesHead == nil {
        notes.append("no pooling head among the weights: the vector is the mean of the tokens")
      }
      return .patchMean
    case .timm(let stated, let usual):
      var pools = stated
      if let usual, stated.isEmpty { pools.append((field: "architecture", pool: usual)) }
      if !hasHead, pools.contains(where: { $0.pool == "map" }) {
        throw ModelError(.missingTensor("head.probe"))
      }
      let expected = hasHead ? "map" : "avg"
      for (field, pool) in pools where pool != expected {
        throw ModelError(
          .configuration(
            field: field, found: "'\(pool)'",
            expected: "'\(expected)', as the tensors have "
              + (hasHead ? "an attention pooling head" : "no attention pooling head")))
      }
      return hasHead ? .attentionPooled : .patchMean
    }
  }
}
