import VLMContainer
import VLMFoundation

/// The 64 bytes in front of a frame's stored bytes.
package struct FrameHeader: Sendable, Equatable {
  package enum Codec: UInt8, Sendable {
    case raw = 0
    case zstd = 1
  }

  /// Where the frame's bytes are in the container.
  package let rawOffset: Int
  package let rawSize: Int
  package let storedSize: Int
  package let codec: Codec
  package let filter: ByteFilter
  /// XXH64 of the container's bytes.
  package let rawHash: UInt64
  /// XXH64 of the stored bytes.
  package let storedHash: UInt64

  static let frameKind: UInt32 = 1
  static let endKind: UInt32 = 2

  package init(
    rawOffset: Int, rawSize: Int, storedSize: Int, codec: Codec, filter: ByteFilter,
    rawHash: UInt64, storedHash: UInt64
  ) {
    self.rawOffset = rawOffset
    self.rawSize = rawSize
    self.storedSize = storedSize
    self.codec = codec
    self.filter = filter
    self.rawHash = rawHash
    self.storedHash = storedHash
  }

  func encoded() -> [UInt8] {
    var (width, size, codes, groups) = (0, 0, 0, 0)
    switch filter {
    case .none: break
    case .planes(let bytes, _): width = bytes
    case .panels(let panel, let ofCodes, let ofGroups):
      (size, codes, groups) = (panel, ofCodes, ofGroups)
    }
    var bytes: [UInt8] = []
    bytes.append(little: Self.frameKind)
    bytes.append(little: UInt32(rawSize))
    bytes.append(little: UInt32(storedSize))
    bytes += [codec.rawValue, filter.code, UInt8(width), 0]
    bytes.append(little: UInt32(size))
    bytes.append(little: UInt32(codes))
    bytes.append(little: UInt32(groups))
    bytes.append(little: UInt32(0))
    bytes.append(little: UInt64(rawOffset))
    bytes.append(little: rawHash)
    bytes.append(little: storedHash)
    bytes.append(little: XXH64.hash(bytes))
    return bytes
  }

  /// Reads and validates the header of a frame, whose hash and kind have been checked.
  ///
  /// - Parameters:
  ///   - bytes: 64 of them.
  ///   - offset: where the frame before ended in the container.
  ///   - containerSize: bytes of the container.
  init(
    _ bytes: UnsafeRawBufferPointer, offset: Int, containerSize: Int, path: String,
    place: TransportError.Place
  ) throws(TransportError) {
    func fail(
      _ rule: PackedRule, _ field: String, _ found: some CustomStringConvertible, _ expected: String
    ) -> TransportError {
      TransportError(
        path: path, place: place,
        problem: .value(rule, field: field, found: "\(found)", expected: expected))
    }
    let start: UInt64 = bytes.little(32)
    guard start == UInt64(offset) else {
      throw fail(.p11, "raw offset", start, "\(offset), where the frame before ends")
    }
    let (raw, stored): (UInt32, UInt32) = (bytes.little(4), bytes.little(8))
    let most = min(PackedFormat.maximumFrameSize, containerSize - offset)
    guard raw >= 1, Int(raw) <= most else {
      throw fail(.p12, "raw size", raw, most > 0 ? "1 to \(most)" : "no more frames")
    }
    guard let codec = Codec(rawValue: bytes[12]) else {
      throw fail(.p13, "codec", bytes[12], "0 or 1")
    }
    switch codec {
    case .raw:
      guard stored == raw else { throw fail(.p13, "stored size", stored, "\(raw), as it is raw") }
    case .zstd:
      guard stored >= 1, stored < raw else {
        throw fail(.p13, "stored size", stored, "1 to \(raw - 1), less than the raw size")
      }
    }
    guard let filter = Self.filter(bytes, rawSize: Int(raw)) else {
      throw fail(.p14, "filter", bytes[13], "one whose fields go with \(raw) bytes")
    }
    guard bytes[15] == 0, bytes.little(28, as: UInt32.self) == 0 else {
      throw TransportError(
        path: path, place: place, problem: .broken(.p15, "reserved fields are not zero"))
    }
    self.init(
      rawOffset: offset, rawSize: Int(raw), storedSize: Int(stored), codec: codec, filter: filter,
      rawHash: bytes.little(40), storedHash: bytes.little(48))
  }

  /// The filter and its fields; nil when they do not go together.
  private static func filter(_ bytes: UnsafeRawBufferPointer, rawSize: Int) -> ByteFilter? {
    let width = Int(bytes[14])
    let size = Int(bytes.little(16, as: UInt32.self))
    let codes = Int(bytes.little(20, as: UInt32.self))
    let groups = Int(bytes.little(24, as: UInt32.self))
    let hasPanels = size != 0 || codes != 0 || groups != 0
    switch bytes[13] {
    case 0: return width == 0 && !hasPanels ? ByteFilter.none : nil
    case 1, 2:
      guard width == 2 || width == 4, !hasPanels else { return nil }
      return .planes(width: width, turned: bytes[13] == 2)
    case 3:
      guard width == 0, size > 0, rawSize % size == 0, groups % 32 == 0,
        codes + groups + ByteFilter.tailSize <= size
      else { return nil }
      return .panels(size: size, codes: codes, groups: groups)
    default: return nil
    }
  }
}
