import VLMFoundation

/// Unicode normalization forms NFC and NFD.
///
/// Canonical decompositions come from our own table, because the standard library does not expose
/// them; canonical combining classes come from the library. UAX #15, and sections 1.3 and 3.11 of
/// the standard.
enum CanonicalForm {
  /// NFC: canonical decomposition followed by canonical composition.
  ///
  /// - Parameter text: valid UTF-8.
  static func composed(_ text: [UInt8]) -> [UInt8] {
    // Text below U+0300 is already normalised.
    guard text.contains(where: { $0 >= 0xcc }) else { return text }
    let scalars = decomposition(of: text)
    var result: [Unicode.Scalar] = []
    result.reserveCapacity(scalars.count)
    var starter: Int?
    var lastClass: UInt8 = 0
    for (scalar, order) in scalars {
      if let starter, starter == result.count - 1 || lastClass < order,
        let whole = whole(result[starter], scalar)
      {
        result[starter] = whole
        continue
      }
      if order == 0 { starter = result.count }
      lastClass = order
      result.append(scalar)
    }
    return utf8(result)
  }

  /// NFD: canonical decomposition.
  ///
  /// - Parameter text: valid UTF-8.
  static func decomposed(_ text: [UInt8]) -> [UInt8] {
    guard text.contains(where: { $0 >= 0x80 }) else { return text }
    return utf8(decomposition(of: text).map(\.scalar))
  }

  private static func utf8(_ scalars: [Unicode.Scalar]) -> [UInt8] {
    var view = String.UnicodeScalarView()
    view.append(contentsOf: scalars)
    return Array(String(view).utf8)
  }

  /// The scalars of the decomposition with their combining classes; 0 for starters.
  private static func decomposition(
    of text: [UInt8]
  ) -> [(scalar: Unicode.Scalar, order: UInt8)] {
    var result: [(scalar: Unicode.Scalar, order: UInt8)] = []
    result.reserveCapacity(text.count)
    for scalar in String(decoding: text, as: UTF8.self).unicodeScalars {
      append(scalar, &result)
    }
    var start = 0
    while start < result.count {
      guard result[start].order != 0 else {
        start += 1
        continue
      }
      var end = start + 1
      while end < result.count, result[end].order != 0 { end += 1 }
      sortMarks(start..<end, &result)
      start = end
    }
    return result
  }

  /// Sorts combining marks by class. The sort is stable.
  private static func sortMarks(
    _ range: Range<Int>, _ scalars: inout [(scalar: Unicode.Scalar, order: UInt8)]
  ) {
    let isSorted = range.dropLast().allSatisfy { scalars[$0].order <= scalars[$0 + 1].order }
    if isSorted { return }
    let places = range.sorted { a, b in
      (scalars[a].order, a) < (scalars[b].order, b)
    }
    let sorted = places.map { scalars[$0] }
    scalars.replaceSubrange(range, with: sorted)
  }

  private static func append(
    _ scalar: Unicode.Scalar, _ result: inout [(scalar: Unicode.Scalar, order: UInt8)]
  ) {
    if scalar.value < 0xc0 {
      result.append((scalar, 0))
    } else if let parts = hangulParts(scalar) {
      result += parts.map { ($0, 0) }
    } else if let (first, second) = pairs[scalar] {
      append(first, &result)
      if let second { append(second, &result) }
    } else {
      result.append((scalar, scalar.properties.canonicalCombiningClass.rawValue))
    }
  }

  private static func whole(
    _ first: Unicode.Scalar, _ second: Unicode.Scalar
  ) -> Unicode.Scalar? {
    hangulWhole(first, second) ?? wholes[UInt64(first.value) << 21 | UInt64(second.value)]
  }

  // MARK: Hangul, which follows a rule

  private static let syllables: ClosedRange<UInt32> = 0xac00...0xd7a3
  private static let (leads, vowels, tails): (UInt32, UInt32, UInt32) = (0x1100, 0x1161, 0x11a7)
  private static let (leadCount, vowelCount, tailCount): (UInt32, UInt32, UInt32) = (19, 21, 28)

  private static func hangulParts(_ scalar: Unicode.Scalar) -> [Unicode.Scalar]? {
    guard syllables.contains(scalar.value) else { return nil }
    let index = scalar.value - syllables.lowerBound
    let (pair, tail) = (index / tailCount, index % tailCount)
    let values = [leads + pair / vowelCount, vowels + pair % vowelCount, tails + tail]
    return values.prefix(tail == 0 ? 2 : 3).compactMap(Unicode.Scalar.init)
  }

  private static func hangulWhole(
    _ first: Unicode.Scalar, _ second: Unicode.Scalar
  ) -> Unicode.Scalar? {
    let (first, second) = (first.value, second.value)
    if (leads..<leads + leadCount).contains(first),
      (vowels..<vowels + vowelCount).contains(second)
    {
      let pair = (first - leads) * vowelCount + second - vowels
      return Unicode.Scalar(syllables.lowerBound + pair * tailCount)
    }
    guard syllables.contains(first), (first - syllables.lowerBound) % tailCount == 0,
      (tails + 1..<tails + tailCount).contains(second)
    else { return nil }
    return Unicode.Scalar(first + second - tails)
  }

  // MARK: The table

  /// The canonical decomposition of a scalar; the second is nil for a singleton.
  private static let pairs: [Unicode.Scalar: (first: Unicode.Scalar, second: Unicode.Scalar?)] = {
    var result: [Unicode.Scalar: (first: Unicode.Scalar, second: Unicode.Scalar?)] = [:]
    for entry in entries {
      result[entry.whole] = (entry.first, entry.second)
    }
    return result
  }()

  /// Primary composites, keyed by 21 bits of each of the two scalars.
  private static let wholes: [UInt64: Unicode.Scalar] = {
    var result: [UInt64: Unicode.Scalar] = [:]
    for entry in entries where entry.composes {
      guard let second = entry.second else { continue }
      result[UInt64(entry.first.value) << 21 | UInt64(second.value)] = entry.whole
    }
    return result
  }()

  private struct Entry {
    let whole: Unicode.Scalar
    let first: Unicode.Scalar
    let second: Unicode.Scalar?
    let composes: Bool
  }

  private static let entries: [Entry] = {
    let bytes = table.base64Bytes()
    return stride(from: 0, to: bytes.count - 7, by: 8).compactMap { at in
      let bits = bytes[at..<at + 8].reduce(0) { $0 << 8 | UInt64($1) }
      func scalar(_ shift: UInt64) -> Unicode.Scalar? {
        Unicode.Scalar(UInt32(truncatingIfNeeded: bits >> shift & 0x1f_ffff))
      }
      guard let whole = scalar(42), let first = scalar(21) else { return nil }
      let second = scalar(0).flatMap { $0.value == 0 ? nil : $0 }
      return Entry(whole: whole, first: first, second: second, composes: bits >> 63 == 1)
    }
  }()
}
