import VLMFoundation
import VLMTensor

/// Required fields of a JSON object, with errors that name the field and what it should be.
struct ConfigFields {
  let value: JSONValue
  let path: String

  init(_ value: JSONValue, path: String) {
    self.value = value
    self.path = path
  }

  var isEmpty: Bool { value.objectValue?.members.isEmpty ?? true }

  /// - Throws: `ModelError` naming a key that is another model's.
  func check(_ keys: ConfigKeys) throws(ModelError) { try keys.check(value, path) }

  func has(_ key: String) -> Bool { value[key].map { !$0.isNull } ?? false }

  func int(_ key: String) throws(ModelError) -> Int {
    guard let result = value[key]?.wholeValue else { throw wrong(key, expected: "an integer") }
    return result
  }

  func double(_ key: String) throws(ModelError) -> Double {
    guard let result = value[key]?.doubleValue else { throw wrong(key, expected: "a number") }
    return result
  }

  func bool(_ key: String) throws(ModelError) -> Bool {
    guard let result = value[key]?.boolValue else { throw wrong(key, expected: "true or false") }
    return result
  }

  func string(_ key: String) throws(ModelError) -> String {
    guard let result = value[key]?.stringValue else { throw wrong(key, expected: "a string") }
    return result
  }

  /// The number, or `fallback` where there is none; what is there and no number is refused.
  func int(
    _ key: String, _ range: ClosedRange<Int>, default fallback: Int? = nil
  ) throws(ModelError) -> Int {
    if let fallback, !has(key) { return fallback }
    let result = try int(key)
    guard range.contains(result) else {
      throw unexpected(
        key, String(result), expected: "\(range.lowerBound) to \(range.upperBound)")
    }
    return result
  }

  func double(_ key: String, default fallback: Double) throws(ModelError) -> Double {
    has(key) ? try double(key) : fallback
  }

  func bool(_ key: String, default fallback: Bool) throws(ModelError) -> Bool {
    has(key) ? try bool(key) : fallback
  }

  /// An array of numbers, at most 1024.
  func doubles(_ key: String) throws(ModelError) -> [Double] {
    let array = value[key]?.arrayValue ?? []
    let numbers = array.compactMap(\.doubleValue)
    guard !array.isEmpty, array.count <= 1024, numbers.count == array.count else {
      throw wrong(key, expected: "an array of at most 1024 numbers")
    }
    return numbers
  }

  func object(_ key: String) throws(ModelError) -> ConfigFields {
    guard let result = value[key], result.objectValue != nil else {
      throw wrong(key, expected: "an object")
    }
    return ConfigFields(result, path: "\(path).\(key)")
  }

  func objects(_ key: String, limit: Int) throws(ModelError) -> [ConfigFields] {
    guard let array = value[key]?.arrayValue, array.count <= limit else {
      throw wrong(key, expected: "an array of at most \(limit) objects")
    }
    return array.enumerated().map { ConfigFields($1, path: "\(path).\(key)[\($0)]") }
  }

  func activation(_ key: String) throws(ModelError) -> Activation {
    let name = try string(key)
    guard let result = Activation(rawValue: name) else {
      throw unexpected(
        key, name,
        expected: Activation.allCases.map(\.rawValue).joined(separator: ", "))
    }
    return result
  }

  /// One of the cases of an enumeration, by its raw value.
  func choice<Choice: RawRepresentable & CaseIterable>(
    _ key: String
  ) throws(ModelError) -> Choice where Choice.RawValue == String {
    let name = try string(key)
    guard let choice = Choice(rawValue: name) else {
      throw unexpected(
        key, name, expected: Choice.allCases.map(\.rawValue).joined(separator: ", "))
    }
    return choice
  }

  func unexpected(_ key: String, _ found: String, expected: String) -> ModelError {
    ModelError(.configuration(field: "\(path).\(key)", found: "'\(found)'", expected: expected))
  }

  func wrong(_ key: String, expected: String) -> ModelError {
    let found = value[key].map { $0.kindWithArticle } ?? "nothing"
    return ModelError(
      .configuration(field: "\(path).\(key)", found: found, expected: expected))
  }
}

extension JSONValue {
  /// A whole number, however it is written: 8 and 8.0.
  var wholeValue: Int? { intValue ?? doubleValue.flatMap { Int(exactly: $0) } }
}
