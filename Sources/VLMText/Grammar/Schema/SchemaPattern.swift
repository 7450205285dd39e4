/// The value of `pattern`, a regular expression of ECMA-262, as what stands between the quotes of a
/// string of JSON.
///
/// Supported are characters, classes, groups, choices, repetitions, and `^` and `$` at the ends.
/// `\d`, `\w`, `\s` and their opposites are those of ASCII, of which all dialects agree.
struct SchemaPattern {
  let expression: GrammarExpression
  /// Characters that match.
  let minimumLength: Int
  /// Nil for any number.
  let maximumLength: Int?

  /// - Parameter place: the keyword's pointer, for messages.
  /// - Throws: `TextError` for what is not supported, by name.
  init(_ source: String, file: String, place: String) throws(TextError) {
    guard source.utf8.count <= PatternParser.maximumBytes else {
      throw TextError(
        file: file, place: place,
        .value(
          found: "\(source.utf8.count) bytes", expected: "at most \(PatternParser.maximumBytes)"))
    }
    var parser = PatternParser(text: Array(source.unicodeScalars), file: file, place: place)
    let whole = try parser.whole()
    (expression, minimumLength, maximumLength) = (whole.expression, whole.minimum, whole.maximum)
  }
}

private struct PatternParser {
  let text: [Unicode.Scalar]
  let file: String
  let place: String
  private var at = 0

  static let maximumBytes = 1 << 14
  private static let maximumNesting = 32
  private static let maximumRepetitions = 4096

  private static let digits = ScalarSet([0x30...0x39])
  private static let word = ScalarSet([0x30...0x39, 0x41...0x5a, 0x5f...0x5f, 0x61...0x7a])
  private static let space = ScalarSet(" \t\n\r\u{b}\u{c}")
  /// Some dialects count these as space.
  private static let separators = ScalarSet([0x1c...0x1f])
  private static let lineEnds = ScalarSet("\n\r\u{2028}\u{2029}")

  /// A part, with the number of its characters.
  struct Part {
    var expression: GrammarExpression
    var minimum: Int
    var maximum: Int?

    static let any = Part(
      expression: .repeated(JSONGrammar.character, minimum: 0, maximum: nil), minimum: 0,
      maximum: nil)

    static func one(of set: ScalarSet) -> Part {
      Part(expression: JSONGrammar.character(of: set), minimum: 1, maximum: 1)
    }
  }

  init(text: [Unicode.Scalar], file: String, place: String) {
    (self.text, self.file, self.place) = (text, file, place)
  }

  /// An expression that is found anywhere, unless anchors say where.
  mutating func whole() throws(TextError) -> Part {
    var choices: [Part] = []
    repeat {
      let isAtStart = take("^")
      var part = try sequence(nesting: 0)
      let isAtEnd = take("$")
      if !isAtStart { part = Self.joined([.any, part]) }
      if !isAtEnd { part = Self.joined([part, .any]) }
      choices.append(part)
    } while take("|")
    guard at == text.count else { throw unsupported() }
    return Self.choice(choices)
  }

  private mutating func alternatives(nesting: Int) throws(TextError) -> Part {
    var choices = [try sequence(nesting: nesting)]
    while take("|") { choices.append(try sequence(nesting: nesting)) }
    return Self.choice(choices)
  }

  private mutating func sequence(nesting: Int) throws(TextError) -> Part {
    var parts: [Part] = []
    while at < text.count, ![")", "|", "$"].contains(text[at]) {
      parts.append(try quantified(try item(nesting: nesting)))
    }
    return Self.joined(parts)
  }

  private static func choice(_ parts: [Part]) -> Part {
    if parts.count == 1 { return parts[0] }
    return Part(
      expression: .choice(parts.map(\.expression)), minimum: parts.map(\.minimum).min() ?? 0,
      maximum: parts.contains { $0.maximum == nil } ? nil : parts.compactMap(\.maximum).max())
  }

  private static func joined(_ parts: [Part]) -> Part {
    var whole = Part(expression: .sequence(parts.map(\.expression)), minimum: 0, maximum: 0)
    for part in parts {
      whole.minimum = whole.minimum.addingReportingOverflow(part.minimum).partialValue
      if let sum = whole.maximum, let more = part.maximum {
        let (total, overflows) = sum.addingReportingOverflow(more)
        whole.maximum = overflows ? nil : total
      } else {
        whole.maximum = nil
      }
    }
    return whole
  }

  private mutating func item(nesting: Int) throws(TextError) -> Part {
    let scalar = text[at]
    switch scalar {
    case "(": return try group(nesting: nesting)
    case "[": return .one(of: try characterClass())
    case ".":
      at += 1
      return .one(of: Self.lineEnds.inverted)
    case "\\": return .one(of: try escape(inClass: false))
    case "^", "*", "+", "?", "{": throw unsupported()
    default:
      at += 1
      return .one(of: ScalarSet(String(scalar)))
    }
  }

  private mutating func group(nesting: Int) throws(TextError) -> Part {
    guard nesting < Self.maximumNesting else { throw unsupported("groups that deep in each other") }
    at += 1
    if take("?") {
      if take("<") {
        guard at < text.count, text[at] != "=", text[at] != "!" else {
          throw unsupported("a look behind")
        }
        while at < text.count, text[at] != ">" { at += 1 }
        at += 1
      } else if !take(":") {
        throw unsupported(
          at < text.count && "=!".unicodeScalars.contains(text[at])
            ? "a look ahead" : "this kind of group")
      }
    }
    let part = try alternatives(nesting: nesting + 1)
    guard take(")") else { throw unsupported() }
    return part
  }

  private mutating func quantified(_ part: Part) throws(TextError) -> Part {
    guard at < text.count else { return part }
    let (minimum, maximum): (Int, Int?)
    switch text[at] {
    case "*": (minimum, maximum) = (0, nil)
    case "+": (minimum, maximum) = (1, nil)
    case "?": (minimum, maximum) = (0, 1)
    case "{":
      at += 1
      minimum = try number()
      if take(",") {
        maximum = at < text.count && text[at] != "}" ? try number() : nil
      } else {
        maximum = minimum
      }
      guard at < text.count, text[at] == "}", maximum ?? .max >= minimum else {
        throw unsupported()
      }
    default: return part
    }
    at += 1
    // Whether it takes many or few is the same to a grammar.
    _ = take("?")
    guard part.minimum <= 1 << 40, part.maximum ?? 0 <= 1 << 40 else {
      throw unsupported("so many repetitions")
    }
    let most = maximum.flatMap { count in part.maximum.map { $0 * count } }
    return Part(
      expression: .repeated(part.expression, minimum: minimum, maximum: maximum),
      minimum: part.minimum * minimum, maximum: maximum == 0 ? 0 : most)
  }

  private mutating func number() throws(TextError) -> Int {
    let start = at
    while at < text.count, text[at].isASCII, ("0"..."9").contains(text[at]) { at += 1 }
    guard let number = Int(String(String.UnicodeScalarView(text[start..<at]))),
      number <= Self.maximumRepetitions
    else { throw unsupported("this number of repetitions") }
    return number
  }

  private mutating func characterClass() throws(TextError) -> ScalarSet {
    at += 1
    let isInverted = take("^")
    var set = ScalarSet([])
    // Of a class like [^\w] only what all dialects agree on is taken.
    var hasShorthand = false
    while true {
      guard at < text.count else { throw unsupported("a class without an end") }
      if take("]") { break }
      let (low, isSingle) = try classItem()
      if !isSingle { hasShorthand = true }
      guard isSingle, at + 1 < text.count, text[at] == "-", text[at + 1] != "]" else {
        set = set.union(low)
        continue
      }
      at += 1
      let (high, isSingleToo) = try classItem()
      guard isSingleToo, let first = low.ranges.first, let last = high.ranges.first,
        first.lowerBound <= last.upperBound
      else { throw unsupported("this range of a class") }
      set = set.union(ScalarSet([first.lowerBound...last.upperBound]))
    }
    guard isInverted else { return set }
    let rest = set.inverted
    return hasShorthand ? rest.intersection(.ascii).subtracting(Self.separators) : rest
  }

  private mutating func classItem() throws(TextError) -> (ScalarSet, isSingle: Bool) {
    if text[at] == "\\" {
      let set = try escape(inClass: true)
      return (set, set.ranges.count == 1 && set.ranges[0].count == 1)
    }
    at += 1
    return (ScalarSet(String(text[at - 1])), true)
  }

  private mutating func escape(inClass: Bool) throws(TextError) -> ScalarSet {
    at += 1
    guard at < text.count else { throw unsupported("'\\' at the end") }
    let letter = text[at]
    at += 1
    switch letter {
    case "d": return Self.digits
    case "w": return Self.word
    case "s": return Self.space
    case "D": return Self.ascii(without: Self.digits)
    case "W": return Self.ascii(without: Self.word)
    case "S": return Self.ascii(without: Self.space)
    case "t": return ScalarSet("\t")
    case "n": return ScalarSet("\n")
    case "r": return ScalarSet("\r")
    case "f": return ScalarSet("\u{c}")
    case "v": return ScalarSet("\u{b}")
    case "x": return try hexadecimal(2)
    case "u": return try hexadecimal(4)
    case "0"..."9", "A"..."Z", "a"..."z": throw unsupported("'\\\(String(letter))'")
    default: return ScalarSet(String(letter))
    }
  }

  private static func ascii(without set: ScalarSet) -> ScalarSet {
    ScalarSet.ascii.subtracting(set).subtracting(separators)
  }

  private mutating func hexadecimal(_ count: Int) throws(TextError) -> ScalarSet {
    var value: UInt32 = 0
    for _ in 0..<count {
      guard at < text.count, text[at].isASCII, let digit = UInt32(String(text[at]), radix: 16)
      else {
        throw unsupported("an escape without \(count) digits")
      }
      value = value << 4 | digit
      at += 1
    }
    let set = ScalarSet([value...value])
    guard !set.isEmpty else { throw unsupported("half of a pair of surrogates") }
    return set
  }

  private mutating func take(_ scalar: Unicode.Scalar) -> Bool {
    guard at < text.count, text[at] == scalar else { return false }
    at += 1
    return true
  }

  private func unsupported(_ what: String? = nil) -> TextError {
    let found = at < text.count ? "'\(String(text[at]))' here" : "an end here"
    return TextError(
      file: file, place: "\(place), character \(min(at, text.count) + 1)",
      .unsupported(what ?? found))
  }
}
