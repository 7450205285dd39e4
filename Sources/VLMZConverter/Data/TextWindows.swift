import VLMText

/// Windows of tokens out of long texts, spread evenly over them.
enum TextWindows {
  /// Bytes of text that a token stands for at most, about; no more is read for each that is wanted.
  private static let bytesPerToken = 24

  /// At most `count` tokens as windows of `length`, each with `bos` in front.
  ///
  /// A text that is shorter than a window is a window of its own.
  ///
  /// - Throws: the errors of `Tokenizer.encode`.
  static func windows(
    of texts: [String], _ tokenizer: Tokenizer, count: Int, length: Int, bos: Int?
  ) throws(TextError) -> [[Int]] {
    let start = bos.map { [$0] } ?? []
    let step = max(1, length - start.count)
    var windows: [[Int]] = []
    for text in parts(of: texts, bytes: max(1, count) * bytesPerToken) {
      let ids = try tokenizer.encode(text, bos: false, eos: false, parsesSpecial: false)
      for first in stride(from: 0, to: ids.count, by: step) {
        let window = ids[first..<min(ids.count, first + step)]
        // The rest behind the last whole one adds little, but for a text that has nothing else.
        if window.count == step || first == 0 { windows.append(start + window) }
      }
    }
    return chosen(windows, count: count)
  }

  /// So many of the windows, evenly, that they have about `count` tokens.
  private static func chosen(_ windows: [[Int]], count: Int) -> [[Int]] {
    let total = windows.reduce(0) { $0 + $1.count }
    guard total > count, let longest = windows.map(\.count).max() else { return windows }
    let wanted = max(1, min(windows.count, (count + longest - 1) / longest))
    var result = (0..<wanted).map { windows[$0 * windows.count / wanted] }
    var left = count
    for index in result.indices {
      result[index] = Array(result[index].prefix(max(0, left)))
      left -= result[index].count
    }
    return result.filter { !$0.isEmpty }
  }

  /// Pieces of the texts, evenly spaced, of so many bytes in all.
  private static func parts(of texts: [String], bytes: Int) -> [String] {
    let total = texts.reduce(0) { $0 + $1.utf8.count }
    guard total > bytes else { return texts }
    let pieces = 16
    return texts.flatMap { text -> [String] in
      let utf8 = Array(text.utf8)
      // A share of each text, in proportion.
      let share = max(1, Int(Double(utf8.count) * Double(bytes) / Double(total)))
      guard utf8.count > share else { return [text] }
      let size = max(1, share / pieces)
      return (0..<pieces).map { piece in
        let start = boundary(utf8, piece * (utf8.count - size) / pieces)
        let end = boundary(utf8, min(utf8.count, start + size))
        return String(decoding: utf8[start..<max(start, end)], as: UTF8.self)
      }.filter { !$0.isEmpty }
    }
  }

  /// The first place from `place` on, within a line's length, that follows white space; else where a
  /// character begins.
  private static func boundary(_ utf8: [UInt8], _ place: Int) -> Int {
    guard place > 0, place < utf8.count else { return min(max(0, place), utf8.count) }
    let near = place..<min(utf8.count, place + 200)
    if let space = near.first(where: { [0x20, 0x0a].contains(utf8[$0 - 1]) }) { return space }
    return near.first { utf8[$0] & 0xc0 != 0x80 } ?? utf8.count
  }
}
