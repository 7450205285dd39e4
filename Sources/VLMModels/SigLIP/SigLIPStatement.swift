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

  /// Whether the stated class has these tensors; true where none is stated, false for a class that
  /// no family has, which whoever opens the checkpoint refuses by its name.
  ///
  /// - Parameter isTower: whether it is the tower of a language model.
  /// - Throws: `ModelError` for the class of another family, for class and type that contradict each
  ///   other, and for what is no description at all.
  static func isOwn(
    _ json: JSONValue?, _ naming: SigLIPNaming, isTower: Bool
  ) throws(ModelError) -> Bool {
    guard let json else { return true }
    guard json.objectValue != nil else {
      throw ModelError(
        .configuration(
          field: "config.json", found: json.kindWithArticle, expected: "an object"))
    }
    let own = naming == .huggingFace ? SigLIPFamily.stated : wrappers
    let names = try classes(json)
    let type = try SigLIPField.text(json, "model_type")
    if let first = names.first, !names.contains(where: { own.classes.contains($0) }) {
      if !isTower, Registry.unknownClass(in: json) != nil { return false }
      throw other("architectures", first, own.classes)
    }
    if let type, !own.types.contains(type) {
      if !isTower, Registry.unknownClass(in: json) != nil { return false }
      // Whoever reads the language model says so with the field's whole name.
      if isTower, Registry.towerTypes.contains(type) { return true }
      throw other("model_type", type, own.types)
    }
    return true
  }

  private static func classes(_ json: JSONValue) throws(ModelError) -> [String] {
    guard let stated = json["architectures"], !stated.isNull else { return [] }
    let names = (stated.arrayValue ?? []).compactMap(\.stringValue)
    guard let all = stated.arrayValue, all.count == names.count else {
      throw ModelError(
        .configuration(
          field: "architectures", found: stated.kindWithArticle, expected: "an array of strings"))
    }
    return names
  }

  private static func other(
    _ field: String, _ found: String, _ expected: Set<String>
  ) -> ModelError {
    ModelError(
      .configuration(
        field: field, found: "'\(found)'",
        expected: Registry.alternatives(expected.sorted()) + ", as the tensors are a SigLIP's"))
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

/// Fields of a description; null says nothing, and what has another type is refused.
enum SigLIPField {
  /// A whole number, however it is written.
  static func integer(_ json: JSONValue?, _ key: String) throws(ModelError) -> Int? {
    guard let value = json?[key], !value.isNull else { return nil }
    guard let number = whole(value) else { throw wrong(key, value, "an integer") }
    return number
  }

  /// The side of a square: a whole number, or the same one twice.
  static func side(_ json: JSONValue?, _ key: String) throws(ModelError) -> Int? {
    guard let value = json?[key], let array = value.arrayValue else {
      return try integer(json, key)
    }
    guard array.count == 2, let side = whole(array[0]), whole(array[1]) == side else {
      throw ModelError(
        .configuration(
          field: key, found: value.serialized(), expected: "an integer, or the same one twice"))
    }
    return side
  }

  static func number(_ json: JSONValue?, _ key: String) throws(ModelError) -> Double? {
    guard let value = json?[key], !value.isNull else { return nil }
    guard let number = value.doubleValue else { throw wrong(key, value, "a number") }
    return number
  }

  static func bool(_ json: JSONValue?, _ key: String) throws(ModelError) -> Bool? {
    guard let value = json?[key], !value.isNull else { return nil }
    guard let result = value.boolValue else { throw wrong(key, value, "true or false") }
    return result
  }

  static func text(_ json: JSONValue?, _ key: String) throws(ModelError) -> String? {
    guard let value = json?[key], !value.isNull else { return nil }
    guard let result = value.stringValue else { throw wrong(key, value, "a string") }
    return result
  }

  static func object(_ json: JSONValue?, _ key: String) throws(ModelError) -> JSONValue? {
    guard let value = json?[key], !value.isNull else { return nil }
    guard value.objectValue != nil else { throw wrong(key, value, "an object") }
    return value
  }

  /// Refuses pictures of other channels than three.
  static func checkChannels(_ json: JSONValue?, _ key: String) throws(ModelError) {
    guard let count = try integer(json, key), count != 3 else { return }
    throw ModelError(.configuration(field: key, found: "\(count)", expected: "3"))
  }

  private static func whole(_ value: JSONValue) -> Int? {
    value.intValue ?? value.doubleValue.flatMap { Int(exactly: $0) }
  }

  private static func wrong(_ key: String, _ value: JSONValue, _ expected: String) -> ModelError {
    ModelError(.configuration(field: key, found: value.kindWithArticle, expected: expected))
  }
}
