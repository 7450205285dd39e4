import VLMFoundation

/// A number of a schema as digits, exactly as it is written: rounding would move a bound.
struct DecimalText: Sendable, Equatable {
  var isNegative: Bool
  /// Without leading zeros; one zero for none.
  var whole: [UInt8]
  /// Without trailing zeros.
  var fraction: [UInt8]

  /// Digits on either side of the point.
  static let maximumDigits = 32

  init(isNegative: Bool = false, whole: [UInt8], fraction: [UInt8] = []) {
    self.whole = Array(whole.drop { $0 == 0 })
    if self.whole.isEmpty { self.whole = [0] }
    self.fraction = fraction
    while self.fraction.last == 0 { self.fraction.removeLast() }
    self.isNegative = isNegative && (self.whole != [0] || !self.fraction.isEmpty)
  }

  /// Nil for what is no number, or has more digits.
  init?(_ value: JSONValue) {
    let literal: String
    switch value {
    case .integer(let integer): literal = String(integer)
    case .unsigned(let integer): literal = String(integer)
    case .number(let number): literal = number.literal
    default: return nil
    }
    let parts = literal.lowercased().split(separator: "e")
    guard let mantissa = parts.first, literal.utf8.count <= 128 else { return nil }
    let exponent = parts.count > 1 ? Int(parts[1]) : 0
    let halves = mantissa.drop { $0 == "-" }.split(separator: ".")
    guard let exponent, abs(exponent) <= 2 * Self.maximumDigits, let first = halves.first else {
      return nil
    }
    var whole = first.utf8.map { $0 &- 0x30 }
    var fraction = halves.count > 1 ? halves[1].utf8.map { $0 &- 0x30 } : []
    for _ in 0..<max(0, exponent) { whole.append(fraction.isEmpty ? 0 : fraction.removeFirst()) }
    for _ in 0..<max(0, -exponent) { fraction.insert(whole.popLast() ?? 0, at: 0) }
    self.init(isNegative: mantissa.hasPrefix("-"), whole: whole, fraction: fraction)
    guard self.whole.count <= Self.maximumDigits, self.fraction.count <= Self.maximumDigits else {
      return nil
    }
  }

  var isInteger: Bool { fraction.isEmpty }
  var isZero: Bool { whole == [0] && fraction.isEmpty }
  var magnitude: DecimalText { DecimalText(whole: whole, fraction: fraction) }

  static func < (a: DecimalText, b: DecimalText) -> Bool {
    if a.isNegative != b.isNegative { return a.isNegative }
    let isLess =
      a.whole.count != b.whole.count
      ? a.whole.count < b.whole.count
      : (a.whole + a.fraction).lexicographicallyPrecedes(b.whole + b.fraction)
    return a.isNegative ? a.magnitude != b.magnitude && !isLess : isLess
  }

  /// The number one greater, of a whole one that is not negative.
  static func successor(_ digits: [UInt8]) -> [UInt8] {
    var digits = digits
    for index in digits.indices.reversed() {
      if digits[index] < 9 {
        digits[index] += 1
        return digits
      }
      digits[index] = 0
    }
    return [1] + digits
  }

  /// The number one less, of a whole one above 0.
  static func predecessor(_ digits: [UInt8]) -> [UInt8] {
    var digits = digits
    for index in digits.indices.reversed() {
      if digits[index] > 0 {
        digits[index] -= 1
        break
      }
      digits[index] = 9
    }
    return DecimalText(whole: digits).whole
  }
}

/// The numbers between two bounds, as a grammar of their digits.
struct NumberRange {
  struct Bound: Equatable {
    var value: DecimalText
    var isExclusive: Bool
  }

  var minimum: Bound?
  var maximum: Bound?

  /// Whole numbers without a fraction.
  func integers() -> GrammarExpression {
    expression { low, high in
      // The whole numbers within.
      var first = low.value.whole
      if !low.value.isInteger || low.isExclusive { first = DecimalText.successor(first) }
      var last = high.value.whole
      if high.value.isInteger, high.isExclusive {
        guard last != [0] else { return .never }
        last = DecimalText.predecessor(last)
      }
      return DigitRange.whole(first, last)
    }
  }

  /// Numbers with a fraction or without, and with no exponent.
  func numbers() -> GrammarExpression { expression(DigitRange.numbers) }

  /// What is not negative, and what is, with its bounds the other way around.
  private func expression(
    _ magnitudes: (_ low: Bound, _ high: Bound) -> GrammarExpression
  ) -> GrammarExpression {
    let digits = max(
      JSONGrammar.maximumDigits, minimum?.value.whole.count ?? 0, maximum?.value.whole.count ?? 0)
    let far = Bound(
      value: DecimalText(whole: [UInt8](repeating: 9, count: digits)), isExclusive: false)
    let zero = DecimalText(whole: [0])
    var choices: [GrammarExpression] = []
    if !(maximum?.value.isNegative ?? false) {
      let low = minimum.map { $0.value.isNegative ? Bound(value: zero, isExclusive: false) : $0 }
      choices.append(
        magnitudes(low ?? Bound(value: zero, isExclusive: false), maximum ?? far))
    }
    if minimum?.value.isNegative ?? true {
      func mirrored(_ bound: Bound) -> Bound {
        Bound(value: bound.value.magnitude, isExclusive: bound.isExclusive)
      }
      let low = maximum.flatMap { $0.value.isNegative ? mirrored($0) : nil }
      choices.append(
        .sequence([
          .text("-"),
          magnitudes(low ?? Bound(value: zero, isExclusive: true), minimum.map(mirrored) ?? far),
        ]))
    }
    return .choice(choices)
  }
}
