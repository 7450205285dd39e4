import VLMContainer
import VLMFoundation
import VLMTensor
import VLMTransport

enum PackedTarget {
  /// A mutated file has several checksums to repair.
  private static let repairs = 12
  private static let pool = WorkerPool(threadCount: 1)

  /// Decodes a packed file; where only a checksum is wrong, again with the right one.
  static func run(_ bytes: UnsafeRawBufferPointer) {
    var content = Array(bytes)
    for _ in 0..<repairs {
      guard let error = read(content) else { return }
      report(error)
      guard case .hash(_, let found, let expected) = error.problem,
        replace(expected, by: found, in: &content)
      else { return }
    }
  }

  /// - Returns: what is wrong; nil when nothing is.
  private static func read(_ content: [UInt8]) -> TransportError? {
    do {
      let input = PackedInput(name: "fuzzed.vlmzp", bytes: content)
      var bytes = 0
      let summary = try Unpacker(input, pool: pool).verify { done, total in
        precondition(done > bytes && done <= total, "frames follow each other")
        bytes = done
      }
      precondition(bytes == summary.header.containerSize, "the frames are the container")
      precondition(summary.packedSize == content.count, "nothing else is in the file")
      return nil
    } catch let error as TransportError {
      precondition(error.rule != nil, "bytes in memory break a rule or none")
      return error
    } catch {
      preconditionFailure("another error: \(error)")
    }
  }

  private static func replace(_ old: UInt64, by new: UInt64, in content: inout [UInt8]) -> Bool {
    let (old, new) = (littleEndian(old), littleEndian(new))
    guard content.count >= 8 else { return false }
    for start in 0...content.count - 8 where content[start] == old[0] {
      if content[start..<start + 8].elementsEqual(old) {
        content.replaceSubrange(start..<start + 8, with: new)
        return true
      }
    }
    return false
  }

  private static func littleEndian(_ value: UInt64) -> [UInt8] {
    (0..<8).map { UInt8(truncatingIfNeeded: value >> ($0 * 8)) }
  }
}
