import VLMContainer
import VLMFoundation

/// Reads the records of a packed file in order and checks all that can be checked without decoding.
package struct PackedReader {
  /// Where the next record begins, and what the ones before it amount to.
  package struct Position: Sendable {
    /// In the packed file.
    package fileprivate(set) var packedOffset = PackedFormat.headerSize
    /// In the container.
    package fileprivate(set) var rawOffset = 0
    package fileprivate(set) var frameCount = 0
    private var frames = XXH64()

    /// `Frames_Hash`: XXH64 of the hashes of all frames before.
    var framesHash: UInt64 { frames.digest }

    /// Goes behind a frame.
    mutating func advance(over frame: FrameHeader) {
      packedOffset += PackedFormat.recordSize + frame.storedSize
      rawOffset += frame.rawSize
      frameCount += 1
      withUnsafeBytes(of: frame.rawHash.littleEndian) { frames.update($0) }
    }
  }

  package let header: PackedHeader
  package private(set) var position: Position
  private let input: PackedInput

  /// Reads the header.
  package init(_ input: PackedInput) throws(TransportError) {
    self.input = input
    header = try Self.header(input)
    position = Position()
  }

  /// Goes on at `position` of a file with this header; the input is there.
  init(_ input: PackedInput, header: PackedHeader, at position: Position) {
    self.input = input
    self.header = header
    self.position = position
  }

  static func header(_ input: PackedInput) throws(TransportError) -> PackedHeader {
    let bytes: [UInt8]
    do { bytes = try input.read(PackedFormat.headerSize) } catch { throw TransportError(error) }
    return try bytes.withUnsafeResult { (buffer) throws(TransportError) in
      try PackedHeader(buffer, path: input.name)
    }
  }

  /// A frame as it is stored.
  package struct Frame: Sendable {
    package let header: FrameHeader
    package let stored: [UInt8]
    /// Its number, from 0.
    package let index: Int
    /// Where its header begins in the packed file.
    package let offset: Int

    var place: TransportError.Place { .frame(index, at: offset) }
  }

  /// The next frame; nil behind the last one, when the end of the file has been checked as well.
  package mutating func next() throws(TransportError) -> Frame? {
    guard let record = try nextRecord() else { return nil }
    let offset = position.packedOffset
    let stored: [UInt8]
    do { stored = try input.read(record.storedSize) } catch { throw TransportError(error) }
    guard stored.count == record.storedSize else {
      throw fail(
        .value(
          .p16, field: "bytes of the frame", found: "\(stored.count)",
          expected: "\(record.storedSize): the file is truncated"))
    }
    let frame = Frame(header: record, stored: stored, index: position.frameCount, offset: offset)
    position.advance(over: record)
    return frame
  }

  /// Goes behind a frame that is not needed; the caller moves the input.
  mutating func skip(_ frame: FrameHeader) { position.advance(over: frame) }

  /// The header of the next frame, whose stored bytes are left out; nil behind the last one.
  package mutating func nextHeader() throws(TransportError) -> FrameHeader? {
    guard let frame = try nextRecord() else { return nil }
    do throws(FileError) { _ = try input.skip(frame.storedSize) } catch {
      throw TransportError(error)
    }
    position.advance(over: frame)
    return frame
  }

  /// The header of the next frame without its bytes; nil for the end.
  private func nextRecord() throws(TransportError) -> FrameHeader? {
    let bytes: [UInt8]
    do { bytes = try input.read(PackedFormat.recordSize) } catch { throw TransportError(error) }
    guard let frame = try record(bytes) else {
      try checkEnd(bytes)
      return nil
    }
    return frame
  }

  /// Validates a record that stands at `position`; nil for the end, whose fields are not checked.
  func record(_ bytes: [UInt8]) throws(TransportError) -> FrameHeader? {
    guard bytes.count == PackedFormat.recordSize else {
      throw fail(
        .value(
          .p08, field: "bytes of a record", found: "\(bytes.count)",
          expected: "\(PackedFormat.recordSize): the file is truncated"))
    }
    return try bytes.withUnsafeResult { (buffer) throws(TransportError) -> FrameHeader? in
      let hash = XXH64.hash(buffer.slice(0..<PackedFormat.hashedRecordSize))
      let stated: UInt64 = buffer.little(PackedFormat.hashedRecordSize)
      guard hash == stated else { throw fail(.hash(.p09, found: hash, expected: stated)) }
      switch buffer.little(0, as: UInt32.self) {
      case FrameHeader.frameKind:
        return try FrameHeader(
          buffer, offset: position.rawOffset, containerSize: header.containerSize,
          path: input.name, place: place)
      case FrameHeader.endKind: return nil
      case let kind: throw fail(.value(.p10, field: "kind", found: "\(kind)", expected: "1 or 2"))
      }
    }
  }

  private var place: TransportError.Place {
    .frame(position.frameCount, at: position.packedOffset)
  }

  private func fail(
    _ problem: TransportError.Problem, atEnd: Bool = false
  ) -> TransportError {
    TransportError(
      path: input.name, place: atEnd ? .end(at: position.packedOffset) : place, problem: problem)
  }

  // MARK: The end

  /// The record behind the last frame.
  static func end(_ position: Position) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.append(little: FrameHeader.endKind)
    bytes.appendZeros(28)
    bytes.append(little: UInt64(position.rawOffset))
    bytes.append(little: position.framesHash)
    bytes.append(little: UInt64(position.frameCount))
    bytes.append(little: XXH64.hash(bytes))
    return bytes
  }

  private func checkEnd(_ bytes: [UInt8]) throws(TransportError) {
    let (offset, hash, count, reserved) = bytes.withUnsafeBytes { buffer in
      (
        buffer.little(32, as: UInt64.self), buffer.little(40, as: UInt64.self),
        buffer.little(48, as: UInt64.self), isZero(buffer.slice(4..<32))
      )
    }
    guard offset == UInt64(position.rawOffset) else {
      throw fail(
        .value(
          .p11, field: "raw offset", found: "\(offset)",
          expected: "\(position.rawOffset), where the last frame ends"), atEnd: true)
    }
    guard reserved else { throw fail(.broken(.p15, "reserved fields are not zero"), atEnd: true) }
    guard position.rawOffset == header.containerSize else {
      throw fail(
        .value(
          .p21, field: "bytes of the container", found: "\(position.rawOffset)",
          expected: "\(header.containerSize)"), atEnd: true)
    }
    guard count == UInt64(position.frameCount) else {
      throw fail(
        .value(.p22, field: "frame count", found: "\(count)", expected: "\(position.frameCount)"),
        atEnd: true)
    }
    guard hash == position.framesHash else {
      throw fail(.hash(.p22, found: position.framesHash, expected: hash), atEnd: true)
    }
    let more: [UInt8]
    do { more = try input.read(1) } catch { throw TransportError(error) }
    guard more.isEmpty else { throw fail(.broken(.p23, "bytes follow the end"), atEnd: true) }
  }

  // MARK: The container's header

  /// Checks that the first frame begins as the container that the file is of.
  func checkStart(_ raw: UnsafeRawBufferPointer) throws(TransportError) {
    let place = TransportError.Place.frame(0, at: PackedFormat.headerSize)
    func fail(_ field: String, _ found: String, _ expected: String) -> TransportError {
      TransportError(
        path: input.name, place: place,
        problem: .value(.p20, field: field, found: found, expected: expected))
    }
    guard raw.count >= PackedFormat.containerHeaderSize else {
      throw fail("raw size", "\(raw.count)", "128 or more, the container's header")
    }
    guard raw.starts(with: Container.magic) else {
      throw fail("container", "no signature of one", "a .vlmz")
    }
    let size: UInt64 = raw.little(PackedFormat.containerSizeOffset)
    guard size == UInt64(header.containerSize) else {
      throw fail("container size", "\(size)", "\(header.containerSize), as the header states")
    }
    let root = Array(raw.slice(PackedFormat.containerRootRange))
    guard root == header.rootHash else {
      throw fail(
        "root hash", hexadecimal(root), "\(hexadecimal(header.rootHash)), as the header states")
    }
  }
}
