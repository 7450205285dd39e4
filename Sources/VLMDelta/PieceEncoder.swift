import VLMContainer

#if canImport(Glibc)
  import Glibc
#endif

/// Finds the smallest way to make a piece of the new container from the old one.
struct PieceEncoder {
  /// The bytes of the whole containers.
  let old, new: UnsafeRawBufferPointer
  let plan: DeltaPlan

  /// A piece as it is stored.
  struct Encoded {
    let method: DeltaOperation.Method
    let base: Range<Int>
    /// Empty for a copy.
    let stored: [UInt8]
  }

  /// Bytes of a piece on which the methods are tried.
  private static let sample = 256 << 10

  /// The same for the same containers and version of zstd. Nil if zstd has no memory.
  func encode(_ piece: DeltaPlan.Piece) -> Encoded? {
    let target = new.slice(piece.target)
    let counterpart = piece.counterpart.map { old.slice($0) }
    if let counterpart, let range = piece.counterpart, Self.isSame(target, counterpart) {
      return Encoded(method: .copy, base: range, stored: [])
    }
    let found: Encoded
    if let method = plan.parts[piece.part].difference, let word = method.wordSize,
      let counterpart, let range = piece.counterpart,
      isSmaller(word, target, counterpart, piece)
    {
      let difference = Difference.make(target, base: counterpart, wordSize: word)
      guard let frame = difference.withUnsafeBytes({ Self.frame($0) }) else { return nil }
      found = Encoded(method: method, base: range, stored: frame)
    } else {
      let prefix = old.slice(piece.prefix)
      guard let frame = Self.frame(target, prefix: prefix) else { return nil }
      let base = piece.prefix.isEmpty ? 0..<0 : piece.prefix
      found = Encoded(method: .patch, base: base, stored: frame)
    }
    guard found.stored.count < target.count else {
      return Encoded(method: .stored, base: 0..<0, stored: Array(target))
    }
    return found
  }

  /// Whether differences of a sample take less than what zstd finds of it in the old bytes.
  private func isSmaller(
    _ wordSize: Int, _ target: UnsafeRawBufferPointer, _ counterpart: UnsafeRawBufferPointer,
    _ piece: DeltaPlan.Piece
  ) -> Bool {
    let range = Self.sampled(target.count)
    let difference = Difference.make(
      target.slice(range), base: counterpart.slice(range), wordSize: wordSize)
    let none = UnsafeRawBufferPointer(start: nil, count: 0)
    let sizes = difference.withUnsafeBytes { difference in
      [DeltaFrame.Coder.literals, .quick].compactMap {
        DeltaFrame.compress(difference, prefix: none, coder: $0)?.count
      }
    }
    let patch = DeltaFrame.compress(
      target.slice(range), prefix: old.slice(piece.prefix), coder: .quick)
    guard let size = sizes.min() else { return false }
    return size <= patch?.count ?? .max
  }

  /// A frame by the better of two coders: where searching longer gains next to nothing on a sample,
  /// the literals alone are coded, in a hundredth of the time.
  private static func frame(
    _ bytes: UnsafeRawBufferPointer,
    prefix: UnsafeRawBufferPointer = UnsafeRawBufferPointer(start: nil, count: 0)
  ) -> [UInt8]? {
    guard prefix.isEmpty, bytes.count > sample else {
      return DeltaFrame.compress(bytes, prefix: prefix, coder: .thorough)
    }
    let part = bytes.slice(sampled(bytes.count))
    guard let literals = DeltaFrame.compress(part, prefix: prefix, coder: .literals)?.count,
      let thorough = DeltaFrame.compress(part, prefix: prefix, coder: .thorough)?.count
    else { return nil }
    // What is nearly all zeros is searched quickly, and may differ elsewhere.
    let gains = literals < part.count / 8 || thorough < literals - literals / 32
    return DeltaFrame.compress(bytes, prefix: prefix, coder: gains ? .thorough : .literals)
  }

  /// The middle of so many bytes, at a multiple of 64.
  private static func sampled(_ count: Int) -> Range<Int> {
    guard count > sample else { return 0..<count }
    let start = (count - sample) / 2 / DeltaFormat.alignment * DeltaFormat.alignment
    return start..<start + sample
  }

  private static func isSame(_ a: UnsafeRawBufferPointer, _ b: UnsafeRawBufferPointer) -> Bool {
    guard a.count == b.count, let first = a.baseAddress, let second = b.baseAddress else {
      return a.count == b.count
    }
    return memcmp(first, second, a.count) == 0
  }
}
