import VLMContainer
import VLMFoundation

/// What the headers of a packed file tell, without decoding anything.
package struct PackedSummary: Sendable {
  package let path: String
  package let header: PackedHeader
  package let packedSize: Int
  /// Frames by how they are stored: "panels", "planes of 2 bytes", in the order of first use.
  package private(set) var kinds: [Kind] = []

  /// Frames that are stored in one way.
  package struct Kind: Sendable {
    package let name: String
    package fileprivate(set) var frameCount = 0
    package fileprivate(set) var rawBytes = 0
    package fileprivate(set) var storedBytes = 0
  }

  /// - Throws: `TransportError` where a header is damaged or the file is truncated.
  package init(path: String) throws {
    let input: PackedInput
    do throws(FileError) { input = try PackedInput(path: path) } catch {
      throw TransportError(error)
    }
    var reader = try PackedReader(input)
    while let frame = try reader.nextHeader() {
      let name = Self.name(frame)
      let index = kinds.firstIndex { $0.name == name } ?? kinds.count
      if index == kinds.count { kinds.append(Kind(name: name)) }
      kinds[index].frameCount += 1
      kinds[index].rawBytes += frame.rawSize
      kinds[index].storedBytes += frame.storedSize
    }
    self.path = path
    header = reader.header
    packedSize = reader.position.packedOffset + PackedFormat.recordSize
  }

  private static func name(_ frame: FrameHeader) -> String {
    if frame.codec == .raw { return "as it is" }
    return switch frame.filter {
    case .none: "text and tables"
    case .planes(let width, _): "planes of \(width) bytes"
    case .panels: "panels"
    }
  }

  /// For people.
  package var lines: [String] {
    let ratio = decimal(100 * Double(packedSize) / Double(header.containerSize), 1)
    let first =
      "\(path.escapedForDisplay()): .vlmzp, \(byteText(packedSize)), of a .vlmz of "
      + "\(byteText(header.containerSize)) (\(ratio) %)"
    return [first, "content hash \(hexadecimal(header.rootHash))"]
      + kinds.map {
        "\($0.name): \(counted($0.frameCount, "frame")), \(byteText($0.rawBytes)) in "
          + "\(byteText($0.storedBytes))"
      }
  }

  /// The same as an object.
  package var json: JSONValue {
    [
      "path": .string(path), "kind": "vlmzp", "bytes": .int(packedSize),
      "container_bytes": .int(header.containerSize),
      "content_hash": .string(hexadecimal(header.rootHash)),
      "frames": .array(
        kinds.map {
          [
            "stored": .string($0.name), "count": .int($0.frameCount),
            "raw_bytes": .int($0.rawBytes), "stored_bytes": .int($0.storedBytes),
          ]
        }),
    ]
  }
}
