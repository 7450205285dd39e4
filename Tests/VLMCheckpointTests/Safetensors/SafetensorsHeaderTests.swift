import Testing
import VLMCheckpoint
import VLMFoundation
import VLMTensor

/// Cases S01 to S35: the header's length and text, and the fields of tensors.
@Suite("safetensors: header")
struct SafetensorsHeaderTests {
  let make: Composer

  init() throws { make = try Composer() }

  private let good = "{" + Composer.tensor("t", "F32", "[1]", 0, 4) + "}"
  private let four: [UInt8] = [0, 0, 0x80, 0x3f]

  @Test("S01 an empty file is refused as empty")
  func s01() throws { #expect(try make.problem([]) == .empty) }

  @Test("S02 a file of 1 to 7 bytes is too small for a header")
  func s02() throws {
    for count in 1...7 {
      let bytes = [UInt8](repeating: 1, count: count)
      #expect(try make.problem(bytes) == .headerTooSmall(bytes: count))
    }
  }

  @Test("S03 eight bytes with a header length of zero are refused")
  func s03() throws { #expect(try make.problem(Composer.length(0)) == .headerTooSmall(bytes: 8)) }

  @Test("S04 an empty header and no data is a catalog of no tensors")
  func s04() throws {
    let catalog = try make.read("{}")
    #expect(catalog.tensors.isEmpty && catalog.metadata.isEmpty && catalog.byteCount == 0)
  }

  @Test("S05 a header of one brace, or an array, is refused")
  func s05() throws {
    #expect(try make.problem("{") == .headerTooSmall(bytes: 9))
    #expect(try make.problem("[]") == .headerNotObject(0x5b))
  }

  @Test("S06 a header length one past the limit is refused")
  func s06() throws {
    let bytes = Composer.length(100_000_001) + [0x7b, 0x7d]
    #expect(try make.problem(bytes) == .headerLengthBeyondLimit(100_000_001, limit: 100_000_000))
  }

  @Test("S07 a header length near 2^63 or 2^64 is refused without a trap")
  func s07() throws {
    for length: UInt64 in [1 << 63 - 1, 1 << 63, .max, .max - 7] {
      let problem = try make.problem(Composer.length(length) + [0x7b, 0x7d])
      #expect(problem == .headerLengthBeyondLimit(length, limit: 100_000_000))
    }
  }

  @Test("S08 a header longer than the file is refused, naming both sizes")
  func s08() throws {
    let bytes = Composer.length(100) + Array("{}".utf8)
    #expect(try make.problem(bytes) == .headerTruncated(length: 100, available: 2))
  }

  @Test("S09 a big-endian header length is recognised")
  func s09() throws {
    let bytes = Composer.length(2).reversed() + Array("{}".utf8)
    #expect(try make.problem(bytes) == .headerLengthBigEndian(2))
  }

  @Test("S10 bytes that are not UTF-8, overlong forms and a UTF-16 mark are refused")
  func s10() throws {
    for bad: [UInt8] in [[0xff], [0xc0, 0x80], [0xed, 0xa0, 0x80]] {
      let header = Array("{\"".utf8) + bad + Array("\":1}".utf8)
      let problem = try make.problem(Composer.bytes(header))
      #expect(problem == .json(JSONError(offset: 2, problem: .invalidUTF8)))
    }
    let utf16: [UInt8] = [0xff, 0xfe, 0x7b, 0, 0x7d, 0]
    let mark = JSONError(offset: 0, problem: .encoding("UTF-16"))
    #expect(try make.problem(Composer.bytes(utf16)) == .json(mark))
  }

  @Test("S11 a UTF-8 byte order mark is refused by name")
  func s11() throws {
    let mark = JSONError(offset: 0, problem: .byteOrderMark)
    #expect(try make.problem("\u{feff}" + good, data: four) == .json(mark))
  }

  @Test("S12 whitespace before the brace is accepted with a warning, as the reference does")
  func s12() throws {
    let catalog = try make.read(" \n" + good, data: four)
    #expect(catalog.tensors.count == 1)
    #expect(catalog.warnings == ["header: whitespace before the opening brace"])
  }

  @Test("S13 trailing spaces are accepted")
  func s13() throws {
    let catalog = try make.read(good + "     ", data: four)
    #expect(catalog["t"]?.shape == [1] && catalog.warnings.isEmpty)
  }

  @Test("S14 trailing NUL padding is refused for what it is")
  func s14() throws {
    let problem = try make.problem(good + "\0\0\0", data: four)
    #expect(problem == .headerPaddedWithNul(offset: good.utf8.count))
    #expect(try make.problem("{}\0") == .headerPaddedWithNul(offset: 2))
  }

  @Test("S15 a second value or garbage after the object is refused")
  func s15() throws {
    for tail in ["{}", "x", ",", "}", " 1"] {
      let offset = good.utf8.count + (tail.first == " " ? 1 : 0)
      let problem = try make.problem(good + tail, data: four)
      #expect(problem == .json(JSONError(offset: offset, problem: .trailingBytes)))
    }
  }

  @Test("S16 a tensor name that occurs twice is refused")
  func s16() throws {
    let entry = Composer.tensor("t", "U8", "[0]", 0, 0)
    let refusal = try make.refusal(Composer.bytes("{\(entry),\(entry)}"))
    #expect(refusal?.problem == .duplicateName && refusal?.place == "t")
  }

  @Test("S17 names equal only after unescaping are the same name")
  func s17() throws {
    let header =
      "{" + Composer.tensor("a", "U8", "[0]", 0, 0) + ","
      + Composer.tensor("\\u0061", "U8", "[0]", 0, 0) + "}"
    #expect(try make.problem(header) == .duplicateName)
  }

  @Test(
    "S18 a field that occurs twice in a tensor is refused",
    arguments: ["\"dtype\":\"U8\"", "\"shape\":[4]", "\"data_offsets\":[0,4]", "\"x\":1,\"x\":2"])
  func s18(_ field: String) throws {
    let fields = "\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4],\(field)"
    let name = String(field.dropFirst().prefix { $0 != "\"" })
    #expect(try make.problem(fields: fields) == .duplicateField(name))
  }

  @Test("S19 metadata twice, as an array, nested, with numbers or a key twice is refused")
  func s19() throws {
    let problem = try make.problem("{\"__metadata__\":{},\"__metadata__\":{}}")
    #expect(problem == .duplicateName)
    for (value, found) in [("[]", "an array"), ("\"x\"", "a string"), ("null", "null")] {
      #expect(
        try make.problem("{\"__metadata__\":\(value)}")
          == .wrongType(field: "__metadata__", found: found, expected: "an object of strings"))
    }
    for (value, found) in [("1", "a number"), ("{}", "an object"), ("null", "null")] {
      #expect(
        try make.problem("{\"__metadata__\":{\"k\":\(value)}}")
          == .wrongType(field: "k", found: found, expected: "a string"))
    }
    #expect(
      try make.problem("{\"__metadata__\":{\"k\":\"1\",\"\\u006b\":\"2\"}}")
        == .duplicateMetadata("k"))
  }

  @Test("metadata is kept in order, escapes undone")
  func metadata() throws {
    let catalog = try make.read("{\"__metadata__\":{\"z\":\"1\",\"a\":\"\\n\\u00e9\"}}")
    #expect(catalog.metadata.map(\.key) == ["z", "a"])
    #expect(catalog.metadata.map(\.value) == ["1", "\n\u{e9}"])
  }

  @Test("S20 metadata beyond its budget is refused, and never echoed")
  func s20() throws {
    let value = String(repeating: "x", count: SafetensorsFile.maximumMetadataBytes)
    let error = try make.error(Composer.bytes("{\"__metadata__\":{\"k\":\"\(value)\"}}"))
    let limit = SafetensorsFile.maximumMetadataBytes
    #expect(error?.problem == .metadataBeyondLimit(bytes: limit + 1, limit: limit))
    #expect((error?.description.utf8.count ?? .max) < 500)
  }

  @Test("S21 nesting 100 000 deep in an unknown field is refused by the depth limit")
  func s21() throws {
    let nested = String(repeating: "[", count: 100_000)
    guard case .json(let error)? = try make.problem(fields: "\"x\":\(nested)") else {
      Issue.record("not refused as JSON")
      return
    }
    #expect(error.problem == .tooDeep(limit: SafetensorsFile.maximumDepth))
  }

  @Test(
    "S22 offsets that are no plain non-negative integers are refused",
    arguments: [
      "1.0", "1e3", "-1", "-0", "\"0\"", "null", "true", "[0]", "{}", "NaN", "Infinity", "0x0",
      "00",
    ])
  func s22(_ offset: String) throws {
    let fields = "\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":"
    for pair in ["[\(offset),4]", "[0,\(offset)]"] {
      switch try make.problem(fields: fields + pair) {
      case .wrongType(field: "data_offsets", found: _, expected: _)?, .json?: break
      case let other: Issue.record("\(pair): \(String(describing: other))")
      }
    }
  }

  @Test("S23 large offsets are exact or refused, never rounded")
  func s23() throws {
    let fields = "\"dtype\":\"U8\",\"shape\":[9007199254740993],\"data_offsets\":"
    #expect(
      try make.problem(fields: fields + "[0,9007199254740993]")
        == .dataTruncated(end: 9_007_199_254_740_993, available: 4))
    #expect(
      try make.problem(fields: fields + "[0,9007199254740992]")
        == .sizeMismatch(found: 9_007_199_254_740_992, expected: 9_007_199_254_740_993))
    for offset in ["18446744073709551616", "18446744073709551615", "9223372036854775808"] {
      #expect(
        try make.problem(fields: fields + "[0,\(offset)]")
          == .wrongType(
            field: "data_offsets", found: offset, expected: "a non-negative 63-bit integer"))
    }
  }

  @Test("S24 offsets other than two are refused", arguments: ["[]", "[0]", "[0,4,4]"])
  func s24(_ offsets: String) throws {
    let fields = "\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":\(offsets)"
    #expect(try make.problem(fields: fields) == .wrongOffsetCount)
  }

  @Test("S25 control characters in a name are refused, others escaped when shown")
  func s25() throws {
    for escape in ["\\u0000", "\\n", "\\u001b", "\u{7f}"] {
      let header = "{" + Composer.tensor("a\(escape)b", "U8", "[0]", 0, 0) + "}"
      #expect(try make.problem(header) == .controlCharacterInName)
    }
    let bidi = "{" + Composer.tensor("a\u{202e}b", "U8", "[1]", 0, 0) + "}"
    let error = try make.error(Composer.bytes(bidi))
    #expect(error?.description.contains(": a\\u{202e}b: ") == true)
    let lone = "{" + Composer.tensor("\\ud800", "U8", "[0]", 0, 0) + "}"
    #expect(
      try make.problem(lone) == .json(JSONError(offset: 2, problem: .loneSurrogate(0xd800))))
  }

  @Test("S26 an empty or very long name is refused; a path in a name is only a name")
  func s26() throws {
    #expect(try make.problem("{" + Composer.tensor("", "U8", "[0]", 0, 0) + "}") == .emptyName)
    let long = String(repeating: "n", count: 1 << 20)
    #expect(
      try make.problem("{" + Composer.tensor(long, "U8", "[0]", 0, 0) + "}")
        == .nameTooLong(bytes: 1 << 20, limit: SafetensorsFile.maximumNameBytes))
    for name in ["../../x", "/etc/passwd"] {
      let catalog = try make.read("{" + Composer.tensor(name, "U8", "[0]", 0, 0) + "}")
      #expect(catalog.tensors.map(\.name) == [name])
    }
  }

  @Test("S27 a tensor called __metadata__ is refused")
  func s27() throws {
    let problem = try make.problem(
      "{" + Composer.tensor("__metadata__", "F32", "[1]", 0, 4) + "}", data: four)
    #expect(problem == .wrongType(field: "shape", found: "an array", expected: "a string"))
  }

  @Test(
    "S28 an unknown dtype is refused, listing the known", arguments: ["F128", "f32", "", "F33"])
  func s28(_ dtype: String) throws {
    let fields = "\"dtype\":\"\(dtype)\",\"shape\":[1],\"data_offsets\":[0,4]"
    #expect(try make.problem(fields: fields) == .unknownDType(dtype))
    let error = CheckpointError(path: "f", place: "t", problem: .unknownDType(dtype))
    #expect(error.description.contains("unknown dtype '\(dtype)', expected one of F64, F32, F16"))
  }

  @Test("S29 a missing field is refused by name; an unknown one is ignored with a warning")
  func s29() throws {
    let fields = [
      "dtype": "\"dtype\":\"F32\"", "shape": "\"shape\":[1]",
      "data_offsets": "\"data_offsets\":[0,4]",
    ]
    for (name, _) in fields {
      let others = fields.filter { $0.key != name }.values.joined(separator: ",")
      #expect(try make.problem(fields: others) == .missingField(name))
    }
    let all = fields.values.joined(separator: ",")
    let catalog = try make.read("{\"t\":{\(all),\"note\":{\"a\":[1]}}}", data: four)
    #expect(catalog.warnings == ["header: unknown fields of tensors were ignored (1)"])
    #expect(try make.problem("{\"t\":[]}", data: four) != nil)
  }

  @Test(
    "S30 a shape that is no array of non-negative integers is refused",
    arguments: ["4", "{}", "null", "[-1]", "[1.5]", "[4.0]", "[18446744073709551616]", "[\"4\"]"])
  func s30(_ shape: String) throws {
    let fields = "\"dtype\":\"U8\",\"shape\":\(shape),\"data_offsets\":[0,4]"
    guard case .wrongType(field: "shape", _, _)? = try make.problem(fields: fields) else {
      Issue.record("\(shape) was not refused as a shape")
      return
    }
  }

  @Test("S31 a rank of a million is refused, eight is not")
  func s31() throws {
    let ones = { (count: Int) in
      "[" + Array(repeating: "1", count: count).joined(separator: ",") + "]"
    }
    let limit = SafetensorsFile.maximumRank
    let problem = try make.problem(
      fields: "\"dtype\":\"F32\",\"shape\":\(ones(1_000_000)),\"data_offsets\":[0,4]")
    #expect(problem == .rankBeyondLimit(limit: limit))
    let header = "{" + Composer.tensor("t", "F32", ones(limit), 0, 4) + "}"
    #expect(try make.read(header, data: four)["t"]?.shape.count == limit)
  }

  @Test("S32, S33 a product or a byte count that overflows is refused")
  func s32() throws {
    for (dtype, shape) in [
      ("U8", [2, Int.max]), ("F64", [Int.max]), ("F64", [2, Int.max]), ("F32", [1 << 32, 1 << 32]),
    ] {
      let fields = "\"dtype\":\"\(dtype)\",\"shape\":\(shape),\"data_offsets\":[0,4]"
      #expect(try make.problem(fields: fields) == .sizeOverflow(shape))
    }
    let fields = "\"dtype\":\"U8\",\"shape\":[2,18446744073709551614],\"data_offsets\":[0,4]"
    guard case .wrongType? = try make.problem(fields: fields) else {
      Issue.record("2^64 - 2 was not refused")
      return
    }
  }

  @Test("S34 an empty shape whose other extents overflow is refused, wherever its zero stands")
  func s34() throws {
    for shape in [[0, Int.max, Int.max], [.max, .max, 0], [.max, 0, 2]] {
      let header = "{" + Composer.tensor("t", "U8", "\(shape)", 0, 0) + "}"
      #expect(try make.problem(header) == .sizeOverflow(shape))
    }
    let empty = "{" + Composer.tensor("t", "U8", "[0,65536]", 0, 0) + "}"
    #expect(try make.read(empty)["t"]?.elementCount == 0)
  }

  @Test("S35 sub-byte elements that do not fill whole bytes are refused")
  func s35() throws {
    #expect(
      try make.problem("{" + Composer.tensor("t", "F4", "[3]", 0, 2) + "}", data: [0, 0])
        == .partialBytes(shape: [3], bits: 4))
    #expect(
      try make.problem("{" + Composer.tensor("t", "F6_E2M3", "[3]", 0, 3) + "}", data: [0, 0, 0])
        == .partialBytes(shape: [3], bits: 6))
    let whole = "{" + Composer.tensor("t", "F6_E3M2", "[4]", 0, 3) + "}"
    #expect(try make.read(whole, data: [0, 0, 0])["t"]?.range.count == 3)
  }
}
