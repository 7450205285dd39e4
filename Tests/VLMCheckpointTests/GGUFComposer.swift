import Testing
import VLMCheckpoint
import VLMTestSupport

/// Composes GGUF files, right and wrong, and reads them.
struct GGUFComposer {
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  static func little<T: FixedWidthInteger>(_ value: T) -> [UInt8] {
    withUnsafeBytes(of: value.littleEndian) { Array($0) }
  }

  static func string(_ text: String) -> [UInt8] { string(Array(text.utf8)) }

  static func string(_ bytes: [UInt8]) -> [UInt8] { little(UInt64(bytes.count)) + bytes }

  /// A key with a value of the type numbered `type`.
  static func entry(_ key: String, _ type: UInt32, _ value: [UInt8]) -> [UInt8] {
    string(key) + little(type) + value
  }

  static func entry(_ key: String, u32 value: UInt32) -> [UInt8] { entry(key, 4, little(value)) }

  static func entry(_ key: String, _ text: String) -> [UInt8] { entry(key, 8, string(text)) }

  static func entry(_ key: String, f32 value: Float) -> [UInt8] {
    entry(key, 6, little(value.bitPattern))
  }

  /// Element type, count, elements.
  static func array(_ type: UInt32, count: UInt64, _ elements: [UInt8]) -> [UInt8] {
    little(type) + little(count) + elements
  }

  /// A tensor's place in the header; `extents` as in the file, innermost first.
  static func tensor(
    _ name: String, _ extents: [UInt64], type: UInt32 = 0, offset: UInt64 = 0,
    rank: UInt32? = nil
  ) -> [UInt8] {
    var bytes = string(name) + little(rank ?? UInt32(extents.count))
    for extent in extents { bytes += little(extent) }
    return bytes + little(type) + little(offset)
  }

  /// A whole file; `data` follows the header at the next multiple of 32.
  static func file(
    version: UInt32 = 3, entries: [[UInt8]] = [], tensors: [[UInt8]] = [],
    tensorCount: UInt64? = nil, entryCount: UInt64? = nil, alignment: Int = 32,
    data: [UInt8] = []
  ) -> [UInt8] {
    var bytes: [UInt8] = Array("GGUF".utf8)
    bytes += little(version)
    bytes += little(tensorCount ?? UInt64(tensors.count))
    bytes += little(entryCount ?? UInt64(entries.count))
    for entry in entries { bytes += entry }
    for tensor in tensors { bytes += tensor }
    if !data.isEmpty || !tensors.isEmpty {
      bytes += [UInt8](repeating: 0, count: (alignment - bytes.count % alignment) % alignment)
    }
    return bytes + data
  }

  /// A file with one tensor `t`, zeros as long as `data`.
  static func one(_ tensor: [UInt8], data: Int = 64) -> [UInt8] {
    file(tensors: [tensor], data: [UInt8](repeating: 0, count: data))
  }

  func read(_ bytes: [UInt8], _ name: String = "case.gguf") throws -> GGUFFile {
    try GGUFFile(path: folder.write(name, bytes))
  }

  /// What is wrong with the file, and where; nil when it is read.
  func error(_ bytes: [UInt8]) throws -> CheckpointError? {
    let path = try folder.write("case.gguf", bytes)
    do throws(CheckpointError) {
      _ = try Checkpoint.readFile(path: path)
      return nil
    } catch {
      #expect(error.exitStatus == .badData)
      #expect(error.description.hasPrefix(path + ": "))
      #expect(!error.description.contains { $0.isNewline })
      return error
    }
  }

  func problem(_ bytes: [UInt8]) throws -> CheckpointError.Problem? { try error(bytes)?.problem }

  /// The problem when it is one of GGUF alone.
  func gguf(_ bytes: [UInt8]) throws -> GGUFProblem? {
    if case .gguf(let problem)? = try problem(bytes) { problem } else { nil }
  }
}
