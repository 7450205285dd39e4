import VLMContainer
import VLMFoundation
import VLMTensor

enum ContainerTarget {
  /// Every layer of checksums may have to be repaired, and every tensor's.
  private static let repairs = 24

  /// Opens a container and reads all of it; where only a checksum is wrong, again with the right
  /// one. A mutated file would otherwise stop at the header's hash.
  static func run(_ bytes: UnsafeRawBufferPointer) {
    var content = Array(bytes)
    for _ in 0..<repairs {
      guard let error = read(content) else { return }
      report(error)
      switch error.problem {
      case .hash(_, let found, let expected):
        guard replace(expected.littleEndianBytes, by: found.littleEndianBytes, in: &content)
        else { return }
      case .root(let found, let expected):
        guard replace(expected, by: found, in: &content) else { return }
      default: return
      }
    }
  }

  /// - Returns: what is wrong; nil when nothing is.
  private static func read(_ content: [UInt8]) -> ContainerError? {
    let file = content.withUnsafeBytes { MappedFile(name: "fuzzed.vlmz", copying: $0) }
    do throws(ContainerError) {
      let container = try Container(file)
      for section in container.sections where section.kind != .tensorData {
        if let decoded = try container.section(section.kind) {
          precondition(decoded.count == section.rawByteCount || !section.kind.isKnown)
        }
      }
      for tensor in container.tensors {
        precondition(container.tensor(named: tensor.name)?.name == tensor.name, "found by name")
        precondition(tensor.range.upperBound <= content.count, "tensors lie in the file")
      }
      let defects = try container.verify(strict: true)
      defects.forEach { report($0) }
      return defects.first
    } catch {
      return error
    }
  }

  /// Puts `new` in the place of every `old`; false where there is none.
  static func replace(
    _ old: [UInt8], by new: [UInt8], in content: inout [UInt8]
  ) -> Bool {
    guard old != new, content.count >= old.count else { return false }
    var found = false
    for start in 0...content.count - old.count where content[start] == old[0] {
      if content[start..<start + old.count].elementsEqual(old) {
        content.replaceSubrange(start..<start + old.count, with: new)
        found = true
      }
    }
    return found
  }
}

extension UInt64 {
  /// The lowest byte first.
  var littleEndianBytes: [UInt8] {
    (0..<8).map { UInt8(truncatingIfNeeded: self >> ($0 * 8)) }
  }
}
