/// Reads a grammar in GBNF, the notation of llama.cpp.
///
/// ```
/// # a comment
/// root   ::= "yes" | "no" reason?
/// reason ::= ", because " [^\n]{1,80}
/// ```
///
/// As in llama.cpp a rule ends with its line, unless parentheses are open or the line ends with `|`.
/// Beyond that a line may begin with `|`, since no rule does.
struct GrammarParser {
  private let text: [Unicode.Scalar]
  private let file: String
  private var at = 0
  private var numbers: [String: Int] = [:]
  private var rules: [GrammarRule] = []
  /// Where each rule is first mentioned, and whether it is defined.
  private var mentions: [(place: Int, isDefined: Bool)] = []

  /// Published grammars have a few kilobytes.
  static let maximumBytes = 1 << 20
  /// Parentheses in parentheses.
  static let maximumNesting = 64
  static let maximumRules = 4096
  /// As in llama.cpp.
  static let maximumRepetitions = 2000

  /// The rules of a grammar, and the number of `root`.
  ///
  /// - Throws: `TextError` with line and column.
  static func parse(
    _ source: String, file: String
  ) throws(TextError) -> (rules: [GrammarRule], root: Int) {
    guard source.utf8.count <= maximumBytes else {
      throw TextError(
        file: file, place: "size",
        .value(found: "\(source.utf8.count) bytes", expected: "at most \(maximumBytes)"))
    }
    var parser = GrammarParser(text: Array(source.unicodeScalars), file: file)
    return try parser.parse()
  }

  private init(text: [Unicode.Scalar], file: String) {
    self.text = text
    self.file = file
  }

  private mutating func parse() throws(TextError) -> (rules: [GrammarRule], root: Int) {
    skipSpace(overLines: true)
    while at < text.count { try parseRule() }
    for (rule, mention) in mentions.enumerated() where !mention.isDefined {
      throw error(
        at: mention.place, found: "'\(rules[rule].name)'", expected: "a rule that is defined")
    }
    guard let root = numbers["root"] else {
      throw TextError(
        file: file, place: "rules", .value(found: "no rule 'root'", expected: "one"))
    }
    return (rules, root)
  }

  private mutating func parseRule() throws(TextError) {
    let start = at
    guard let name = name() else {
      throw unexpected("the name of a rule: letters, digits and '-'")
    }
    let rule = try number(of: name, at: start)
    skipSpace(overLines: false)
    guard take("::=") else { throw unexpected("'::='") }
    guard !mentions[rule].isDefined else {
      throw error(at: start, found: "'\(name)' again", expected: "each rule once")
    }
    mentions[rule].isDefined = true
    skipSpace(overLines: true)
    rules[rule].expression = try alternatives(nesting: 0)
    guard at == text.count || isLineBreak else { throw unexpected("the end of the line") }
    skipSpace(overLines: true)
  }

  private mutating func alternatives(nesting: Int) throws(TextError) -> GrammarExpression {
    var choices = [try sequence(nesting: nesting)]
    while true {
      let end = at
      skipSpace(overLines: true)
      guard take("|") else {
        at = end
        break
      }
      skipSpace(overLines: true)
      choices.append(try sequence(nesting: nesting))
    }
    return choices.count == 1 ? choices[0] : .choice(choices)
  }

  private mutating func sequence(nesting: Int) throws(TextError) -> GrammarExpression {
    var parts: [GrammarExpression] = []
    while at < text.count, let part = try item(nesting: nesting) {
      skipSpace(overLines: nesting > 0)
      parts.append(try quantified(part, nesting: nesting))
    }
    return parts.count == 1 ? parts[0] : .sequence(parts)
  }

  /// Nil where the sequence ends.
  private mutating func item(nesting: Int) throws(TextError) -> GrammarExpression? {
    switch text[at] {
    case "\"": return try literal()
    case "[": return .scalars(try characterClass())
    case "(":
      guard nesting < Self.maximumNesting else {
        throw error(
          at: at, found: "more parentheses",
          expected: "at most \(Self.maximumNesting) in each other")
      }
      let start = at
      at += 1
      skipSpace(overLines: true)
      let inner = try alternatives(nesting: nesting + 1)
      skipSpace(overLines: true)
      guard take(")") else {
        throw at == text.count
          ? error(at: start, found: "'(' without an end", expected: "')'") : unexpected("')'")
      }
      return inner
    case ".":
      at += 1
      return .scalars(.all)
    case "<", "!":
      throw TextError(file: file, place: place(at), .unsupported("a token in a grammar"))
    default:
      let start = at
      guard let name = name() else { return nil }
      return .rule(try number(of: name, at: start))
    }
  }

  /// The item with `*`, `+`, `?` or `{m,n}` behind it.
  private mutating func quantified(
    _ part: GrammarExpression, nesting: Int
  ) throws(TextError) -> GrammarExpression {
    var part = part
    var count = 0
    while at < text.count {
      let (minimum, maximum): (Int, Int?)
      let start = at
      switch text[at] {
      case "*": (minimum, maximum) = (0, nil)
      case "+": (minimum, maximum) = (1, nil)
      case "?": (minimum, maximum) = (0, 1)
      case "{":
        at += 1
        (minimum, maximum) = try bounds(from: start)
      default: return part
      }
      count += 1
      guard count <= 8 else {
        throw error(at: start, found: "more repetitions", expected: "at most 8 of one item")
      }
      at += 1
      skipSpace(overLines: nesting > 0)
      part = .repeated(part, minimum: minimum, maximum: maximum)
    }
    return part
  }

  /// What stands behind `{`; ends at `}`.
  private mutating func bounds(from start: Int) throws(TextError) -> (Int, Int?) {
    skipSpace(overLines: false)
    let minimum = try repetitions()
    skipSpace(overLines: false)
    var maximum: Int? = minimum
    if take(",") {
      skipSpace(overLines: false)
      maximum = at < text.count && text[at] != "}" ? try repetitions() : nil
      skipSpace(overLines: false)
    }
    guard at < text.count, text[at] == "}" else { throw unexpected("'}'") }
    if let maximum, maximum < minimum {
      throw error(
        at: start, found: "{\(minimum),\(maximum)}", expected: "a maximum that is not below")
    }
    return (minimum, maximum)
  }

  private mutating func repetitions() throws(TextError) -> Int {
    let start = at
    while at < text.count, ("0"..."9").contains(text[at]) { at += 1 }
    guard at > start else { throw unexpected("a number of repetitions") }
    let digits = String(String.UnicodeScalarView(text[start..<at]))
    guard let number = Int(digits), number <= Self.maximumRepetitions else {
      throw error(
        at: start, found: digits, expected: "at most \(Self.maximumRepetitions) repetitions")
    }
    return number
  }

  // MARK: Characters

  private mutating func literal() throws(TextError) -> GrammarExpression {
    let start = at
    at += 1
    var bytes: [UInt8] = []
    while true {
      guard at < text.count else {
        throw error(at: start, found: "a text without an end", expected: "'\"'")
      }
      if take("\"") { return .bytes(bytes) }
      bytes += Array(String(try character()).utf8)
    }
  }

  private mutating func characterClass() throws(TextError) -> ScalarSet {
    let start = at
    at += 1
    let isInverted = take("^")
    var ranges: [ClosedRange<UInt32>] = []
    while true {
      guard at < text.count else {
        throw error(at: start, found: "'[' without an end", expected: "']'")
      }
      let first = at
      if take("]") { break }
      let low = try character()
      guard at + 1 < text.count, text[at] == "-", text[at + 1] != "]" else {
        ranges.append(low.value...low.value)
        continue
      }
      at += 1
      let high = try character()
      guard low <= high else {
        throw error(at: first, found: "a range that descends", expected: "the lower end first")
      }
      ranges.append(low.value...high.value)
    }
    let set = ScalarSet(ranges)
    guard !set.isEmpty else {
      throw error(at: start, found: "no characters", expected: "at least one between '[' and ']'")
    }
    return isInverted ? set.inverted : set
  }

  /// A character, or an escape for one.
  private mutating func character() throws(TextError) -> Unicode.Scalar {
    let start = at
    let scalar = text[at]
    at += 1
    guard scalar == "\\" else { return scalar }
    guard at < text.count else { throw unexpected("the rest of an escape") }
    let letter = text[at]
    at += 1
    switch letter {
    case "n": return "\n"
    case "r": return "\r"
    case "t": return "\t"
    case "\\", "\"", "[", "]": return letter
    case "x": return try hexadecimal(2, from: start)
    case "u": return try hexadecimal(4, from: start)
    case "U": return try hexadecimal(8, from: start)
    default:
      throw error(
        at: start, found: "'\\\(String(letter))'",
        expected: "one of \\n \\r \\t \\\\ \\\" \\[ \\] \\xNN \\uNNNN \\UNNNNNNNN")
    }
  }

  private mutating func hexadecimal(_ count: Int, from start: Int) throws(TextError)
    -> Unicode.Scalar
  {
    var value: UInt32 = 0
    for _ in 0..<count {
      guard at < text.count, let digit = UInt32(String(text[at]), radix: 16), text[at].isASCII,
        value < 1 << 28
      else { throw unexpected("\(count) hexadecimal digits") }
      value = value << 4 | digit
      at += 1
    }
    guard let scalar = Unicode.Scalar(value) else {
      throw error(at: start, found: "U+\(String(value, radix: 16))", expected: "a character")
    }
    return scalar
  }

  // MARK: Places

  private mutating func number(of name: String, at place: Int) throws(TextError) -> Int {
    if let number = numbers[name] { return number }
    guard rules.count < Self.maximumRules else {
      throw error(at: place, found: "more rules", expected: "at most \(Self.maximumRules)")
    }
    numbers[name] = rules.count
    rules.append(GrammarRule(name: name, expression: .never))
    mentions.append((place, false))
    return rules.count - 1
  }

  private mutating func name() -> String? {
    let start = at
    while at < text.count {
      switch text[at] {
      case "a"..."z", "A"..."Z", "0"..."9", "-": at += 1
      default: return at > start ? String(String.UnicodeScalarView(text[start..<at])) : nil
      }
    }
    return at > start ? String(String.UnicodeScalarView(text[start..<at])) : nil
  }

  private var isLineBreak: Bool { at < text.count && (text[at] == "\n" || text[at] == "\r") }

  private mutating func take(_ word: String) -> Bool {
    let scalars = word.unicodeScalars
    guard text[at...].starts(with: scalars) else { return false }
    at += scalars.count
    return true
  }

  /// Steps over white space and comments.
  private mutating func skipSpace(overLines: Bool) {
    while at < text.count {
      switch text[at] {
      case " ", "\t": at += 1
      case "#": while at < text.count, !isLineBreak { at += 1 }
      case "\n" where overLines, "\r" where overLines: at += 1
      default: return
      }
    }
  }

  private func unexpected(_ expected: String) -> TextError {
    guard at < text.count else { return error(at: at, found: "the end", expected: expected) }
    return error(
      at: at, found: isLineBreak ? "the end of the line" : "'\(String(text[at]))'",
      expected: expected)
  }

  private func error(at offset: Int, found: String, expected: String) -> TextError {
    TextError(file: file, place: place(offset), .value(found: found, expected: expected))
  }

  private func place(_ offset: Int) -> String {
    let before = text[..<offset]
    let line = before.count { $0 == "\n" } + 1
    let column = offset - (before.lastIndex(of: "\n").map { $0 + 1 } ?? 0) + 1
    return "line \(line), column \(column)"
  }
}
