import Testing
import VLMCheckpoint
import VLMTestSupport

/// Composes valid and invalid safetensors files, and reads them.
struct Composer {
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  /// Length, header text, data.
  static func bytes(_ header: String, data: [UInt8] = []) -> [UInt8] {
    bytes(Array(header.utf8), data: data)
  }

  static func bytes(_ header: [UInt8], data: [UInt8] = []) -> [UInt8] {
    length(UInt64(header.count)) + header + data
  }

  static func length(_ value: UInt64) -> [UInt8] {
    withUnsafeBytes(of: value.littleEndian) { Array($0) }
  }

  /// One entry of a header.
  static func tensor(
    _ name: String, _ dtype: String, _ shape: String, _ begin: Int, _ end: Int
  ) -> String {
    "\"\(name)\":{\"dtype\":\"\(dtype)\",\"shape\":\(shape),\"data_offsets\":[\(begin),\(end)]}"
  }

  func read(_ bytes: [UInt8]) throws -> TensorCatalog {
    try SafetensorsFile.read(path: folder.write("case.safetensors", bytes))
  }

  func read(_ header: String, data: [UInt8] = []) throws -> TensorCatalog {
    try read(Self.bytes(header, data: data))
  }

  /// The error of reading the file; nil if it is read.
  func refusal(_ bytes: [UInt8]) throws -> (place: String, problem: CheckpointError.Problem)? {
    try error(bytes).map { ($0.place, $0.problem) }
  }

  func error(_ bytes: [UInt8]) throws -> CheckpointError? {
    let path = try folder.write("case.safetensors", bytes)
    do throws(CheckpointError) {
      _ = try SafetensorsFile.read(path: path)
      return nil
    } catch {
      #expect(error.exitStatus == .badData)
      #expect(error.description.hasPrefix(path + ": "))
      #expect(!error.description.contains { $0.isNewline })
      return error
    }
  }

  func problem(_ bytes: [UInt8]) throws -> CheckpointError.Problem? {
    try refusal(bytes)?.problem
  }

  func problem(_ header: String, data: [UInt8] = []) throws -> CheckpointError.Problem? {
    try problem(Self.bytes(header, data: data))
  }

  /// The problem of a file with one four-byte tensor `t` whose entry is `fields`.
  func problem(fields: String, data: Int = 4) throws -> CheckpointError.Problem? {
    try problem("{\"t\":{\(fields)}}", data: [UInt8](repeating: 0, count: data))
  }
}
