/// Pulls the pieces of a JSON text one by one, so that a large text need not become a tree.
///
/// The caller follows its own schema: `beginObject`, then `nextKey` until nil, reading one value
/// after each key; `beginArray`, then `nextElement` until false. Everything RFC 8259 forbids is
/// refused, and so are depth and size beyond the limits. Duplicate keys are the caller's to notice,
/// except inside `value()`. Time is linear in the text.
package struct JSONScanner {
  let base: UnsafePointer<UInt8>
  let count: Int
  package internal(set) var offset = 0
  /// Where the key that `nextKey` last returned begins.
  package private(set) var keyOffset = 0
  private let limits: JSONLimits
  private var depth = 0
  private var nodes = 0
  /// A container was just opened, so no comma is due.
  private var isFirst = false

  /// The caller keeps `bytes` alive for the scanner's life.
  package init(
    _ bytes: UnsafeRawBufferPointer, limits: JSONLimits = JSONLimits()
  ) throws(JSONError) {
    guard bytes.count <= limits.maximumBytes else {
      let problem = JSONError.Problem.tooLarge(bytes: bytes.count, limit: limits.maximumBytes)
      throw JSONError(offset: 0, problem: problem)
    }
    guard let address = bytes.baseAddress, bytes.count > 0 else {
      throw JSONError(offset: 0, problem: .truncated(expected: "a value"))
    }
    base = address.assumingMemoryBound(to: UInt8.self)
    count = bytes.count
    self.limits = limits
    if let encoding = Self.otherEncoding(bytes) {
      throw JSONError(offset: 0, problem: .encoding(encoding))
    }
    guard bytes.starts(with: ForeignEncoding.mark) else { return }
    guard limits.allowsMark else { throw JSONError(offset: 0, problem: .byteOrderMark) }
    offset = ForeignEncoding.mark.count
  }

  /// The name of the encoding of a text that is not in UTF-8: by its byte order mark, or by the zeros
  /// beside its first character.
  private static func otherEncoding(_ bytes: UnsafeRawBufferPointer) -> String? {
    if let name = ForeignEncoding.name(of: bytes) { return name }
    for (count, name) in [(4, "UTF-32"), (2, "UTF-16")]
    where bytes.count >= count && bytes.count % count == 0 {
      let first = Array(bytes[..<count])
      let zeros: Int = first.count { (byte: UInt8) in byte == 0 }
      let brackets = [UInt8(ascii: "{"), UInt8(ascii: "[")]
      if zeros == count - 1, brackets.contains(first[0]) || brackets.contains(first[count - 1]) {
        return name
      }
    }
    return nil
  }

  // MARK: Containers

  package mutating func beginObject() throws(JSONError) {
    try begin(UInt8(ascii: "{"), "an object")
  }

  package mutating func beginArray() throws(JSONError) {
    try begin(UInt8(ascii: "["), "an array")
  }

  private mutating func begin(_ bracket: UInt8, _ what: String) throws(JSONError) {
    try expect(bracket, what)
    try countNode()
    depth += 1
    if depth > limits.maximumDepth {
      throw JSONError(offset: offset - 1, problem: .tooDeep(limit: limits.maximumDepth))
    }
    isFirst = true
  }

  /// The next key of the open object, with its colon consumed; nil when the object has closed.
  package mutating func nextKey() throws(JSONError) -> String? {
    guard try advance(to: UInt8(ascii: "}"), or: "',' or '}'") else { return nil }
    skipWhitespace()
    guard offset < count, base[offset] == UInt8(ascii: "\"") else {
      throw unexpected("a key in double quotes")
    }
    keyOffset = offset
    let key = try scanString()
    try expect(UInt8(ascii: ":"), "':'")
    return key
  }

  /// Whether the open array has another element to read; false when it has closed.
  package mutating func nextElement() throws(JSONError) -> Bool {
    try advance(to: UInt8(ascii: "]"), or: "',' or ']'")
  }

  /// Steps over the comma, or over the closing bracket and returns false.
  private mutating func advance(to close: UInt8, or expected: String) throws(JSONError) -> Bool {
    skipWhitespace()
    guard offset < count else { throw unexpected(expected) }
    if base[offset] == close {
      offset += 1
      depth -= 1
      isFirst = false
      return false
    }
    if isFirst {
      isFirst = false
    } else {
      guard base[offset] == UInt8(ascii: ",") else { throw unexpected(expected) }
      offset += 1
    }
    return true
  }

  /// Checks that nothing but whitespace follows.
  package mutating func finish() throws(JSONError) {
    skipWhitespace()
    guard offset == count else { throw JSONError(offset: offset, problem: .trailingBytes) }
  }

  // MARK: Values

  /// The first byte of the next value, not consumed: which kind it will be.
  package mutating func peek() throws(JSONError) -> UInt8 {
    skipWhitespace()
    guard offset < count else { throw unexpected("a value") }
    return base[offset]
  }

  package mutating func string() throws(JSONError) -> String {
    skipWhitespace()
    guard offset < count, base[offset] == UInt8(ascii: "\"") else { throw unexpected("a string") }
    try countNode()
    return try scanString()
  }

  /// A number, as `.integer`, `.unsigned` or `.number`.
  package mutating func number() throws(JSONError) -> JSONValue {
    skipWhitespace()
    guard offset < count, isDigit(offset) || base[offset] == UInt8(ascii: "-") else {
      throw unexpected("a number")
    }
    try countNode()
    return try scanNumber()
  }

  /// Any value, as a tree; duplicate keys are refused.
  package mutating func value() throws(JSONError) -> JSONValue {
    switch try peek() {
    case UInt8(ascii: "{"): return .object(try object())
    case UInt8(ascii: "["):
      try beginArray()
      var elements: [JSONValue] = []
      while try nextElement() { elements.append(try value()) }
      return .array(elements)
    case UInt8(ascii: "\""): return .string(try string())
    case UInt8(ascii: "t"):
      try word("true")
      return .bool(true)
    case UInt8(ascii: "f"):
      try word("false")
      return .bool(false)
    case UInt8(ascii: "n"):
      try word("null")
      return .null
    case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"):
      guard offset + 1 < count, base[offset + 1] == UInt8(ascii: "I") else { return try number() }
      throw foreign()
    default: throw foreign()
    }
  }

  /// What Python and JavaScript write in the place of values that JSON has not, by its name; else that
  /// no value begins here.
  private func foreign() -> JSONError {
    let words = ["NaN", "Infinity", "-Infinity", "None", "True", "False", "undefined"]
    let rest = UnsafeBufferPointer(start: base + offset, count: min(count - offset, 9))
    let word = words.first { rest.starts(with: $0.utf8) }
    return word.map { JSONError(offset: offset, problem: .notOfJSON($0)) } ?? unexpected("a value")
  }

  private mutating func object() throws(JSONError) -> JSONObject {
    try beginObject()
    var object = JSONObject()
    while let key = try nextKey() {
      let start = keyOffset
      guard object.insert(key, try value()) else {
        throw JSONError(offset: start, problem: .duplicateKey(key))
      }
    }
    return object
  }

  private mutating func word(_ word: StaticString) throws(JSONError) {
    try countNode()
    let start = offset
    for index in 0..<word.utf8CodeUnitCount {
      guard offset < count, base[offset] == word.utf8Start[index] else {
        offset = start
        throw unexpected("a value")
      }
      offset += 1
    }
  }

  // MARK: Bytes

  private mutating func skipWhitespace() {
    while offset < count {
      switch base[offset] {
      case 0x20, 0x09, 0x0a, 0x0d: offset += 1
      default: return
      }
    }
  }

  private mutating func expect(_ byte: UInt8, _ what: String) throws(JSONError) {
    skipWhitespace()
    guard offset < count, base[offset] == byte else { throw unexpected(what) }
    offset += 1
  }

  private mutating func countNode() throws(JSONError) {
    nodes += 1
    if nodes > limits.maximumNodes {
      throw JSONError(offset: offset, problem: .tooManyValues(limit: limits.maximumNodes))
    }
  }

  func unexpected(_ expected: String) -> JSONError {
    offset < count
      ? JSONError(offset: offset, problem: .unexpected(byte: base[offset], expected: expected))
      : JSONError(offset: offset, problem: .truncated(expected: expected))
  }

  func isDigit(_ position: Int) -> Bool {
    position < count && base[position] &- UInt8(ascii: "0") < 10
  }
}
