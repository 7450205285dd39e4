import Foundation
import Testing
import VLMCheckpoint
import VLMTestSupport

@Suite("GGUF: malformed files")
struct GGUFHostileTests {
  typealias Make = GGUFComposer

  let make: GGUFComposer

  init() throws { make = try GGUFComposer() }

  @Test("G01 versions 0, 1 and 4 are refused by number")
  func g01() throws {
    for version in [UInt32(0), 1, 4, 0xffff_ffff] {
      #expect(try make.gguf(Make.file(version: version)) == .version(version))
    }
  }

  @Test("G02 a big-endian file is named as one")
  func g02() throws {
    for version in [UInt32(1), 2, 3] {
      let bytes = Make.file(version: version.byteSwapped)
      #expect(try make.gguf(bytes) == .bigEndian(version: version))
    }
  }

  @Test("G03 a header that ends early is refused at every length")
  func g03() throws {
    let whole = Make.file(
      entries: [
        Make.entry("a", "text"), Make.entry("b", 9, Make.array(8, count: 1, Make.string("x"))),
      ], tensors: [Make.tensor("t", [8])], data: [UInt8](repeating: 0, count: 32))
    #expect(try make.error(whole) == nil)
    for length in 0..<whole.count {
      #expect(try make.error(Array(whole[..<length])) != nil, "\(length)")
    }
  }

  @Test("G04 counts of tensors and entries beyond limit or file are refused before any is read")
  func g04() throws {
    let limit = GGUFFile.maximumTensors
    for count in [UInt64.max, 1 << 63, UInt64(limit) + 1] {
      #expect(
        try make.gguf(Make.file(tensorCount: count))
          == .countBeyondLimit(of: "tensors", found: count, limit: limit))
      #expect(
        try make.gguf(Make.file(entryCount: count))
          == .countBeyondLimit(
            of: "metadata entries", found: count, limit: GGUFFile.maximumEntries))
    }
    #expect(
      try make.gguf(Make.file(tensorCount: UInt64(limit)))
        == .countBeyondFile(of: "tensors", found: UInt64(limit), available: 0))
    #expect(
      try make.gguf(Make.file(entryCount: 1000))
        == .countBeyondFile(of: "metadata entries", found: 1000, available: 0))
  }

  @Test("G05 lengths of strings beyond limit or file are refused")
  func g05() throws {
    let limit = GGUFFile.maximumStringBytes
    for length in [UInt64.max, 1 << 32, UInt64(limit) + 1] {
      let entry = Make.entry("k", 8, Make.little(length))
      #expect(
        try make.gguf(Make.file(entries: [entry]))
          == .countBeyondLimit(of: "bytes of a string", found: length, limit: limit))
      let key = Make.little(length) + [UInt8](repeating: 0, count: 16)
      #expect(
        try make.gguf(Make.file(entries: [key]))
          == .countBeyondLimit(
            of: "bytes of a key", found: length, limit: GGUFFile.maximumKeyBytes))
    }
    let entry = Make.entry("k", 8, Make.little(UInt64(1000)) + Array("short".utf8))
    guard case .truncated("a string", _, 1000, 5)? = try make.gguf(Make.file(entries: [entry]))
    else {
      Issue.record("a string longer than the file was read")
      return
    }
  }

  @Test("G06 counts of array elements beyond limit or file are refused")
  func g06() throws {
    let limit = GGUFFile.maximumArrayCount
    for count in [UInt64.max, 1 << 61, UInt64(limit) + 1] {
      for type in [UInt32(0), 4, 8, 9, 10, 12] {
        let entry = Make.entry("k", 9, Make.array(type, count: count, []))
        #expect(
          try make.gguf(Make.file(entries: [entry]))
            == .countBeyondLimit(of: "array elements", found: count, limit: limit))
      }
    }
    let entry = Make.entry("k", 9, Make.array(8, count: 3, Make.string("a")))
    #expect(
      try make.gguf(Make.file(entries: [entry]))
        == .countBeyondFile(of: "array elements", found: 3, available: 9))
  }

  @Test("G07 arrays nested beyond the limit are refused without deep recursion")
  func g07() throws {
    var value = Make.array(0, count: 1, [7])
    for depth in 1...GGUFFile.maximumDepth {
      let file = Make.file(entries: [Make.entry("k", 9, value)])
      #expect(try make.error(file) == nil, "\(depth)")
      value = Make.array(9, count: 1, value)
    }
    let limit = GGUFFile.maximumDepth
    #expect(
      try make.gguf(Make.file(entries: [Make.entry("k", 9, value)]))
        == .nestedTooDeep(limit: limit))
    let deep = [UInt8]((0..<100_000).flatMap { _ in Make.array(9, count: 1, []) })
    #expect(
      try make.gguf(Make.file(entries: [Make.entry("k", 9, deep)]))
        == .nestedTooDeep(limit: limit))
  }

  @Test("G08 unknown metadata types are refused by number, in values and arrays")
  func g08() throws {
    for type in [UInt32(13), 255, .max] {
      let bytes = [UInt8](repeating: 0, count: 32)
      let value = Make.file(entries: [Make.entry("k", type, bytes)])
      #expect(try make.gguf(value) == .unknownValueType(type))
      let array = Make.entry("k", 9, Make.array(type, count: 1, bytes))
      #expect(try make.gguf(Make.file(entries: [array])) == .unknownValueType(type))
    }
  }

  @Test("G09 a key that is empty, occurs twice or is no UTF-8 is refused")
  func g09() throws {
    let entry = Make.entry("a.key", u32: 1)
    #expect(
      try make.gguf(Make.file(entries: [Make.string("") + entry.dropFirst(13)])) == .emptyKey)
    let twice = try make.error(Make.file(entries: [entry, Make.entry("a.key", "again")]))
    #expect(twice?.problem == .gguf(.duplicateKey))
    #expect(twice?.place == "a.key")
    let broken = Make.string([0xff, 0xfe]) + Make.little(UInt32(0)) + [1]
    #expect(try make.gguf(Make.file(entries: [broken])) == .invalidUTF8("a key"))
  }

  @Test("G10 strings that are no UTF-8 and booleans beyond 0 and 1 are refused")
  func g10() throws {
    let text = Make.entry("k", 8, Make.string([0x61, 0xc0, 0x80]))
    #expect(try make.gguf(Make.file(entries: [text])) == .invalidUTF8("a string"))
    let array = Make.entry("k", 9, Make.array(8, count: 1, Make.string([0xed, 0xa0, 0x80])))
    #expect(try make.gguf(Make.file(entries: [array])) == .invalidUTF8("a string"))
    #expect(try make.gguf(Make.file(entries: [Make.entry("k", 7, [2])])) == .boolean(2))
    let booleans = Make.entry("k", 9, Make.array(7, count: 3, [0, 1, 0xff]))
    #expect(try make.gguf(Make.file(entries: [booleans])) == .boolean(255))
  }

  @Test("G11 an alignment that is no power of two, too large or of another type is refused")
  func g11() throws {
    for value in [UInt32(0), 3, 24, 33, 1 << 21, 1 << 31, .max] {
      let bytes = Make.file(entries: [Make.entry("general.alignment", u32: value)])
      #expect(try make.gguf(bytes) == .alignment("\(value)"))
    }
    let wide = Make.entry("general.alignment", 10, Make.little(UInt64(32)))
    #expect(try make.gguf(Make.file(entries: [wide])) == .alignment("32 of type uint64"))
    let text = Make.entry("general.alignment", "32")
    #expect(try make.gguf(Make.file(entries: [text])) == .alignment("32 of type string"))
  }

  @Test("G12 tensors' names that are empty, too long, twice there or odd are refused")
  func g12() throws {
    let long = String(repeating: "n", count: 65)
    #expect(try make.problem(Make.one(Make.tensor("", [1]))) == .emptyName)
    #expect(
      try make.gguf(Make.one(Make.tensor(long, [1])))
        == .countBeyondLimit(of: "bytes of a tensor's name", found: 65, limit: 64))
    #expect(try make.error(Make.one(Make.tensor(String(long.dropLast()), [1]))) == nil)
    #expect(try make.problem(Make.one(Make.tensor("a\nb", [1]))) == .controlCharacterInName)
    let twice = Make.file(
      tensors: [Make.tensor("t", [1]), Make.tensor("t", [1], offset: 32)],
      data: [UInt8](repeating: 0, count: 64))
    #expect(try make.problem(twice) == .duplicateName)
  }

  @Test("G13 more than four extents are refused, however many the file claims")
  func g13() throws {
    for rank in [UInt32(5), 8, .max] {
      let tensor = Make.tensor("t", [1, 1, 1, 1, 1], rank: rank)
      #expect(try make.gguf(Make.one(tensor)) == .tooManyExtents(rank, limit: 4))
    }
    #expect(try make.error(Make.one(Make.tensor("t", [2, 2, 2, 2]))) == nil)
    #expect(try make.error(Make.one(Make.tensor("t", []))) == nil)
  }

  @Test("G14 extents of zero or beyond 63 bits are refused")
  func g14() throws {
    for extent in [UInt64(0), 1 << 63, .max] {
      #expect(try make.gguf(Make.one(Make.tensor("t", [extent]))) == .extent(extent))
      #expect(try make.gguf(Make.one(Make.tensor("t", [4, extent]))) == .extent(extent))
    }
  }

  @Test("G15 products of extents that overflow are refused")
  func g15() throws {
    let cases: [([UInt64], UInt32)] = [
      ([1 << 62, 2], 24), ([1 << 61], 0), ([1 << 32, 1 << 32], 2), ([1 << 62, 1, 1, 4], 8),
      ([(1 << 63) - 1], 24), ([(1 << 63) - 32], 8),
    ]
    for (extents, type) in cases {
      let error = try make.error(Make.one(Make.tensor("t", extents, type: type)))
      #expect(error?.problem == .sizeOverflow(extents.reversed().map { Int($0) }))
    }
  }

  @Test("G16 rows that do not fill blocks are refused, though all elements together would")
  func g16() throws {
    #expect(
      try make.gguf(Make.one(Make.tensor("t", [16, 2], type: 2)))
        == .partialBlock(extent: 16, type: "Q4_0", elements: 32))
    #expect(
      try make.gguf(Make.one(Make.tensor("t", [128, 2], type: 12), data: 256))
        == .partialBlock(extent: 128, type: "Q4_K", elements: 256))
    #expect(
      try make.gguf(Make.one(Make.tensor("t", [], type: 8)))
        == .partialBlock(extent: 1, type: "Q8_0", elements: 32))
  }

  @Test("G17 unknown tensor types are refused by number, removed ones by name")
  func g17() throws {
    for type in [UInt32(43), 1000, .max] {
      #expect(
        try make.gguf(Make.one(Make.tensor("t", [32], type: type)))
          == .unknownTensorType(type, removed: nil))
    }
    let removed: [(UInt32, String)] = [(4, "Q4_2"), (31, "Q4_0_4_4"), (38, "IQ4_NL_8_8")]
    for (type, name) in removed {
      let error = try make.error(Make.one(Make.tensor("t", [32], type: type)))
      #expect(error?.problem == .gguf(.unknownTensorType(type, removed: name)))
      #expect(error?.description.contains("(\(name))") == true)
    }
  }

  @Test("G18 offsets that overlap, leave gaps, run backwards or are not aligned are refused")
  func g18() throws {
    for offset in [UInt64(0), 1, 16, 31, 33, 64, 1 << 40, .max] {
      let bytes = Make.file(
        tensors: [Make.tensor("a", [8]), Make.tensor("b", [8], offset: offset)],
        data: [UInt8](repeating: 0, count: 128))
      let error = try make.error(bytes)
      #expect(error?.problem == .gguf(.offset(found: offset, expected: 32)))
      #expect(error?.place == "b")
    }
    let first = Make.one(Make.tensor("a", [8], offset: 32))
    #expect(try make.gguf(first) == .offset(found: 32, expected: 0))
  }

  @Test("G19 data that the file does not have is refused by the tensor's name")
  func g19() throws {
    let cases: [([UInt64], UInt32, Int)] = [([8], 0, 31), ([64], 8, 67), ([1 << 40], 24, 64)]
    for (extents, type, data) in cases {
      let error = try make.error(Make.one(Make.tensor("t", extents, type: type), data: data))
      guard case .dataTruncated(_, data)? = error?.problem else {
        Issue.record("\(extents): \(String(describing: error))")
        continue
      }
      #expect(error?.place == "t")
    }
  }

  @Test("G20 control characters in keys and names do not reach the terminal")
  func g20() throws {
    let bytes = Make.file(entries: [Make.entry("\u{1b}[31mred\u{202e}", 77, [0])])
    let error = try make.error(bytes)
    #expect(error?.description.contains("\u{1b}") == false)
    #expect(error?.description.contains("\u{202e}") == false)
    #expect(error?.description.contains("\\u{1b}") == true)
  }

  @Test("G21 every flip of a bit in a header is read or refused, without a trap")
  func g21() throws {
    let whole = Make.file(
      entries: [
        Make.entry("general.alignment", u32: 32), Make.entry("s", "text"),
        Make.entry("a", 9, Make.array(8, count: 2, Make.string("x") + Make.string("yz"))),
        Make.entry("b", 9, Make.array(9, count: 1, Make.array(7, count: 2, [0, 1]))),
      ],
      tensors: [
        Make.tensor("t", [32, 2], type: 2), Make.tensor("u", [3], type: 24, offset: 64),
      ], data: [UInt8](repeating: 0x55, count: 67))
    var accepted = 0
    for bit in 0..<whole.count * 8 {
      var bytes = whole
      bytes[bit / 8] ^= 1 << (bit % 8)
      let path = try make.folder.write("flip.gguf", bytes)
      guard let catalog = try? Checkpoint.readFile(path: path) else { continue }
      accepted += 1
      for tensor in catalog.tensors where tensor.elementCount < 1000 { _ = try? tensor.floats() }
      for entry in catalog.gguf?.entries ?? [] { _ = entry.value.text }
    }
    // Flips in names, values, padding and data leave a valid file.
    #expect(accepted > 67 * 8)
  }

  @Test("G22 a header of many small tensors takes memory in proportion to the file")
  func g22() throws {
    let count = 100_000
    var bytes = Make.file(
      entries: [Make.entry("general.alignment", u32: 1)], tensorCount: UInt64(count))
    bytes.reserveCapacity(count * 40)
    for index in 0..<count {
      bytes += Make.tensor("\(index)", [1], type: 24, offset: UInt64(index))
    }
    bytes += [UInt8](repeating: 1, count: count)
    let path = try make.folder.write("many.gguf", bytes)
    let result = try Probe.run("catalog", path)
    let numbers = result.output.split(separator: " ").compactMap { Int($0.trimming) }
    #expect(numbers.first == count)
    #expect((numbers.last ?? .max) < 16 * bytes.count, "\(result.output)")
  }
}

extension Substring {
  fileprivate var trimming: String { trimmingCharacters(in: .whitespacesAndNewlines) }
}
