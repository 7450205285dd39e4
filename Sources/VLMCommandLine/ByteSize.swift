import ArgumentParser
import VLMFoundation

/// Sizes as people write them: 3.5GB, 700 MiB, 1G.
package enum ByteSize {
  /// Bytes that no file has, 10^18.
  private static let limit = 1e18

  /// What a unit's first letter stands for, as a power of 1000 or 1024.
  private static let prefixes: [Character: Int] = ["k": 1, "m": 2, "g": 3, "t": 4]

  /// Bytes of a unit, in letters of either case: `kB` to `TB` are powers of 1000, `KiB` to `TiB` and the
  /// bare letters `K` to `T` powers of 1024, as for GNU's tools, systemd and containers. Nil for another.
  private static func factor(of unit: String) -> Double? {
    let unit = unit.lowercased()
    if unit.isEmpty || unit == "b" { return 1 }
    guard let first = unit.first, let power = prefixes[first] else { return nil }
    let base: Double
    switch unit.dropFirst() {
    case "b": base = 1000
    case "", "ib", "i": base = 1024
    default: return nil
    }
    return (0..<power).reduce(1.0) { product, _ in product * base }
  }

  /// - Parameters:
  ///   - option: the option that it was given with, for the error.
  ///   - bare: what a number without a unit is a number of.
  /// - Throws: `ValidationError` for what is no size of 1 byte or more.
  package static func parse(_ text: String, option: String, bare: Int = 1) throws -> Int {
    let digits = text.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
    let unit = text.dropFirst(digits.count).drop { $0 == " " }
    func refusal(_ expected: String) -> ValidationError {
      ValidationError("\(option): found '\(text.escapedForDisplay())', expected \(expected)")
    }
    guard let value = number(String(digits)),
      let factor = unit.isEmpty ? Double(bare) : factor(of: String(unit))
    else {
      // Below zero, or with the comma that many languages write.
      if text.hasPrefix("-"), (try? parse(String(text.dropFirst()), option: option)) != nil {
        throw refusal("1 byte or more")
      }
      let pointed = text.parts(between: ",").joined(separator: ".")
      let isMeant = pointed != text && (try? parse(pointed, option: option, bare: bare)) != nil
      throw refusal(
        "a number and a unit, such as 3.5GB, 90MB, 700MiB or 1G"
          + (isMeant ? "; with a point: \(pointed)" : ""))
    }
    guard value * factor >= 1 else { throw refusal("1 byte or more") }
    guard value * factor < Self.limit else { throw refusal("less than 1000000TB") }
    return Int(value * factor)
  }

  /// Refuses a part of a byte, which was meant to have a unit. Apart from `parse`, as the unit may be
  /// the next word, of which the parser tells.
  package static func requireWhole(_ text: String, option: String) throws {
    guard let value = number(text), value != value.rounded() else { return }
    throw ValidationError(
      "\(option): found '\(text.escapedForDisplay())', expected a whole number of bytes, or a number "
        + "and a unit, such as \(text)GB")
  }

  /// A size that `parse` takes, for messages: as it was written, and its unit.
  package static func given(_ text: String) -> GivenSize? {
    let digits = text.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
    let name = text.dropFirst(digits.count).drop { $0 == " " }
    return ByteUnit(named: String(name)).map { GivenSize(text: text, unit: $0) }
  }

  /// A decimal number without a sign before it: 0.02, 2e-2.
  package static func number(_ text: String) -> Double? {
    let others = Array(".eE-".utf8)
    guard text.utf8.count <= 24, text.utf8.first.map({ $0 != others[3] }) ?? false,
      text.utf8.allSatisfy({ (48...57).contains($0) || others.contains($0) }),
      let value = Double(text), value.isFinite
    else { return nil }
    return value
  }
}
