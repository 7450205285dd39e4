import ArgumentParser
import VLMFoundation

/// Sizes as people write them: 3.5GB, 700 MiB.
package enum ByteSize {
  private static let units: [String: Double] = [
    "B": 1, "": 1, "kB": 1e3, "KB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12, "KiB": 1024,
    "MiB": 1_048_576, "GiB": 1_073_741_824, "TiB": 1_099_511_627_776,
  ]

  /// - Parameter option: the option that it was given with, for the error.
  /// - Throws: `ValidationError` for what is no size of 1 byte or more.
  package static func parse(_ text: String, option: String) throws -> Int {
    let digits = text.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
    let unit = text.dropFirst(digits.count).drop { $0 == " " }
    guard let value = number(String(digits)), let factor = units[String(unit)],
      value * factor >= 1, value * factor < 1e18
    else {
      throw ValidationError(
        "\(option): found '\(text.escapedForDisplay())', expected a number and a unit, such as 3.5GB, "
          + "90MB or 700MiB")
    }
    return Int(value * factor)
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
