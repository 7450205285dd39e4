/// SentencePiece's `precompiled_charsmap`: strings and what each of them becomes, such as NFKC.
///
/// The bytes are the size of a trie, the trie, and the replacements, each ended by a zero. The trie is a
/// double array of 32-bit units as `darts-clone` writes it: a unit has the label that leads to it in its
/// low byte, whether a string ends here in bit 8, and from bit 10 on how far its children are away,
/// times 256 where bit 9 is set.
struct CharacterMap: Sendable, Equatable {
  /// As it is in the file.
  let bytes: [UInt8]
  private let units: [UInt32]
  /// Where the replacements begin in `bytes`.
  private let start: Int

  /// Several times that of NFKC with case folding, the largest that SentencePiece has.
  static let maximumBytes = 1 << 22

  /// Nil for bytes that are no such map.
  init?(_ bytes: [UInt8]) {
    guard bytes.count > 8, bytes.count <= Self.maximumBytes else { return nil }
    func word(_ at: Int) -> UInt32 {
      (0..<4).reduce(0) { $0 | UInt32(bytes[at + $1]) << (8 * UInt32($1)) }
    }
    let size = Int(word(0))
    guard size > 0, size % 4 == 0, size <= bytes.count - 4 else { return nil }
    units = (0..<size / 4).map { word(4 + 4 * $0) }
    start = 4 + size
    self.bytes = bytes
    for unit in units where unit >> 31 == 1 {
      guard Int(unit & 0x7fff_ffff) < bytes.count - start else { return nil }
    }
  }

  /// The text with the longest string that the map has at each place replaced.
  ///
  /// - Parameter text: valid UTF-8.
  func callAsFunction(_ text: [UInt8]) -> [UInt8] {
    var result: [UInt8] = []
    result.reserveCapacity(text.count)
    var at = 0
    while at < text.count {
      if let (value, count) = longest(text, from: at) {
        var place = start + value
        while place < bytes.count, bytes[place] != 0 {
          result.append(bytes[place])
          place += 1
        }
        at += count
      } else {
        let end = min(at + UTF8Text.sequenceLength(text[at]), text.count)
        result += text[at..<end]
        at = end
      }
    }
    // A map can hold any bytes.
    return Array(String(decoding: result, as: UTF8.self).utf8)
  }

  /// The longest string of the map that the text has from `first` on, as the place of its replacement.
  private func longest(_ text: [UInt8], from first: Int) -> (value: Int, count: Int)? {
    var found: (Int, Int)?
    guard let root = units.first else { return nil }
    var node = Self.offset(root)
    for at in first..<text.count {
      node ^= Int(text[at])
      guard node < units.count else { return found }
      let unit = units[node]
      guard unit & 0x8000_00ff == UInt32(text[at]) else { return found }
      node ^= Self.offset(unit)
      if unit >> 8 & 1 == 1 {
        guard node < units.count else { return found }
        let value = Int(units[node] & 0x7fff_ffff)
        guard value < bytes.count - start else { return found }
        found = (value, at + 1 - first)
      }
    }
    return found
  }

  private static func offset(_ unit: UInt32) -> Int {
    Int(unit >> 10) << (unit & 1 << 9 == 0 ? 0 : 8)
  }
}
