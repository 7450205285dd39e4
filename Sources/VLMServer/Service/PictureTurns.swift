/// Pictures of a request that are decoded and computed in one turn, before others have theirs.
enum PictureTurns {
  /// A fraction of a second of decoding; a single picture may have more.
  static let pixels = 16_000_000

  /// - Parameter pixels: of each picture.
  /// - Returns: ranges of pictures, one behind the other.
  static func split(_ pixels: [Int]) -> [Range<Int>] {
    var turns: [Range<Int>] = []
    var (first, sum) = (0, 0)
    for (index, count) in pixels.enumerated() {
      if index > first, sum + count > Self.pixels {
        turns.append(first..<index)
        (first, sum) = (index, 0)
      }
      sum += count
    }
    if first < pixels.count { turns.append(first..<pixels.count) }
    return turns
  }
}
