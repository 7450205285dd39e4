import VLMContainer
import VLMFoundation

/// The first 128 bytes of a packed file.
package struct PackedHeader: Sendable, Equatable {
  /// Bytes of the container.
  package let containerSize: Int
  /// The container's root hash.
  package let rootHash: [UInt8]

  package init(containerSize: Int, rootHash: [UInt8]) {
    self.containerSize = containerSize
    self.rootHash = rootHash
  }

  func encoded() -> [UInt8] {
    var bytes = PackedFormat.magic
    bytes.append(little: UInt16(PackedFormat.version))
    bytes.append(little: UInt16(PackedFormat.version))
    bytes.append(little: UInt32(0))
    bytes.append(little: UInt64(containerSize))
    bytes += rootHash
    bytes.appendZeros(PackedFormat.hashedHeaderSize - bytes.count)
    bytes.append(little: XXH64.hash(bytes))
    return bytes
  }

  /// Reads and validates a header.
  ///
  /// - Parameter bytes: the first bytes of a file, 128 of them or all that it has.
  init(_ bytes: UnsafeRawBufferPointer, path: String) throws(TransportError) {
    func fail(_ problem: TransportError.Problem) -> TransportError {
      TransportError(path: path, place: .header, problem: problem)
    }
    guard bytes.starts(with: PackedFormat.magic.prefix(bytes.count)) else {
      throw TransportError(path: path, place: .file, problem: Self.otherFormat(bytes))
    }
    guard bytes.count >= PackedFormat.headerSize else {
      throw TransportError(
        path: path, place: .file,
        problem: .broken(
          .p01,
          "holds \(counted(bytes.count, "byte")), expected a header of \(PackedFormat.headerSize)"
            + ": it is cut short, \(FileKind.fetchAgain)"))
    }
    let (read, write): (UInt16, UInt16) = (bytes.little(8), bytes.little(10))
    guard (1...PackedFormat.version).contains(Int(read)) else {
      throw fail(.version(found: Int(read)))
    }
    let hash = XXH64.hash(bytes.slice(0..<PackedFormat.hashedHeaderSize))
    let stated: UInt64 = bytes.little(PackedFormat.hashedHeaderSize)
    guard hash == stated else { throw fail(.hash(.p04, found: hash, expected: stated)) }
    guard write >= read else {
      throw fail(
        .value(.p05, field: "write version", found: "\(write)", expected: "\(read) or more"))
    }
    guard isZero(bytes.slice(12..<16)),
      isZero(bytes.slice(56..<PackedFormat.hashedHeaderSize))
    else { throw fail(.broken(.p06, "reserved bytes are not zero")) }
    let size: UInt64 = bytes.little(16)
    guard let containerSize = Int(exactly: size),
      containerSize >= PackedFormat.containerHeaderSize
    else {
      throw fail(
        .value(.p07, field: "container size", found: "\(size)", expected: "128 to 2^63 - 1"))
    }
    self.containerSize = containerSize
    rootHash = Array(bytes.slice(24..<56))
  }

  private static func otherFormat(_ bytes: UnsafeRawBufferPointer) -> TransportError.Problem {
    // The name is there, and something around it is not.
    let name = PackedFormat.magic[1..<5]
    if bytes.dropFirst().starts(with: name) || bytes.starts(with: name) {
      return .broken(.p02, "was changed by a transfer in text mode; copy it again in binary mode")
    }
    if let kind = FileKind.sniff(bytes) { return .foreign(kind) }
    return .broken(.p02, "is no packed .vlmzp: the signature is missing")
  }
}
