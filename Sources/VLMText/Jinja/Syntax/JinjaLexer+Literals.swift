// Number and string literals.

extension JinjaLexer {
  /// The number at `at`, and its end.
  func number() throws(JinjaError) -> (JinjaToken.Kind, Int) {
    if let end = float() {
      guard let value = Double(digits(at..<end)) else {
        throw error(.syntax("malformed number"))
      }
      return (.float(value), end)
    }
    for (marks, radix) in [("bB", 2), ("oO", 8), ("xX", 16)]
    where source[at] == 0x30 && at + 1 < source.count
      && marks.unicodeScalars.contains(where: { $0.value == source[at + 1] })
    {
      let end = run(from: at + 2, leadingUnderscore: true) {
        JinjaScalar.digitValue($0).map { $0 < radix } ?? false
      }
      if end > at + 2 { return (try integer(digits(at + 2..<end), radix), end) }
    }
    let isZero = source[at] == 0x30
    let end = run(from: at) { isZero ? $0 == 0x30 : JinjaScalar.isDigit($0) }
    return (try integer(digits(at..<end), 10), end)
  }

  private func integer(_ text: String, _ radix: Int) throws(JinjaError) -> JinjaToken.Kind {
    guard let value = Int(text, radix: radix) else {
      throw error(.unsupported("the integer \(text.prefix(40)), beyond 64 bits,"))
    }
    return .integer(value)
  }

  /// The end of a run of digits with single underscores between them.
  private func run(
    from start: Int, leadingUnderscore: Bool = false, while isDigit: (UInt32) -> Bool
  ) -> Int {
    var end = start
    while end < source.count {
      if isDigit(source[end]) {
        end += 1
      } else if source[end] == 0x5f, leadingUnderscore || end > start, end + 1 < source.count,
        isDigit(source[end + 1])
      {
        end += 2
      } else {
        break
      }
    }
    return end
  }

  private func digits(_ range: Range<Int>) -> String {
    JinjaString.string(of: source[range]).filter { $0 != "_" }
  }

  /// The end of a floating-point literal; nil if the digits are an integer.
  private func float() -> Int? {
    if at > 0, source[at - 1] == 0x2e { return nil }
    var end = run(from: at, while: JinjaScalar.isDigit)
    var isFloat = false
    if end < source.count, source[end] == 0x2e {
      let fraction = run(from: end + 1, while: JinjaScalar.isDigit)
      if fraction > end + 1 {
        end = fraction
        isFloat = true
      }
    }
    if end < source.count, source[end] | 0x20 == 0x65 {
      var start = end + 1
      if start < source.count, source[start] == 0x2b || source[start] == 0x2d { start += 1 }
      let exponent = run(from: start, while: JinjaScalar.isDigit)
      if exponent > start {
        end = exponent
        isFloat = true
      }
    }
    return isFloat ? end : nil
  }

  /// The string whose quote is at `at`, and its end.
  func string() throws(JinjaError) -> (JinjaString, Int) {
    let quote = source[at]
    var scalars: [UInt32] = []
    var next = at + 1
    while next < source.count, source[next] != quote {
      guard source[next] == 0x5c else {
        scalars.append(source[next])
        next += 1
        continue
      }
      guard next + 1 < source.count else { break }
      next = try escape(next + 1, into: &scalars)
    }
    guard next < source.count else {
      throw error(.unexpected(found: "the end of the template", expected: "the end of a string"))
    }
    return (JinjaString(scalars: scalars), next + 1)
  }

  private static let simpleEscapes: [UInt32: UInt32] = [
    0x5c: 0x5c, 0x27: 0x27, 0x22: 0x22, 0x61: 7, 0x62: 8, 0x66: 12, 0x6e: 10, 0x72: 13, 0x74: 9,
    0x76: 11,
  ]

  /// Decodes the escape whose backslash precedes `position`, as Python's `unicode-escape`; returns
  /// the position after it.
  private func escape(_ position: Int, into scalars: inout [UInt32]) throws(JinjaError) -> Int {
    let scalar = source[position]
    if scalar == 0x0a { return position + 1 }
    if let simple = Self.simpleEscapes[scalar] {
      scalars.append(simple)
      return position + 1
    }
    if (0x30...0x37).contains(scalar) {
      var value: UInt32 = 0
      var end = position
      while end < min(position + 3, source.count), (0x30...0x37).contains(source[end]) {
        value = value * 8 + source[end] - 0x30
        end += 1
      }
      scalars.append(value)
      return end
    }
    if let count: Int = [0x78: 2, 0x75: 4, 0x55: 8][scalar] {
      var value: UInt64 = 0
      for place in position + 1...position + count {
        guard place < source.count, let digit = JinjaScalar.digitValue(source[place]), digit < 16
        else { throw error(.syntax("truncated escape in a string")) }
        value = value << 4 | UInt64(digit)
      }
      guard value <= 0x10ffff, Unicode.Scalar(UInt32(value)) != nil else {
        throw error(.unsupported("the escape of a surrogate or of no character"))
      }
      scalars.append(UInt32(value))
      return position + count + 1
    }
    if scalar == 0x4e { throw error(.unsupported("the escape \\N")) }
    scalars.append(0x5c)
    if scalar < 0x80 {
      scalars.append(scalar)
    } else {
      // Python first converts non-ASCII characters to escapes, and this backslash escapes theirs.
      let hex = String(scalar, radix: 16)
      let (mark, width) = scalar < 0x100 ? ("x", 2) : scalar < 0x10000 ? ("u", 4) : ("U", 8)
      let padded = mark + String(repeating: "0", count: width - hex.count) + hex
      scalars.append(contentsOf: padded.unicodeScalars.map(\.value))
    }
    return position + 1
  }
}
