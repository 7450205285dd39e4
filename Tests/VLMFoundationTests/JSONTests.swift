import Testing
import VLMFoundation

@Suite("JSON text to value")
struct JSONTests {
  private func problem(_ text: String) -> JSONError.Problem? { problem(Array(text.utf8)) }

  private func problem(
    _ bytes: [UInt8], limits: JSONLimits = JSONLimits()
  ) -> JSONError.Problem? {
    do throws(JSONError) {
      _ = try JSONValue.parse(bytes, limits: limits)
      return nil
    } catch {
      return error.problem
    }
  }

  @Test("every kind of value is read")
  func kinds() throws {
    let value = try JSONValue.parse(
      #" { "a" : [ 1 , -2.5e1, true, false, null, "x" ] , "b": {} } "#)
    let elements: JSONValue = [1, .double(-25), true, false, .null, "x"]
    #expect(value["a"]?.arrayValue?.count == 6)
    #expect(value["a"]?.arrayValue?[1].doubleValue == -25)
    #expect(value["a"]?.arrayValue?[0] == elements.arrayValue?[0])
    #expect(value["a"]?.arrayValue?[2...] == elements.arrayValue?[2...])
    #expect(value["b"]?.objectValue?.isEmpty == true)
    #expect(value["c"] == nil)
  }

  @Test("integers that fit 64 bits are exact, and nothing else is an integer")
  func integers() throws {
    #expect(try JSONValue.parse("9007199254740993").intValue == 9_007_199_254_740_993)
    #expect(try JSONValue.parse("9223372036854775807").intValue == .max)
    #expect(try JSONValue.parse("-9223372036854775808").intValue == .min)
    #expect(try JSONValue.parse("9223372036854775808") == .unsigned(1 << 63))
    #expect(try JSONValue.parse("18446744073709551615").unsignedValue == .max)
    #expect(try JSONValue.parse("0").intValue == 0)
    for text in ["1.0", "1e3", "-0", "18446744073709551616", "-9223372036854775809"] {
      let value = try JSONValue.parse(text)
      #expect(value.intValue == nil && value.unsignedValue == nil, "\(text)")
      #expect(value.serialized() == text)
      #expect(value.doubleValue == Double(text))
    }
    #expect(try JSONValue.parse("1.0") != JSONValue.parse("1"))
  }

  @Test(
    "malformed numbers are refused",
    arguments: [
      "01", "-", "+1", ".5", "1.", "1.e3", "1e", "1e+", "0x10", "-01", "1_000", "NaN", "Infinity",
      "-Infinity", "1e400", "-1e400",
    ])
  func badNumbers(_ text: String) {
    #expect(problem(text) != nil)
  }

  @Test(
    "what other languages write is told by its name",
    arguments: ["NaN", "Infinity", "-Infinity", "None", "True", "False", "undefined"])
  func foreign(_ word: String) {
    #expect(problem("{\"a\": \(word)}") == .notOfJSON(word))
  }

  @Test("a number longer than a double can use is refused")
  func longNumber() {
    let text = "1." + String(repeating: "0", count: 2000)
    #expect(problem(text) == .numberOutOfRange(String(text.prefix(1024))))
  }

  @Test(
    "what RFC 8259 forbids is refused",
    arguments: [
      "", " ", "{", "[", "[1,]", "{\"a\":1,}", "{,}", "[,1]", "[1 2]", "{\"a\" 1}", "{\"a\":}",
      "{a:1}", "{'a':1}", "{\"a\":1 \"b\":2}", "nul", "nulll", "True", "[1}", "{\"a\":1]",
      "1 2", "{}{}", "[]x", "// c\n1", "/**/1", "\"a", "\"\\x\"", "\"\\u12\"", "\"\\u12g4\"",
      "\"\\", "\u{0}", "1\u{0}", "\u{c}1", "\u{a0}1",
    ])
  func malformed(_ text: String) {
    #expect(problem(text) != nil)
  }

  @Test("errors carry the byte where the text goes wrong")
  func offsets() {
    #expect(throws: JSONError(offset: 7, problem: .duplicateKey("a"))) {
      try JSONValue.parse(#"{"a":1,"a":2}"#)
    }
    #expect(
      throws: JSONError(offset: 3, problem: .unexpected(byte: 0x5d, expected: "a value"))
    ) { try JSONValue.parse("[1,]") }
    #expect(throws: JSONError(offset: 2, problem: .truncated(expected: "',' or ']'"))) {
      try JSONValue.parse("[1")
    }
    #expect(throws: JSONError(offset: 3, problem: .trailingBytes)) { try JSONValue.parse("{} x") }
  }

  @Test("duplicate keys are refused, also when equal only after unescaping")
  func duplicates() {
    #expect(problem(#"{"a":1,"b":2,"a":3}"#) == .duplicateKey("a"))
    #expect(problem(#"{"a":1,"\u0061":2}"#) == .duplicateKey("a"))
    #expect(problem(#"[{"x":{"a":1,"a":1}}]"#) == .duplicateKey("a"))
    let many = (0..<40).map { "\"k\($0)\":0" }.joined(separator: ",")
    #expect(problem("{\(many),\"k33\":1}") == .duplicateKey("k33"))
    #expect(problem("{\(many)}") == nil)
  }

  @Test("keys that differ only in Unicode normalization are different keys")
  func normalization() throws {
    let value = try JSONValue.parse("{\"\u{e9}\":1,\"e\u{301}\":2}")
    #expect(value["\u{e9}"]?.intValue == 1)
    #expect(value["e\u{301}"]?.intValue == 2)
  }

  @Test("escapes, surrogate pairs and raw UTF-8 are read")
  func strings() throws {
    let value = try JSONValue.parse(#""\"\\\/\b\f\n\r\tA\u00e9\ud83d\ude00é😀\u0000""#)
    #expect(value.stringValue == "\"\\/\u{8}\u{c}\n\r\tA\u{e9}\u{1f600}\u{e9}\u{1f600}\u{0}")
  }

  @Test(
    "lone surrogates are refused",
    arguments: [#""\ud800""#, #""\udc00""#, #""\ud800\u0041""#, #""\ud800x""#, #""\ud800\n""#])
  func surrogates(_ text: String) throws {
    guard case .loneSurrogate? = problem(text) else {
      Issue.record("\(text) was not refused for its surrogate")
      return
    }
  }

  @Test(
    "invalid UTF-8 is refused: overlong, surrogate, beyond U+10FFFF, stray, cut off",
    arguments: [
      [0xc0, 0xaf], [0xc1, 0xbf], [0xe0, 0x80, 0xaf], [0xf0, 0x80, 0x80, 0xaf], [0xed, 0xa0, 0x80],
      [0xf4, 0x90, 0x80, 0x80], [0xf5, 0x80, 0x80, 0x80], [0x80], [0xff], [0xc3], [0xe2, 0x82],
      [0xe2, 0x28, 0xa1], [0xf0, 0x9f, 0x98],
    ] as [[UInt8]])
  func badUTF8(_ bytes: [UInt8]) {
    #expect(problem([0x22] + bytes + [0x22]) == .invalidUTF8)
    #expect(problem([0x22, 0x5c, 0x6e] + bytes + [0x22]) == .invalidUTF8)
  }

  @Test("every scalar value survives writing and reading")
  func allScalars() throws {
    var text = ""
    for code in stride(from: UInt32(0), through: 0x10ffff, by: 41) {
      if let scalar = Unicode.Scalar(code) { text.unicodeScalars.append(scalar) }
    }
    let read = try JSONValue.parse(JSONValue.string(text).serialized()).stringValue
    #expect(read.map { Array($0.utf8) } == Array(text.utf8))
  }

  @Test("control characters in strings are refused, the delete character is not")
  func controls() {
    for byte: UInt8 in 0..<0x20 {
      #expect(problem([0x22, byte, 0x22]) == .controlCharacter(byte))
    }
    #expect(problem("\"\u{7f}\"") == nil)
  }

  @Test("a byte order mark is refused by name")
  func byteOrderMarks() {
    #expect(problem([0xef, 0xbb, 0xbf, 0x31]) == .byteOrderMark)
    #expect(problem([0xff, 0xfe, 0x31, 0]) == .encoding("UTF-16"))
    #expect(problem([0xfe, 0xff, 0, 0x31]) == .encoding("UTF-16"))
    #expect(problem([0x7b, 0, 0x7d, 0]) == .encoding("UTF-16"))
    #expect(problem([0, 0x5b, 0, 0x5d]) == .encoding("UTF-16"))
    #expect(problem([0xff, 0xfe, 0, 0, 0x31, 0, 0, 0]) == .encoding("UTF-32"))
    #expect(problem([0, 0, 0xfe, 0xff, 0, 0, 0, 0x31]) == .encoding("UTF-32"))
    #expect(problem([0x7b, 0, 0, 0, 0x7d, 0, 0, 0]) == .encoding("UTF-32"))
    #expect(problem([0, 0, 0, 0x5b, 0, 0, 0, 0x5d]) == .encoding("UTF-32"))
  }

  @Test("before a file that people write UTF-8's mark is skipped, and offsets count it")
  func markOfFile() throws {
    let marked: [UInt8] = [0xef, 0xbb, 0xbf] + Array(#" {"a": 1}"#.utf8)
    #expect(try JSONValue.parse(marked, limits: .file)["a"] == 1)
    let broken: [UInt8] = [0xef, 0xbb, 0xbf] + Array("[1,]".utf8)
    do throws(JSONError) {
      let value = try JSONValue.parse(broken, limits: .file)
      Issue.record("\(value)")
    } catch {
      #expect(error.offset == 6)
    }
    let again: [UInt8] = [0xef, 0xbb, 0xbf, 0xef, 0xbb, 0xbf, 0x31]
    #expect(problem(again, limits: .file) != nil)
  }

  @Test("depth, size and value count are bounded")
  func limits() {
    func nested(_ depth: Int) -> [UInt8] {
      Array(repeating: 0x5b, count: depth) + Array(repeating: 0x5d, count: depth)
    }
    #expect(problem(nested(64)) == nil)
    #expect(problem(nested(65)) == .tooDeep(limit: 64))
    #expect(problem(Array(repeating: 0x5b, count: 100_000)) == .tooDeep(limit: 64))
    let small = JSONLimits(maximumBytes: 10, maximumNodes: 3)
    #expect(problem(Array("[1,2,3]".utf8), limits: small) == .tooManyValues(limit: 3))
    #expect(problem(Array("[1,2]".utf8), limits: small) == nil)
    #expect(problem(Array("[1,       2]".utf8), limits: small) == .tooLarge(bytes: 12, limit: 10))
  }

  @Test("every truncation and every byte flip of a text is read or refused, without a trap")
  func mutations() throws {
    let text = Array(
      #"{"a\n\ud83d\ude00é":[1,-2.5e+10,true,null,{"b":"x"}],"c":18446744073709551615}"#.utf8)
    for length in 0..<text.count { #expect(problem(Array(text[..<length])) != nil) }
    var accepted = 0
    for position in text.indices {
      for bit in 0..<8 {
        var changed = text
        changed[position] ^= 1 << bit
        if let value = try? JSONValue.parse(changed) {
          accepted += 1
          #expect(try JSONValue.parse(value.serialized()) == value)
        }
      }
    }
    #expect(accepted > 0)
  }

  @Test("a written value reads back the same, compact and pretty")
  func roundTrip() throws {
    let value: JSONValue = [
      "z": [
        1, -5, .unsigned(.max), .double(0.1), .double(1e300), .double(-0.0),
        .double(.leastNonzeroMagnitude),
      ],
      "a": ["empty": [], "none": [:], "t": true, "n": .null], "q\"\\\u{1}": "tab\tend",
    ]
    #expect(try JSONValue.parse(value.serialized()) == value)
    #expect(try JSONValue.parse(value.serialized(pretty: true)) == value)
    #expect(
      value.serialized()
        == #"{"z":[1,-5,18446744073709551615,0.1,1e+300,-0.0,5e-324],"#
        + #""a":{"empty":[],"none":{},"t":true,"n":null},"q\"\\\u0001":"tab\tend"}"#)
    #expect(
      (["k": [1, ["a": []]]] as JSONValue).serialized(pretty: true)
        == "{\n  \"k\": [\n    1,\n    {\n      \"a\": []\n    }\n  ]\n}")
    #expect(JSONValue.double(.nan) == .null && JSONValue.double(.infinity) == .null)
  }

  @Test("a member is replaced in place and appended at the end")
  func editing() {
    var object = JSONObject()
    for index in 0..<20 { object.set("k\(index)", .int(index)) }
    object.set("k3", "new")
    #expect(object.keys == (0..<20).map { "k\($0)" })
    #expect(object["k3"] == "new" && object["k19"] == 19)
    #expect(!object.insert("k19", 0) && object.count == 20)
  }
}
