import VLMContainer
import VLMDelta
import VLMFoundation

enum DeltaTarget {
  /// Every layer of checksums may have to be repaired, and those of the operations.
  private static let repairs = 24
  /// The most bytes of a base, and of what is made of it.
  private static let most = 16 << 20

  /// Opens a delta, checks all of it, and makes what it makes of a base that is made up; where only
  /// a checksum is wrong, again with the right one.
  static func run(_ bytes: UnsafeRawBufferPointer) {
    var content = Array(bytes)
    for _ in 0..<repairs {
      guard let error = read(content) else { return }
      report(error)
      guard case .hash(_, let found, let expected) = error.problem,
        ContainerTarget.replace(
          expected.littleEndianBytes, by: found.littleEndianBytes, in: &content)
      else { return }
    }
  }

  /// - Returns: what is wrong; nil when nothing is.
  private static func read(_ content: [UInt8]) -> DeltaError? {
    let file = content.withUnsafeBytes { MappedFile(name: "fuzzed.vlmzd", copying: $0) }
    do throws(DeltaError) {
      let delta = try DeltaFile(file)
      try delta.verify()
      let sum = delta.operations.reduce(0) { $0 + $1.length }
      precondition(sum == delta.target.byteCount, "the operations make the target's size")
      guard delta.base.byteCount <= most else { return nil }
      let base = (0..<delta.base.byteCount).map { UInt8(truncatingIfNeeded: $0 ^ $0 >> 7) }
      var made = 0
      for (index, operation) in delta.operations.enumerated() where operation.method != .copy {
        made += operation.length
        guard made <= most else { return nil }
        let result = base.withUnsafeBytes { base in
          Result { () throws(DeltaError) in try delta.bytes(of: index, base: base) }
        }
        let count = try result.get().count
        precondition(count == operation.length, "as many bytes as are promised")
      }
      return nil
    } catch {
      return error
    }
  }
}
