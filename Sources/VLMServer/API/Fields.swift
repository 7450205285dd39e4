import VLMFoundation

/// The members of an object of a request, read one by one; every error names the member.
struct Fields {
  /// Where the object stands: "" for the request itself, else "messages[0]".
  let place: String
  private let object: JSONObject

  /// - Throws: `APIError` unless the value is an object.
  init(_ value: JSONValue, at place: String) throws(APIError) {
    guard let object = value.objectValue else {
      throw .invalid(
        place.isEmpty ? "body" : place, found: value.kindWithArticle, expected: "an object")
    }
    self.object = object
    self.place = place
  }

  /// All members, those that are null included.
  var members: [JSONObject.Member] { object.members }

  /// The full name of a member.
  func name(_ key: String) -> String { place.isEmpty ? key : "\(place).\(key)" }

  /// A member; nil where it is not there or null.
  subscript(key: String) -> JSONValue? { object[key].flatMap { $0.isNull ? nil : $0 } }

  func invalid(_ key: String, _ value: JSONValue, expected: String) -> APIError {
    .invalid(name(key), found: Self.shown(value), expected: expected)
  }

  /// A small value as it stands, a large one by its kind.
  static func shown(_ value: JSONValue) -> String {
    switch value {
    case .string(let text) where text.utf8.count <= 60: "'\(text)'"
    case .bool, .integer, .unsigned, .number: value.serialized()
    case .array(let elements) where elements.isEmpty: "an empty array"
    default: value.kindWithArticle
    }
  }

  // MARK: - Values

  func string(_ key: String) throws(APIError) -> String? {
    guard let value = self[key] else { return nil }
    guard let text = value.stringValue else { throw invalid(key, value, expected: "a string") }
    return text
  }

  func bool(_ key: String) throws(APIError) -> Bool? {
    guard let value = self[key] else { return nil }
    guard let flag = value.boolValue else { throw invalid(key, value, expected: "true or false") }
    return flag
  }

  func integer(_ key: String, _ range: ClosedRange<Int>) throws(APIError) -> Int? {
    guard let value = self[key] else { return nil }
    // Clients in languages without integers write 5.0.
    let whole = value.intValue ?? value.doubleValue.flatMap { Int(exactly: $0) }
    guard let whole, range.contains(whole) else {
      // One that is far too large is told where the end is.
      let isWhole = value.doubleValue.map { $0 == $0.rounded() && $0 > 0 } ?? false
      let expected =
        range.upperBound == .max && !isWhole
        ? "an integer from \(range.lowerBound) on"
        : "an integer from \(range.lowerBound) to \(range.upperBound)"
      throw invalid(key, value, expected: expected)
    }
    return whole
  }

  func number(_ key: String, _ range: ClosedRange<Double>) throws(APIError) -> Double? {
    guard let value = self[key] else { return nil }
    guard let number = value.doubleValue, range.contains(number) else {
      throw invalid(
        key, value, expected: "a number from \(range.lowerBound) to \(range.upperBound)")
    }
    return number
  }

  func array(_ key: String, atMost limit: Int) throws(APIError) -> [JSONValue]? {
    guard let value = self[key] else { return nil }
    guard let elements = value.arrayValue else { throw invalid(key, value, expected: "an array") }
    guard elements.count <= limit else {
      throw .invalid(
        name(key), found: "\(elements.count) elements", expected: "at most \(limit)")
    }
    return elements
  }

  /// A string, or an array of strings.
  func strings(_ key: String, atMost limit: Int) throws(APIError) -> [String]? {
    guard let value = self[key] else { return nil }
    if let text = value.stringValue { return [text] }
    guard value.arrayValue != nil else {
      throw invalid(key, value, expected: "a string or an array of strings")
    }
    var texts: [String] = []
    for element in try array(key, atMost: limit) ?? [] {
      guard let text = element.stringValue else {
        throw invalid(key, element, expected: "an array of strings")
      }
      texts.append(text)
    }
    return texts
  }

  /// What two members say that are the same thing by two clients' names.
  ///
  /// - Throws: `APIError` where both are there and differ.
  func either<Value: Equatable>(
    _ first: String, _ a: Value?, _ second: String, _ b: Value?
  ) throws(APIError) -> Value? {
    guard let a else { return b }
    guard let b, a != b else { return a }
    throw .invalid(name(first), found: "\(a), and \(name(second)) \(b)", expected: "one of them")
  }

  // MARK: - Unknown members

  /// Refuses members that nobody looks at.
  ///
  /// - Parameters:
  ///   - known: those that are read.
  ///   - ignored: those that do not change the answer, which clients send all the same.
  ///   - neutral: those that are not followed, with the values that ask for nothing.
  /// - Throws: `APIError` naming the first other one.
  func refuseOthers(
    known: Set<String>, ignored: Set<String> = [], neutral: [String: [JSONValue]] = [:]
  ) throws(APIError) {
    for member in object.members where !member.value.isNull {
      let key = member.key
      if known.contains(key) || ignored.contains(key) { continue }
      guard let harmless = neutral[key] else {
        throw APIError(
          status: 400, "unrecognised parameter: \(name(key).escapedForDisplay(limit: 80))",
          parameter: name(key), code: "unknown_parameter")
      }
      guard harmless.contains(where: { $0.isSame(as: member.value) }) else {
        throw .unsupported(
          name(key), "found \(Self.shown(member.value)), which this server cannot follow")
      }
    }
  }
}

extension JSONValue {
  /// Equal, with 0 and 0.0 the same.
  fileprivate func isSame(as other: JSONValue) -> Bool {
    if let a = doubleValue, let b = other.doubleValue { return a == b }
    return self == other
  }
}
