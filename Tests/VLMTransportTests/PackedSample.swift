import Foundation
import Testing
import VLMContainer
import VLMFoundation
import VLMTensor
import VLMTestSupport
import VLMTransport

/// The files of `formats/golden`.
enum Golden {
  static let root = URL(fileURLWithPath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

  /// Paths of the files in a folder of `formats/golden`, sorted.
  static func files(_ folder: String) throws -> [String] {
    let url = root.appendingPathComponent("formats/golden/\(folder)")
    return try FileManager.default.contentsOfDirectory(atPath: url.path).sorted()
      .map { url.appendingPathComponent($0).path }
  }

  static func name(_ path: String) -> String {
    URL(fileURLWithPath: path).deletingPathExtension().lastPathComponent
  }

  static func container(_ name: String) -> String {
    root.appendingPathComponent("formats/golden/accept/\(name).vlmz").path
  }
}

/// Containers to pack, and functions that pack and unpack them in a folder of their own.
struct PackedSample {
  let folder: TemporaryFolder
  static let pool = WorkerPool(threadCount: 3)

  init() throws { folder = try TemporaryFolder() }

  /// Writes a container of several frames: tensors of every kind, one of them of `megabytes`.
  func write(_ name: String = "model.vlmz", megabytes: Int = 3) throws {
    let writer = try ContainerWriter(path: folder.path(name), overwrite: true)
    try writer.add(section: .config, Array(#"{"model":"convnext"}"#.utf8))
    var random = SplitMix64(seed: 7)
    func add(_ name: String, _ format: TensorFormat, _ shape: [Int]) throws {
      try writer.beginTensor(name: name, format: format, role: .matrix, shape: shape)
      let count = format.byteCount(shape: shape) ?? 0
      // Bytes as uneven as those of weights.
      try writer.write(
        (0..<count).map { _ in UInt8(truncatingIfNeeded: random.next() & random.next() & 0x7f) })
      try writer.endTensor()
    }
    try add("f32", TensorFormat(scheme: .f32), [megabytes << 8, 1024])
    try add("q8", TensorFormat(scheme: .q8, layout: .panels), [100, 70])
    try add("q4", TensorFormat(scheme: .q4, layout: .panels), [33, 96])
    try add("q5", TensorFormat(scheme: .q5, layout: .panels), [16, 32])
    try add("f16", TensorFormat(scheme: .f16), [301])
    try add("bf16", TensorFormat(scheme: .bf16, layout: .panels), [20, 40])
    _ = try writer.finish()
  }

  @discardableResult
  func pack(
    _ input: String, _ output: String, threads: Int = 3
  ) throws -> Packer.Summary {
    try Packer(Container.open(path: input), pool: WorkerPool(threadCount: threads))
      .write(to: folder.path(output), overwrite: true)
  }

  @discardableResult
  func unpack(
    _ input: PackedInput, to output: String, _ keeping: Unpacker.Keeping = .nothing,
    overwrite: Bool = false
  ) throws -> Unpacker.Summary {
    try Unpacker(input, pool: Self.pool)
      .unpack(to: folder.path(output), overwrite: overwrite, keeping: keeping)
  }

  @discardableResult
  func unpack(
    _ bytes: [UInt8], to output: String, _ keeping: Unpacker.Keeping = .nothing
  ) throws -> Unpacker.Summary {
    try unpack(PackedInput(name: "pipe", bytes: bytes), to: output, keeping)
  }
}

extension PackedSample {
  /// Decodes without writing.
  func verify(_ bytes: [UInt8]) throws {
    _ = try Unpacker(PackedInput(name: "pipe", bytes: bytes), pool: Self.pool).verify()
  }
}

/// The error thrown by `body`; records an issue if it throws nothing or another type.
func transportError(
  sourceLocation: SourceLocation = #_sourceLocation, by body: () throws -> Void
) -> TransportError? {
  var error: TransportError?
  do { try body() } catch let caught { error = caught as? TransportError }
  #expect(error != nil, sourceLocation: sourceLocation)
  return error
}
