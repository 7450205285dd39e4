import Foundation
import Testing
import VLMCheckpoint
import VLMTensor
import VLMTestSupport

@Suite("GGUF: files")
struct GGUFFileTests {
  typealias Make = GGUFComposer

  let make: GGUFComposer

  init() throws { make = try GGUFComposer() }

  @Test("the golden metadata has every value type")
  func goldenMetadata() throws {
    let metadata = try GGUFFile(path: TestFiles.golden("gguf/types.gguf")).metadata
    #expect(metadata.entries.count == 19)
    let integers = [
      "u8": 200, "i8": -5, "u16": 65000, "i16": -12345, "u32": 4_000_000_000,
      "i32": -2_000_000_000, "i64": -4_611_686_018_427_387_904,
    ]
    for (key, value) in integers { #expect(metadata["golden.\(key)"]?.intValue == value) }
    let unsigned = try #require(metadata["golden.u64"])
    #expect(unsigned.json == .unsigned(9_223_372_036_854_775_813))
    #expect(unsigned.intValue == nil)
    #expect(metadata["golden.f32"]?.json == .double(0.1))
    // Null would be what is not stated.
    #expect(GGUFValue.float32(.nan).json == .string("nan"))
    #expect(GGUFValue.float64(-.infinity).json == .string("-inf"))
    #expect(metadata["golden.f64"]?.doubleValue == 0.1)
    #expect(metadata["golden.bool"]?.boolValue == true)
    #expect(metadata["golden.str"]?.stringValue == "héllo \n 世界")
    let long = String(repeating: "x", count: 40)
    #expect(metadata["golden.arr_str"]?.arrayValue?.strings == ["a", "", "ü", long])
    #expect(metadata["golden.arr_i32"]?.arrayValue?.integers == [1, -2, 3])
    #expect(metadata["golden.arr_f32"]?.arrayValue?.floats == [0.5, -1.25])
    #expect(metadata["golden.arr_bool"]?.json == .array([true, false, true]))
    #expect(metadata["golden.none"] == nil)
  }

  @Test("golden files that are cut off or begin otherwise are refused")
  func goldenRefusals() throws {
    let cut = thrownError(CheckpointError.self) {
      try Checkpoint.readFile(path: TestFiles.golden("gguf/truncated.gguf"))
    }
    #expect(cut?.place == "t.Q4_1" || cut?.place.isEmpty == false)
    guard case .dataTruncated? = cut?.problem else {
      Issue.record("\(String(describing: cut))")
      return
    }
    let magic = thrownError(CheckpointError.self) {
      try Checkpoint.readFile(path: TestFiles.golden("gguf/bad-magic.gguf"))
    }
    #expect(magic?.exitStatus == .badData)
  }

  @Test(
    "version 2 reads as version 3, an alignment of its own counts, and the file may end unpadded")
  func layout() throws {
    for version in [UInt32(2), 3] {
      let bytes = Make.file(
        version: version, entries: [Make.entry("general.alignment", u32: 64)],
        tensors: [
          Make.tensor("a", [3, 2], type: 24), Make.tensor("b", [5], type: 24, offset: 64),
        ], alignment: 64,
        data: [1, 2, 3, 4, 5, 6] + [UInt8](repeating: 0, count: 58) + [7, 8, 9, 10, 11])
      let catalog = try make.read(bytes).catalog
      #expect(catalog.format == .gguf)
      #expect(catalog["a"]?.shape == [2, 3])
      #expect(try catalog["a"]?.floats() == [1, 2, 3, 4, 5, 6])
      #expect(try catalog["b"]?.floats() == [7, 8, 9, 10, 11])
      #expect(catalog.warnings.isEmpty)
    }
  }

  @Test("arrays in arrays are read, and long arrays listed by their beginning")
  func arrays() throws {
    let inner = Make.array(0, count: 2, [1, 2]) + Make.array(8, count: 1, Make.string("x"))
    let numbers = (0..<20).flatMap { Make.little(UInt32($0)) }
    let bytes = Make.file(entries: [
      Make.entry("nested", 9, Make.array(9, count: 2, inner)),
      Make.entry("long", 9, Make.array(4, count: 20, numbers)),
      Make.entry("none", 9, Make.array(8, count: 0, [])),
    ])
    let file = try make.read(bytes)
    #expect(file.metadata["nested"]?.json == .array([.array([1, 2]), .array(["x"])]))
    let long = try #require(file.metadata["long"])
    #expect(long.json["count"] == 20)
    #expect(long.json["first"] == .array((0..<8).map { .int($0) }))
    #expect(long.text == "20 values of uint32")
    #expect(long.arrayValue?.integers == Array(0..<20))
    #expect(file.metadata["none"]?.arrayValue?.strings == [])
    #expect(file.catalog.metadata.map(\.key) == ["nested", "long", "none"])
  }

  @Test("bytes behind the data are a warning")
  func trailing() throws {
    let catalog = try make.read(Make.one(Make.tensor("t", [8]), data: 32 + 40)).catalog
    #expect(catalog.warnings == ["40 bytes follow the last tensor's data and are not read"])
  }

  // MARK: Several files

  private func part(
    _ number: UInt16, of count: UInt16, _ tensor: String, total: UInt32 = 3,
    more: [[UInt8]] = []
  ) -> [UInt8] {
    Make.file(
      entries: [
        Make.entry("split.no", 2, Make.little(number)),
        Make.entry("split.count", 2, Make.little(count)),
        Make.entry("split.tensors.count", 5, Make.little(total)),
      ] + more,
      tensors: [Make.tensor(tensor, [1], type: 24)], data: [UInt8(number)])
  }

  private func name(_ number: Int) -> String { "m-0000\(number)-of-00003.gguf" }

  private func writeParts() throws {
    let architecture = Make.entry("general.architecture", "llama")
    try make.folder.write(name(1), part(0, of: 3, "a", more: [architecture]))
    try make.folder.write(name(2), part(1, of: 3, "b"))
    try make.folder.write(name(3), part(2, of: 3, "c"))
  }

  @Test("the parts of a split file are read as one, whichever is named")
  func split() throws {
    try writeParts()
    for number in 1...3 {
      let file = try GGUFFile(path: make.folder.path(name(number)))
      #expect(file.catalog.tensors.map(\.name) == ["a", "b", "c"])
      #expect(try file.catalog["c"]?.floats() == [2])
      #expect(file.catalog.sources.count == 3)
      #expect(file.metadata["general.architecture"]?.stringValue == "llama")
    }
  }

  @Test("G30 a missing part is named")
  func missingPart() throws {
    try writeParts()
    try FileManager.default.removeItem(atPath: make.folder.path(name(2)))
    let error = thrownError(CheckpointError.self) {
      try GGUFFile(path: make.folder.path(name(1)))
    }
    #expect(error?.path == make.folder.path(name(2)))
    #expect(error?.exitStatus == .noInput)
  }

  @Test("G31 parts that disagree about number, count or tensors are refused")
  func disagreeingParts() throws {
    let cases: [(Int, [UInt8], String)] = [
      (2, part(2, of: 3, "b"), "split.no"), (2, part(1, of: 4, "b"), "split.count"),
      (1, part(0, of: 3, "a", total: 4), "split.tensors.count"),
    ]
    for (number, bytes, key) in cases {
      try writeParts()
      try make.folder.write(name(number), bytes)
      let error = thrownError(CheckpointError.self) {
        try GGUFFile(path: make.folder.path(name(3)))
      }
      guard case .gguf(.splitField(key, _, _))? = error?.problem else {
        Issue.record("\(key): \(String(describing: error))")
        continue
      }
      #expect(error?.path == make.folder.path(name(number)))
    }
  }

  @Test("G32 a tensor in two parts is refused")
  func tensorInTwoParts() throws {
    try writeParts()
    try make.folder.write(name(3), part(2, of: 3, "a"))
    let error = thrownError(CheckpointError.self) {
      try GGUFFile(path: make.folder.path(name(1)))
    }
    #expect(error?.problem == .duplicateName)
    #expect(error?.place == "a")
  }

  @Test("G33 a part under a name that does not number it is refused, and so is a huge count")
  func partNames() throws {
    for other in ["m.gguf", "m-00004-of-00003.gguf", "m-00001-of-00002.gguf", "m-1-of-3.gguf"] {
      let path = try make.folder.write(other, part(0, of: 3, "a"))
      let error = thrownError(CheckpointError.self) { try GGUFFile(path: path) }
      #expect(error?.problem == .gguf(.splitName(count: 3)), "\(other)")
    }
    let path = try make.folder.write("m-00001-of-60000.gguf", part(0, of: 60000, "a"))
    let error = thrownError(CheckpointError.self) { try GGUFFile(path: path) }
    let expected = "a number up to 512"
    #expect(
      error?.problem
        == .gguf(.splitField(key: "split.count", found: "60000", expected: expected)))
  }
}
