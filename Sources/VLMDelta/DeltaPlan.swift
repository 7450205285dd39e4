import VLMContainer
import VLMFoundation
import VLMTensor

/// Which bytes of a new container are made from which of an old one: both are cut along their
/// tensors and sections.
struct DeltaPlan {
  /// A tensor, a section or what else lies in the new container, with the zeros behind it.
  struct Part: Equatable {
    let target: Range<Int>
    /// The same in the old container; nil for what is new.
    let base: Range<Int>?
    /// Of what differences may be taken, and by what method.
    let difference: DeltaOperation.Method?
    let isTensor: Bool
  }

  /// What one operation makes: a part, or a piece of one.
  struct Piece: Equatable {
    /// Of `parts`.
    let part: Int
    let target: Range<Int>
    /// The bytes of the old container at the same place of the part; nil without or too few.
    let counterpart: Range<Int>?
    /// Bytes around them that are worth searching.
    let prefix: Range<Int>
  }

  /// In the order of the file, without gaps.
  let parts: [Part]
  let pieces: [Piece]

  init(old: Container, new: Container) {
    var parts: [Part] = []
    let front = { (container: Container) in 0..<(container.sections.first?.offset ?? 0) }
    func append(
      _ target: Range<Int>, _ base: Range<Int>?, _ difference: DeltaOperation.Method? = nil,
      isTensor: Bool = false
    ) {
      // Behind a section the next begins, or the table, so that the zeros are in the file.
      guard !target.isEmpty else { return }
      parts.append(
        Part(
          target: target, base: base,
          difference: base?.count == target.count ? difference : nil, isTensor: isTensor))
    }
    append(front(new), front(old))
    for section in new.sections {
      if section.kind == .tensorData {
        let pairs = Self.pairs(old: old, new: new)
        for (tensor, other) in pairs {
          let comparable = other.map { $0.format == tensor.format } ?? false
          append(
            Self.padded(tensor.range), comparable ? other.map { Self.padded($0.range) } : nil,
            Self.method(for: tensor.format), isTensor: true)
        }
      } else {
        let other = old.sections.first { $0.kind == section.kind }
        append(Self.padded(section.range), other.map { Self.padded($0.range) })
      }
    }
    append(Self.table(new), Self.table(old))
    self.parts = parts
    pieces = parts.indices.flatMap { Self.pieces(of: parts[$0], at: $0) }
  }

  /// The tensors of the new container in the order of the file, each with that of the old one which
  /// has its name, or its bytes under another name.
  private static func pairs(
    old: Container, new: Container
  ) -> [(new: TensorEntry, old: TensorEntry?)] {
    struct Content: Hashable {
      let checksum: UInt64
      let byteCount: Int
    }
    var contents: [Content: TensorEntry] = [:]
    for tensor in old.tensors {
      contents[Content(checksum: tensor.checksum, byteCount: tensor.range.count)] = tensor
    }
    return new.tensors.sorted { $0.range.lowerBound < $1.range.lowerBound }.map { tensor in
      let content = Content(checksum: tensor.checksum, byteCount: tensor.range.count)
      let named = old.tensor(named: tensor.name)
      if let named, named.checksum == content.checksum { return (tensor, named) }
      if let same = contents[content], same.format == tensor.format { return (tensor, same) }
      return (tensor, named)
    }
  }

  /// How tensors of a format are compared: by the words that their numbers are stored in.
  private static func method(for format: TensorFormat) -> DeltaOperation.Method {
    switch format.scheme.codeBits {
    case 32: .words32
    case 16: .words16
    default: .bytes
    }
  }

  private static func padded(_ range: Range<Int>) -> Range<Int> {
    range.lowerBound..<DeltaFormat.padded(range.upperBound)
  }

  private static func table(_ container: Container) -> Range<Int> {
    let end = container.sections.last?.range.upperBound ?? 0
    return DeltaFormat.padded(end)..<container.file.count
  }

  private static func pieces(of part: Part, at index: Int) -> [Piece] {
    let (target, base) = (part.target, part.base ?? 0..<0)
    return stride(from: 0, to: target.count, by: DeltaFormat.piece).map { offset in
      let count = min(DeltaFormat.piece, target.count - offset)
      let start = base.lowerBound + offset
      let counterpart =
        !base.isEmpty && start + count <= base.upperBound ? start..<start + count : nil
      let first = min(max(base.lowerBound, start - DeltaFormat.margin), base.upperBound)
      let last = min(start + count + DeltaFormat.margin, base.upperBound)
      let begin = target.lowerBound + offset
      return Piece(
        part: index, target: begin..<begin + count, counterpart: counterpart,
        prefix: first..<max(first, last))
    }
  }
}
