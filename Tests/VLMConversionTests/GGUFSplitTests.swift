import Foundation
import Testing
import VLMCheckpoint
import VLMContainer
import VLMConversion
import VLMTensor
import VLMTestSupport

/// Models in several files, and folders that hold more than one.
@Suite("GGUF: split models and folders")
struct GGUFSplitTests {
  typealias Make = GGUFComposer

  let make: GGUFComposer
  let pool = WorkerPool(threadCount: 1)

  init() throws { make = try GGUFComposer() }

  private static func name(_ number: Int, of count: Int = 3, stem: String = "m") -> String {
    "\(stem)-0000\(number)-of-0000\(count).gguf"
  }

  /// The part `number` of 3 of a model that runs: 4, 4 and 3 tensors, the description in the first.
  private static func part(_ number: Int, count: UInt16 = 3) -> [UInt8] {
    let keys = [
      Make.entry("split.no", 2, Make.little(UInt16(number - 1))),
      Make.entry("split.count", 2, Make.little(count)),
      Make.entry("split.tensors.count", 5, Make.little(UInt32(SmallGGUFModel.shapes.count))),
    ]
    let start = (number - 1) * 4
    return SmallGGUFModel.file(
      metadata: (number == 1 ? SmallGGUFModel.metadata : []) + keys,
      part: start..<min(start + 4, SmallGGUFModel.shapes.count))
  }

  private func writeParts(stem: String = "m") throws {
    for number in 1...3 {
      try make.folder.write(Self.name(number, stem: stem), Self.part(number))
    }
  }

  private var folder: String { make.folder.url.path }

  /// Name and checksum of every tensor of the container that `path` becomes.
  private func converted(_ path: String) throws -> [String] {
    let conversion = try Conversion(
      source: try SourceModel.open(path: path), policy: QuantizationPolicy(scheme: .q8),
      ignoreUnexpected: false, pool: pool)
    let other = try TemporaryFolder()
    let output = other.path("out.vlmz")
    _ = try conversion.run(to: output, overwrite: true) { _, _, _ in }
    return try Container.open(path: output).tensors.map { "\($0.name) \($0.checksum)" }
  }

  private func refusal(_ path: String) -> CheckpointError? {
    thrownError(CheckpointError.self) { try SourceModel.open(path: path) }
  }

  @Test("any part of a split model, and the folder of its parts, convert as the whole file")
  func whole() throws {
    let whole = try TemporaryFolder()
    let expected = try converted(try whole.write("whole.gguf", SmallGGUFModel.file()))
    #expect(expected.count == SmallGGUFModel.shapes.count)
    try writeParts()
    for path in (1...3).map({ make.folder.path(Self.name($0)) }) + [folder, folder + "/"] {
      #expect(try converted(path) == expected, "\(path)")
    }
  }

  @Test("G34 a folder of parts with one missing names it, be it the first", arguments: 1...3)
  func missing(_ number: Int) throws {
    try writeParts()
    try FileManager.default.removeItem(atPath: make.folder.path(Self.name(number)))
    let error = refusal(folder)
    #expect(error?.path.hasSuffix("/" + Self.name(number)) == true)
    #expect(error?.exitStatus == .noInput)
  }

  @Test("G35 parts whose contents are in another order are refused")
  func order() throws {
    try make.folder.write(Self.name(1), Self.part(1))
    try make.folder.write(Self.name(2), Self.part(3))
    try make.folder.write(Self.name(3), Self.part(2))
    let error = refusal(folder)
    #expect(
      error?.problem == .gguf(.splitField(key: "split.no", found: "2", expected: "1")))
    #expect(error?.path.hasSuffix("/" + Self.name(2)) == true)
  }

  @Test("G36 parts that count differently are refused, in their names or in their metadata")
  func counts() throws {
    try writeParts()
    try make.folder.write(Self.name(3), Self.part(3, count: 4))
    #expect(
      refusal(folder)?.problem
        == .gguf(.splitField(key: "split.count", found: "4", expected: "3")))
    try FileManager.default.removeItem(atPath: make.folder.path(Self.name(3)))
    try make.folder.write(Self.name(3, of: 4), Self.part(3, count: 4))
    #expect(
      refusal(folder)?.problem
        == .severalModels([Self.name(1), Self.name(2), Self.name(3, of: 4)]))
  }

  @Test("G37 a folder with several models is refused by their names, each of them converts")
  func several() throws {
    try writeParts()
    try make.folder.write("other.gguf", SmallGGUFModel.file())
    let error = refusal(folder)
    #expect(
      error?.problem
        == .severalModels([Self.name(1), Self.name(2), Self.name(3), "other.gguf"]))
    #expect(error?.exitStatus == .badData)
    let expected =
      "\(folder): the folder has 4 models or parts without an index, 'm-00001-of-00003.gguf', "
      + "'m-00002-of-00003.gguf', 'm-00003-of-00003.gguf', 'other.gguf', expected one; "
      + "name the file that is meant"
    #expect(error?.description == expected)
    let parts = try converted(make.folder.path(Self.name(2)))
    #expect(try converted(make.folder.path("other.gguf")) == parts)
    try FileManager.default.removeItem(atPath: make.folder.path("other.gguf"))
    try writeParts(stem: "n")
    #expect(refusal(folder)?.description.contains("6 models or parts") == true)
    #expect(try converted(make.folder.path(Self.name(3, stem: "n"))) == parts)
  }

  @Test("G38 a part that is a file of another kind is refused by what it is")
  func otherKind() throws {
    try writeParts()
    try make.folder.write(Self.name(2), [UInt8](repeating: 0x1f, count: 1) + [0x8b, 8, 0])
    let error = refusal(folder)
    #expect(error?.path.hasSuffix("/" + Self.name(2)) == true)
    guard case .otherKind(let kind)? = error?.problem else {
      Issue.record("\(String(describing: error))")
      return
    }
    #expect(kind.name.contains("gzip"))
  }

  @Test("G39 a part that names a part of itself by a link is refused: it says which it is")
  func linked() throws {
    try writeParts()
    let second = make.folder.path(Self.name(2))
    try FileManager.default.removeItem(atPath: second)
    symlink(Self.name(1), second)
    #expect(
      refusal(folder)?.problem
        == .gguf(.splitField(key: "split.no", found: "0", expected: "1")))
  }

  @Test("what trainers leave beside a model is none")
  func otherKinds() throws {
    let beside = try TemporaryFolder()
    try beside.write("weights.gguf", SmallGGUFModel.file())
    try beside.write("training_args.bin", [0x80, 2])
    try beside.write("optimizer.pt", [0x80, 2])
    #expect(try SourceModel.open(path: beside.url.path).checkpoint.naming == "gguf")
  }
}
