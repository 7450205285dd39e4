/// Why an expression cannot be used.
struct ExpressionProblem: Error, Equatable {
  let text: String
}

/// Translates a regular expression of the `tokenizers` library, whose engine is Oniguruma, to
/// PCRE2.
///
/// Syntax with the same meaning in both engines is kept, syntax with a different meaning is
/// rewritten, and anything else is refused by name. Differences that matter for tokenizers: `\h` (a
/// hexadecimal digit), `\s` (White_Space), `\w` (see `word`), `\p{Han}` (the script, without its
/// extensions), `^` and `$` (at every line), `{1,3}+` (a quantified quantifier), `[a&&[^b]]`.
/// Groups capture nothing. Under `(?i:…)` only ASCII is allowed, because the engines fold other
/// characters differently.
struct ExpressionSyntax {
  /// Maximum bytes of an expression. The longest published one, DeepSeek's list of letters, has
  /// 600.
  static let maximumLength = 8192
  private static let maximumDepth = 64
  private static let maximumRepeat: UInt32 = 1000

  private let source: [Unicode.Scalar]
  var at = 0

  /// - Throws: `ExpressionProblem` naming the unsupported syntax.
  static func rewritten(_ source: String) throws(ExpressionProblem) -> String {
    guard (1...maximumLength).contains(source.utf8.count) else {
      throw ExpressionProblem(
        text: "an expression of \(source.utf8.count) bytes, not 1 to \(maximumLength)")
    }
    var syntax = ExpressionSyntax(source: Array(source.unicodeScalars))
    let text = try syntax.alternatives(depth: 0, caseless: false)
    guard syntax.at == syntax.source.count else {
      throw ExpressionProblem(text: "a ')' without '('")
    }
    return text
  }

  private init(source: [Unicode.Scalar]) { self.source = source }

  // MARK: Structure

  var next: Unicode.Scalar? { at < source.count ? source[at] : nil }

  func startsWith(_ text: String) -> Bool { source[at...].starts(with: text.unicodeScalars) }

  /// Consumes `text` if it is next; returns whether it was.
  mutating func take(_ text: String) -> Bool {
    guard startsWith(text) else { return false }
    at += text.unicodeScalars.count
    return true
  }

  mutating func take() throws(ExpressionProblem) -> Unicode.Scalar {
    guard let scalar = next else { throw ExpressionProblem(text: "an expression that breaks off") }
    at += 1
    return scalar
  }

  /// Parses alternatives up to the end, or up to the `)` of the group.
  private mutating func alternatives(
    depth: Int, caseless: Bool
  ) throws(ExpressionProblem) -> String {
    guard depth <= Self.maximumDepth else {
      throw ExpressionProblem(text: "groups more than \(Self.maximumDepth) deep")
    }
    if take("(?i)") { return "(?i:" + (try alternatives(depth: depth + 1, caseless: true)) + ")" }
    var text = ""
    var previous: Unicode.Scalar?
    while let scalar = next, scalar != ")" {
      if scalar == "|" {
        at += 1
        text += "|"
        previous = nil
        continue
      }
      let start = at
      let (atom, repeats) = try self.atom(depth, caseless)
      if caseless { try checkFolding(previous, start) }
      previous = at == start + 1 ? scalar : nil
      text += try repeated(atom, isAllowed: repeats)
    }
    return text
  }

  /// Pairs of letters that one character folds to, such as `ss` and U+00DF, which Oniguruma
  /// matches.
  private func checkFolding(_ previous: Unicode.Scalar?, _ start: Int) throws(ExpressionProblem) {
    guard at == start + 1, let previous, source[start].isASCII else { return }
    let pair = "\(previous)\(source[start])".lowercased()
    if ["ss", "ff", "fi", "fl", "st"].contains(pair) {
      throw ExpressionProblem(text: "'\(pair)' in either case")
    }
  }

  /// - Returns: the atom, and whether a quantifier may follow it.
  private mutating func atom(
    _ depth: Int, _ caseless: Bool
  ) throws(ExpressionProblem) -> (String, Bool) {
    let scalar = try take()
    switch scalar {
    case "(": return try group(depth, caseless)
    case "[": return (try ExpressionClass.read(&self, depth, caseless), true)
    case ".": return (".", true)
    case "^": return ("(?m:^)", false)
    case "$": return ("(?m:$)", false)
    case "\\": return try escaped(caseless)
    case "*", "+", "?": throw ExpressionProblem(text: "a '\(scalar)' that repeats nothing")
    default:
      if caseless, !scalar.isASCII {
        throw ExpressionProblem(text: "'\(scalar)' in either case")
      }
      return (Self.literal(scalar), true)
    }
  }

  private mutating func group(
    _ depth: Int, _ caseless: Bool
  ) throws(ExpressionProblem) -> (String, Bool) {
    var (head, inner, repeats) = ("(?:", caseless, true)
    if next == "?" {
      if take("?#") {
        while try take() != ")" {}
        return ("", false)
      }
      if let look = ["?=", "?!", "?<=", "?<!"].first(where: { startsWith($0) }) {
        at += look.utf8.count
        (head, repeats) = ("(" + look, false)
      } else if take("?>") {
        head = "(?>"
      } else if take("?i:") {
        (head, inner) = ("(?i:", true)
      } else if take("?-i:") {
        (head, inner) = ("(?-i:", false)
      } else if take("?<") {
        while try take() != ">" {}
      } else if !take("?:") {
        let kind = String(String.UnicodeScalarView(source[at...].prefix(3)))
        throw ExpressionProblem(text: "the group '(\(kind)'")
      }
    }
    let text = try alternatives(depth: depth + 1, caseless: inner)
    guard take(")") else { throw ExpressionProblem(text: "a '(' without ')'") }
    return (head + text + ")", repeats)
  }

  // MARK: Repetitions

  private mutating func repeated(
    _ atom: String, isAllowed: Bool
  ) throws(ExpressionProblem) -> String {
    var text = atom
    var isInterval = true
    while let scalar = next {
      let count: String
      if ["*", "+", "?"].contains(scalar) {
        at += 1
        count = String(scalar)
      } else if scalar == "{", let interval = try interval() {
        count = interval
      } else {
        break
      }
      guard isAllowed else { throw ExpressionProblem(text: "a repetition of nothing") }
      guard isInterval else { throw ExpressionProblem(text: "a repetition of '\(count)' at once") }
      isInterval = scalar == "{"
      var suffix = ""
      if take("?") {
        guard !isInterval || count.contains(",") else {
          throw ExpressionProblem(text: "the repetition '\(count)?'")
        }
        suffix = "?"
        isInterval = false
      } else if !isInterval, take("+") {
        suffix = "+"
      }
      text += count + suffix
      // Oniguruma applies a second quantifier to the first; PCRE2 would treat `+` as possessive.
      if next == "+" || next == "*" || next == "?" || next == "{" { text = "(?:\(text))" }
    }
    return text
  }

  /// Parses `{n}`, `{n,}`, `{,m}` or `{n,m}`; anything else is a literal brace.
  private mutating func interval() throws(ExpressionProblem) -> String? {
    var end = at + 1
    var numbers: [UInt32?] = [nil]
    while end < source.count, source[end] != "}" {
      if ("0"..."9").contains(source[end]) {
        let number = (numbers[numbers.count - 1] ?? 0) * 10 + source[end].value - 48
        guard number <= Self.maximumRepeat else {
          throw ExpressionProblem(text: "more than \(Self.maximumRepeat) repetitions")
        }
        numbers[numbers.count - 1] = number
      } else if source[end] == ",", numbers.count == 1 {
        numbers.append(nil)
      } else {
        return nil
      }
      end += 1
    }
    guard end < source.count, numbers.contains(where: { $0 != nil }) else { return nil }
    at = end + 1
    let least = numbers[0] ?? 0
    guard numbers.count == 2 else { return "{\(least)}" }
    guard let most = numbers[1] else { return "{\(least),}" }
    guard least <= most else { throw ExpressionProblem(text: "'{\(least),\(most)}'") }
    return "{\(least),\(most)}"
  }
}
