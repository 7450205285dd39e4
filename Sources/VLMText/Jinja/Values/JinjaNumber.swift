#if canImport(Glibc)
  import Glibc
#endif

/// Number formatting and parsing as in Python.
enum JinjaNumber {
  /// The cost of formatting a float, in steps.
  static let steps = 12

  /// `repr` of a float: the shortest digits that round-trip, with an exponent outside of
  /// 1e-4..<1e16.
  static func representation(_ value: Double) -> String {
    if value.isNaN { return "nan" }
    if value.isInfinite { return value < 0 ? "-inf" : "inf" }
    if value == 0 { return value.sign == .minus ? "-0.0" : "0.0" }
    let (digits, exponent) = shortest(value.magnitude)
    let sign = value < 0 ? "-" : ""
    if exponent < -4 || exponent >= 16 {
      let fraction = digits.count > 1 ? "." + digits.dropFirst() : ""
      let mark = exponent < 0 ? "-" : "+"
      return sign + digits.prefix(1) + fraction + "e" + mark
        + padded(String(abs(exponent)), 2)
    }
    if exponent < 0 {
      return sign + "0." + String(repeating: "0", count: -exponent - 1) + digits
    }
    if digits.count <= exponent + 1 {
      return sign + digits + String(repeating: "0", count: exponent + 1 - digits.count) + ".0"
    }
    return sign + digits.prefix(exponent + 1) + "." + digits.dropFirst(exponent + 1)
  }

  /// The shortest round-trip digits of a positive number, without leading and trailing zeros, and
  /// the exponent of the first digit.
  private static func shortest(_ value: Double) -> (digits: String, exponent: Int) {
    let text = "\(value)"
    let parts = text.split(separator: "e")
    var exponent = parts.count > 1 ? Int(parts[1]) ?? 0 : 0
    let halves = parts[0].split(separator: ".", omittingEmptySubsequences: false)
    let fraction = halves.count > 1 ? String(halves[1]) : ""
    var digits = String(halves[0]) + fraction
    exponent += halves[0].count - 1
    while digits.count > 1, digits.hasPrefix("0") {
      digits.removeFirst()
      exponent -= 1
    }
    while digits.count > 1, digits.hasSuffix("0") { digits.removeLast() }
    return (digits, exponent)
  }

  static func padded(_ digits: String, _ width: Int) -> String {
    String(repeating: "0", count: max(0, width - digits.count)) + digits
  }

  /// C's `printf` of one number.
  ///
  /// - Parameters:
  ///   - flags: `#` or nothing.
  ///   - precision: at most 400.
  static func printed(_ value: Double, _ conversion: Character, precision: Int, flags: String = "")
    -> String
  {
    var buffer = [CChar](repeating: 0, count: 1024)
    let precision = max(0, min(400, precision))
    let count = withVaList([value]) {
      vsnprintf(&buffer, buffer.count, "%\(flags).\(precision)\(conversion)", $0)
    }
    guard count >= 0, Int(count) < buffer.count else { return "" }
    return String(decoding: buffer.prefix(Int(count)).map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  /// `int(text, radix)`; nil if Python raises a ValueError.
  static func integer(_ text: String, radix: Int = 10) -> Int? {
    var rest = Substring(text)
    func isSpace(_ character: Character) -> Bool {
      character.unicodeScalars.allSatisfy { JinjaScalar.isSpace($0.value) }
    }
    while let first = rest.first, isSpace(first) { rest.removeFirst() }
    while let last = rest.last, isSpace(last) { rest.removeLast() }
    var sign = ""
    if rest.first == "-" || rest.first == "+" { sign = String(rest.removeFirst()) }
    var radix = radix
    for (prefix, base) in [("0x", 16), ("0o", 8), ("0b", 2)]
    where radix == base || radix == 0 {
      if rest.lowercased().hasPrefix(prefix) {
        rest = rest.dropFirst(2)
        if rest.first == "_" { rest.removeFirst() }
        radix = base
        break
      }
    }
    if radix == 0 { radix = 10 }
    guard (2...36).contains(radix), let digits = withoutUnderscores(rest) else { return nil }
    guard digits.first != "-", digits.first != "+" else { return nil }
    return Int(sign + digits, radix: radix)
  }

  /// `float(text)`; nil if Python raises a ValueError.
  static func float(_ text: String) -> Double? {
    let scalars = Array(text.unicodeScalars)
    guard let first = scalars.firstIndex(where: { !JinjaScalar.isSpace($0.value) }),
      let last = scalars.lastIndex(where: { !JinjaScalar.isSpace($0.value) })
    else { return nil }
    var view = String.UnicodeScalarView()
    view.append(contentsOf: scalars[first...last])
    let trimmed = String(view).lowercased()
    switch trimmed {
    case "inf", "+inf", "infinity", "+infinity": return .infinity
    case "-inf", "-infinity": return -.infinity
    case "nan", "+nan", "-nan": return .nan
    default: break
    }
    guard trimmed.allSatisfy({ "0123456789.e+-_".contains($0) }),
      let digits = withoutUnderscores(Substring(trimmed))
    else { return nil }
    let bare = digits.drop { $0 == "-" || $0 == "+" }
    guard digits.count - bare.count <= 1 else { return nil }
    // Python accepts ".5" and "5.", Swift does not.
    let parts = bare.split(separator: "e", maxSplits: 1, omittingEmptySubsequences: false)
    var mantissa = String(parts[0])
    guard mantissa.contains(where: \.isNumber) else { return nil }
    if mantissa.hasPrefix(".") { mantissa = "0" + mantissa }
    if mantissa.hasSuffix(".") { mantissa += "0" }
    let exponent = parts.count > 1 ? "e" + parts[1] : ""
    return Double((digits.hasPrefix("-") ? "-" : "") + mantissa + exponent)
  }

  /// Removes underscores; nil if one is not between digits.
  private static func withoutUnderscores(_ text: Substring) -> String? {
    var result = ""
    var previous: Character = "_"
    for character in text {
      if character == "_" {
        guard previous.isHexDigit || previous.isLetter else { return nil }
      } else {
        result.append(character)
      }
      previous = character
    }
    return previous == "_" ? nil : result
  }

  /// Python's `round(value, digits)`: to nearest in decimal, half to even.
  static func rounded(_ value: Double, _ digits: Int) -> Double {
    guard value.isFinite, digits <= 300 else { return value }
    if digits < -320 { return 0 * value }
    if digits >= 0 {
      return Double(printed(value, "f", precision: digits)) ?? value
    }
    let scale = JinjaMath.power(10, Double(-digits))
    return (value / scale).rounded(.toNearestOrEven) * scale
  }
}

/// C's math functions.
enum JinjaMath {
  static func power(_ base: Double, _ exponent: Double) -> Double { pow(base, exponent) }
}
