import VLMFoundation
import VLMTensor

// Fields of descriptions that others wrote, each of which may be missing. Null says nothing. What is
// there and has another type or an impossible value is refused: with a default in its place the model
// would be another one.

extension ConfigFields {
  /// The fields of a description; none where there is none.
  ///
  /// - Throws: `ModelError` for a description that is no object.
  init(stated json: JSONValue?, path: String) throws(ModelError) {
    let json = json ?? .null
    guard json.isNull || json.objectValue != nil else {
      throw ModelError(
        .configuration(field: path, found: json.kindWithArticle, expected: "an object"))
    }
    self.init(json, path: path)
  }

  /// How many fields there are.
  var count: Int { value.objectValue?.members.count ?? 0 }

  /// The name of a field in messages.
  func name(_ key: String) -> String { "\(path).\(key)" }

  /// Says what is wrong with a field.
  func refusal(_ key: String, found: String, expected: String) -> ModelError {
    ModelError(.configuration(field: name(key), found: found, expected: expected))
  }

  func statedInt(_ key: String, _ range: ClosedRange<Int>? = nil) throws(ModelError) -> Int? {
    guard has(key) else { return nil }
    let result = try int(key)
    if let range, !range.contains(result) {
      throw refusal(
        key, found: "\(result)", expected: "\(range.lowerBound) to \(range.upperBound)")
    }
    return result
  }

  func statedInts(_ key: String) throws(ModelError) -> [Int]? {
    guard has(key) else { return nil }
    let array = value[key]?.arrayValue
    let numbers = (array ?? []).compactMap(\.wholeValue)
    guard let array, array.count == numbers.count else {
      throw wrong(key, expected: "an array of integers")
    }
    return numbers
  }

  /// The side of a square: a whole number, or the same one twice.
  func statedSide(_ key: String) throws(ModelError) -> Int? {
    guard value[key]?.arrayValue != nil else { return try statedInt(key) }
    let sides = try statedInts(key) ?? []
    guard sides.count == 2, sides[0] == sides[1] else {
      throw refusal(
        key, found: value[key]?.serialized() ?? "nothing",
        expected: "an integer, or the same one twice")
    }
    return sides[0]
  }

  /// The extent of a picture: an integer for a square, or a height and a width.
  func statedExtent(_ key: String) throws(ModelError) -> MapExtent? {
    let sides: [Int]
    if value[key]?.arrayValue != nil {
      sides = try statedInts(key) ?? []
    } else {
      guard let side = try statedInt(key) else { return nil }
      sides = [side, side]
    }
    let range = 1...16_384
    guard sides.count == 2, sides.allSatisfy(range.contains) else {
      throw refusal(
        key, found: value[key]?.serialized() ?? "nothing",
        expected: "\(range.lowerBound) to \(range.upperBound), or so a height and a width")
    }
    return MapExtent(height: sides[0], width: sides[1])
  }

  /// The picture that timm's `pretrained_cfg` is for; nil for none, and where it is not one.
  func timmInput() throws(ModelError) -> MapExtent? {
    let inner = try statedObject("pretrained_cfg") ?? self
    let size = (inner.value["input_size"]?.arrayValue ?? []).compactMap(\.wholeValue)
    return size.count == 3 ? MapExtent(height: size[1], width: size[2]) : nil
  }

  func statedDouble(_ key: String) throws(ModelError) -> Double? {
    has(key) ? try double(key) : nil
  }

  /// What a norm adds to the variance; nil where it is not stated.
  func statedEpsilon(_ key: String) throws(ModelError) -> Float? {
    has(key) ? try epsilon(key) : nil
  }

  /// The same, which has to be stated.
  func epsilon(_ key: String) throws(ModelError) -> Float {
    let number = try double(key)
    let epsilon = Float(number)
    guard epsilon > 0, epsilon < 1 else {
      throw refusal(key, found: "\(number)", expected: "a number between 0 and 1")
    }
    return epsilon
  }

  func statedBool(_ key: String) throws(ModelError) -> Bool? { has(key) ? try bool(key) : nil }

  func statedString(_ key: String) throws(ModelError) -> String? {
    has(key) ? try string(key) : nil
  }

  func statedStrings(_ key: String) throws(ModelError) -> [String]? {
    guard has(key) else { return nil }
    let array = value[key]?.arrayValue
    let texts = (array ?? []).compactMap(\.stringValue)
    guard let array, array.count == texts.count else {
      throw wrong(key, expected: "an array of strings")
    }
    return texts
  }

  /// The fields of an object inside, whose place in messages is its key.
  func statedObject(_ key: String) throws(ModelError) -> ConfigFields? {
    guard has(key) else { return nil }
    guard let inner = value[key], inner.objectValue != nil else {
      throw wrong(key, expected: "an object")
    }
    return ConfigFields(inner, path: key)
  }

  /// What one of some names stands for.
  func statedChoice<Choice>(
    _ key: String, _ choices: KeyValuePairs<String, Choice>
  ) throws(ModelError) -> Choice? {
    guard let name = try statedString(key) else { return nil }
    if let choice = choices.first(where: { $0.key == name }) { return choice.value }
    throw refusal(
      key, found: "'\(name)'", expected: Registry.alternatives(choices.map(\.key)))
  }

  // MARK: - Against the tensors

  /// Refuses a number that contradicts the tensors.
  func check(_ key: String, is count: Int) throws(ModelError) {
    guard let stated = try statedInt(key), stated != count else { return }
    throw refusal(key, found: "\(stated)", expected: "\(count), which the tensors have")
  }

  /// Refuses a side from which the position table does not follow.
  ///
  /// - Parameters:
  ///   - side: rows of patches that the table has.
  ///   - patchSize: above 0.
  func checkSide(_ key: String, patches side: Int, patchSize: Int) throws(ModelError) {
    guard let stated = try statedSide(key), stated / patchSize != side else { return }
    throw refusal(
      key, found: "\(stated)",
      expected: "\(side.multipliedReportingOverflow(by: patchSize).partialValue), which the "
        + "position table has")
  }

  /// Heads of attention that are stated, which no shape tells.
  func statedHeads(_ key: String, width: Int, of widthKey: String) throws(ModelError) -> Int? {
    guard let heads = try statedInt(key, 1...1024) else { return nil }
    guard width % heads == 0 else {
      throw refusal(key, found: "\(heads)", expected: "a divisor of \(widthKey), \(width)")
    }
    return heads
  }

  /// The same of a tower in transformers. Its files leave out what is the class's default, which
  /// those that say nothing of sizes cannot be trusted with unless the tower has the default's.
  ///
  /// - Parameters:
  ///   - usual: heads and columns that are the class's defaults.
  ///   - guess: heads of the published model of this width.
  func heads(
    width: Int, usual: (heads: Int, width: Int), guess: Int
  ) throws(ModelError) -> (count: Int, isUsual: Bool) {
    let key = "num_attention_heads"
    if let heads = try statedHeads(key, width: width, of: "hidden_size") { return (heads, false) }
    guard has("hidden_size") || has("patch_size") || width == usual.width else {
      return (guess, false)
    }
    guard width % usual.heads == 0 else {
      throw refusal(
        key, found: "nothing",
        expected: "a divisor of hidden_size, \(width), as the default, \(usual.heads), is none")
    }
    return (usual.heads, true)
  }

  // MARK: - What is left out

  /// Whether the description says what it describes.
  var isTyped: Bool { has("model_type") || has("architectures") }

  /// A note of what is taken where the description is silent; nil where it says enough.
  ///
  /// The defaults of a stated class are known. Heads are told all the same: nothing else shows that
  /// they are wrong.
  ///
  /// - Parameters:
  ///   - isTyped: whether it is stated which class it describes.
  ///   - values: the text for each key that shapes cannot tell, that of the heads first.
  ///   - whose: where these values come from.
  func assumption(
    isTyped: Bool, _ values: KeyValuePairs<String, String>, _ whose: String
  ) -> Note? {
    let left = values.filter { !has($0.key) }
    guard let first = left.first, !isTyped || first.key == values.first?.key else { return nil }
    return Note(
      "\(path) does not state \(Self.list(left.map(\.key))): assuming "
        + "\(Self.list(left.map(\.value))), \(whose)")
  }

  /// "a, b and c".
  private static func list(_ texts: [String]) -> String {
    guard let last = texts.last, texts.count > 1 else { return texts.first ?? "" }
    return texts.dropLast().joined(separator: ", ") + " and " + last
  }
}
