import VLMCheckpoint
import VLMFoundation

/// Composes valid and invalid GGUF files.
package struct GGUFComposer {
  package let folder: TemporaryFolder

  package init() throws { folder = try TemporaryFolder() }

  package static func little<T: FixedWidthInteger>(_ value: T) -> [UInt8] {
    withUnsafeBytes(of: value.littleEndian) { Array($0) }
  }

  package static func string(_ text: String) -> [UInt8] { string(Array(text.utf8)) }

  package static func string(_ bytes: [UInt8]) -> [UInt8] { little(UInt64(bytes.count)) + bytes }

  /// A key with a value of the type numbered `type`.
  package static func entry(_ key: String, _ type: UInt32, _ value: [UInt8]) -> [UInt8] {
    string(key) + little(type) + value
  }

  package static func entry(_ key: String, u32 value: UInt32) -> [UInt8] {
    entry(key, 4, little(value))
  }

  package static func entry(_ key: String, _ text: String) -> [UInt8] {
    entry(key, 8, string(text))
  }

  package static func entry(_ key: String, f32 value: Float) -> [UInt8] {
    entry(key, 6, little(value.bitPattern))
  }

  /// The value of an array: element type, count, elements.
  package static func array(_ type: UInt32, count: UInt64, _ elements: [UInt8]) -> [UInt8] {
    little(type) + little(count) + elements
  }

  /// A tensor's description in the header; `extents` in file order, innermost first.
  package static func tensor(
    _ name: String, _ extents: [UInt64], type: UInt32 = 0, offset: UInt64 = 0,
    rank: UInt32? = nil
  ) -> [UInt8] {
    var bytes = string(name) + little(rank ?? UInt32(extents.count))
    for extent in extents { bytes += little(extent) }
    return bytes + little(type) + little(offset)
  }

  /// A whole file; `data` follows the header at the next multiple of 32.
  package static func file(
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

  /// A file with one tensor and `data` zero bytes.
  package static func one(_ tensor: [UInt8], data: Int = 64) -> [UInt8] {
    file(tensors: [tensor], data: [UInt8](repeating: 0, count: data))
  }

  package func read(_ bytes: [UInt8], _ name: String = "case.gguf") throws -> GGUFFile {
    try GGUFFile(path: folder.write(name, bytes))
  }
}
