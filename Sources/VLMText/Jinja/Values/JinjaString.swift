/// A Python string: a sequence of code points. The top bit of each marks text that came from the
/// caller. Operations that split, join or change strings preserve the marks; comparisons ignore
/// them.
struct JinjaString: Sendable, Hashable {
  static let userMark: UInt32 = 1 << 31
  static let valueMask: UInt32 = userMark - 1

  var scalars: [UInt32]
  /// Whether it was created by `escape` or `safe`; text appended to it is escaped.
  var isMarkup = false

  init(scalars: [UInt32], isMarkup: Bool = false) {
    self.scalars = scalars
    self.isMarkup = isMarkup
  }

  init(_ text: String, isUserText: Bool = false) {
    let mark = isUserText ? Self.userMark : 0
    var text = text
    scalars = text.withUTF8 { Self.decoded($0, mark) }
  }

  var count: Int { scalars.count }
  var isEmpty: Bool { scalars.isEmpty }
  /// The string without origin marks.
  var string: String { Self.string(of: scalars[...]) }

  subscript(position: Int) -> UInt32 { scalars[position] & Self.valueMask }

  subscript(range: Range<Int>) -> JinjaString {
    JinjaString(scalars: Array(scalars[range]), isMarkup: isMarkup)
  }

  /// - Parameter bytes: valid UTF-8.
  private static func decoded(_ bytes: UnsafeBufferPointer<UInt8>, _ mark: UInt32) -> [UInt32] {
    var scalars: [UInt32] = []
    scalars.reserveCapacity(bytes.count)
    var at = 0
    while at < bytes.count {
      let first = UInt32(bytes[at])
      let (count, bits): (Int, UInt32) =
        switch first {
        case 0..<0x80: (1, first)
        case 0..<0xe0: (2, first & 0x1f)
        case 0..<0xf0: (3, first & 0x0f)
        default: (4, first & 0x07)
        }
      var value = bits
      for offset in 1..<max(1, count) { value = value << 6 | UInt32(bytes[at + offset]) & 0x3f }
      scalars.append(value | mark)
      at += count
    }
    return scalars
  }

  static func string(of scalars: ArraySlice<UInt32>) -> String {
    var bytes = scalars.count
    for scalar in scalars where scalar & valueMask >= 0x80 { bytes += 3 }
    return String(unsafeUninitializedCapacity: bytes) { buffer in
      var at = 0
      for scalar in scalars {
        var value = scalar & valueMask
        if value < 0x80 {
          buffer[at] = UInt8(value)
          at += 1
          continue
        }
        if Unicode.Scalar(value) == nil { value = 0xfffd }
        let count = value < 0x800 ? 2 : value < 0x10000 ? 3 : 4
        for place in (1..<count).reversed() {
          buffer[at + place] = UInt8(0x80 | value & 0x3f)
          value >>= 6
        }
        buffer[at] = UInt8(value | (count == 2 ? 0xc0 : count == 3 ? 0xe0 : 0xf0))
        at += count
      }
      return at
    }
  }

  static func == (a: JinjaString, b: JinjaString) -> Bool {
    a.count == b.count && a.hasPrefix(b.scalars, at: 0)
  }

  func hash(into hasher: inout Hasher) {
    for scalar in scalars { hasher.combine(scalar & Self.valueMask) }
    hasher.combine(count)
  }

  /// Python's order, by code points.
  static func precedes(_ a: JinjaString, _ b: JinjaString) -> Bool {
    for position in 0..<min(a.count, b.count) where a[position] != b[position] {
      return a[position] < b[position]
    }
    return a.count < b.count
  }

  /// Whether `part` occurs at `position`, which is within the string or at its end.
  func hasPrefix(_ part: [UInt32], at position: Int) -> Bool {
    guard part.count <= count - position else { return false }
    for offset in 0..<part.count
    where (scalars[position + offset] ^ part[offset]) & Self.valueMask != 0 {
      return false
    }
    return true
  }

  /// The first occurrence of `part` in `range`, in linear time (Knuth-Morris-Pratt).
  func firstIndex(of part: JinjaString, in range: Range<Int>) -> Int? {
    part.count <= range.count ? JinjaSearch(part).next(in: self, range) : nil
  }
}

/// Searches for one string in others.
struct JinjaSearch {
  private let part: JinjaString
  /// The failure function: the length of the prefix still matched after a mismatch at each length.
  private let fallback: [Int]

  init(_ part: JinjaString) {
    self.part = part
    var fallback = [Int](repeating: 0, count: part.count)
    var length = 0
    for position in 1..<max(1, part.count) {
      while length > 0, part[position] != part[length] { length = fallback[length - 1] }
      if part[position] == part[length] { length += 1 }
      fallback[position] = length
    }
    self.fallback = fallback
  }

  func next(in text: JinjaString, _ range: Range<Int>) -> Int? {
    guard part.count > 0 else { return range.lowerBound }
    guard part.count <= range.count else { return nil }
    var length = 0
    for position in range {
      let scalar = text[position]
      while length > 0, scalar != part[length] { length = fallback[length - 1] }
      if scalar == part[length] { length += 1 }
      if length == part.count { return position + 1 - length }
    }
    return nil
  }

  /// Non-overlapping occurrences from the left, at most `limit`.
  func all(in text: JinjaString, limit: Int = .max) -> [Int] {
    var found: [Int] = []
    var start = 0
    while found.count < limit, let place = next(in: text, start..<text.count) {
      found.append(place)
      start = place + part.count
    }
    return found
  }
}
