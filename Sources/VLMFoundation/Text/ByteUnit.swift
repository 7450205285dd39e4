/// The unit that a number of bytes was given in, for messages that compare another with it.
package struct ByteUnit: Sendable, Equatable {
  private let name: String
  private let byteCount: Int

  /// The largest first; of one size those of 1000 first.
  private static let units: [(name: String, byteCount: Int)] = [
    ("TB", 1_000_000_000_000), ("TiB", 1 << 40), ("GB", 1_000_000_000), ("GiB", 1 << 30),
    ("MB", 1_000_000), ("MiB", 1 << 20), ("kB", 1000), ("KiB", 1 << 10),
  ]

  /// The unit of which `count` is a number as people write them, in the fewest digits: of 1 or more,
  /// with at most three decimals and four digits that are no zeros at the end; else bytes.
  package init(of count: Int) {
    var best: (unit: (name: String, byteCount: Int), digits: Int)?
    for unit in Self.units {
      let thousandths = (Double(count) / Double(unit.byteCount) * 1000).rounded(.up)
      guard thousandths >= 1000, Int(thousandths / 1000 * Double(unit.byteCount)) == count else {
        continue
      }
      var digits = Int(thousandths)
      while digits % 10 == 0 { digits /= 10 }
      let length = "\(digits)".utf8.count
      if length <= 4, length < best?.digits ?? .max { best = (unit, length) }
    }
    (name, byteCount) = best?.unit ?? ("bytes", 1)
  }

  /// The unit that people call so, in letters of either case: `kB` to `TB`, `KiB` to `TiB`, the bare
  /// letters for the latter; bytes for nothing. Nil for another name.
  package init?(named name: String) {
    let name = name.lowercased()
    if name.isEmpty || name == "b" {
      (self.name, byteCount) = ("bytes", 1)
      return
    }
    let found = Self.units.first { unit in
      let full = unit.name.lowercased()
      return full == name || full.count == 3 && [1, 2].contains(name.count) && full.hasPrefix(name)
    }
    guard let found else { return nil }
    (self.name, byteCount) = found
  }

  /// "3.5 GB": the number that `init(of:)` was given.
  package func text(_ count: Int) -> String { text(atLeast: count) }

  /// The least number with three decimals that is no less than `count` bytes.
  package func text(atLeast count: Int) -> String {
    guard byteCount > 1 else { return counted(count, "byte") }
    var value = (Double(count) / Double(byteCount) * 1000).rounded(.up) / 1000
    // What is told must be enough, whatever the division lost.
    while Int(value * Double(byteCount)) < count { value += 0.001 }
    var digits = decimal(value, 3)
    while digits.last == "0" { digits.removeLast() }
    if digits.last == "." { digits.removeLast() }
    return "\(digits) \(name)"
  }
}

/// A size as a person wrote it.
package struct GivenSize: Sendable, Equatable {
  package let text: String
  package let unit: ByteUnit

  package init(text: String, unit: ByteUnit) {
    self.text = text
    self.unit = unit
  }
}
