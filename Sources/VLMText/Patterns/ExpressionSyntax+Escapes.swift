extension ExpressionSyntax {
  /// A single character or a character class, as an element of `[…]`.
  enum Member: Equatable {
    case character(Unicode.Scalar)
    /// The characters that the text describes, or their complement.
    case members(String, isNegated: Bool)
  }

  /// `\w` of Oniguruma: Unicode's word characters, and six fractions and superscripts of Latin-1.
  private static let word = #"\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\x{b2}\x{b3}\x{b9}\x{bc}-\x{be}"#

  static func literal(_ scalar: Unicode.Scalar) -> String {
    switch scalar {
    case "a"..."z", "A"..."Z", "0"..."9", "_": String(scalar)
    case "\u{21}"..."\u{7e}": "\\\(scalar)"
    case _ where scalar.value < 0x21 || scalar.value == 0x7f:
      "\\x{\(String(scalar.value, radix: 16))}"
    default: String(scalar)
    }
  }

  /// Rewrites an escape outside of `[…]`, after its `\`.
  ///
  /// - Returns: the rewritten text, and whether a quantifier may follow it.
  mutating func escaped(_ caseless: Bool) throws(ExpressionProblem) -> (String, Bool) {
    switch next {
    case "A", "z", "Z":
      let letter = try take()
      return ("\\\(letter)", false)
    case "b", "B":
      let isEdge = try take() == "b"
      let (before, after) = ("(?<=[\(Self.word)])", "(?=[\(Self.word)])")
      let (notBefore, notAfter) = ("(?<![\(Self.word)])", "(?![\(Self.word)])")
      return isEdge
        ? ("(?:\(before)\(notAfter)|\(notBefore)\(after))", false)
        : ("(?:\(before)\(after)|\(notBefore)\(notAfter))", false)
    case "R":
      at += 1
      return (#"(?>\r\n|[\n-\r\x{85}\x{2028}\x{2029}])"#, true)
    default: break
    }
    switch try member(caseless, inClass: false) {
    case .character(let scalar): return (Self.literal(scalar), true)
    case .members(let text, let isNegated): return ("[\(isNegated ? "^" : "")\(text)]", true)
    }
  }

  /// Parses an escape that is valid both outside and inside of `[…]`, after its `\`.
  mutating func member(_ caseless: Bool, inClass: Bool) throws(ExpressionProblem) -> Member {
    let letter = try take()
    switch letter {
    case "n": return .character("\n")
    case "r": return .character("\r")
    case "t": return .character("\t")
    case "f": return .character("\u{c}")
    case "v": return .character("\u{b}")
    case "a": return .character("\u{7}")
    case "e": return .character("\u{1b}")
    case "b" where inClass: return .character("\u{8}")
    case "x", "u": return .character(try coded(letter, caseless))
    case "d", "D": return .members(#"\p{Nd}"#, isNegated: letter == "D")
    case "s", "S": return .members(#"\p{White_Space}"#, isNegated: letter == "S")
    case "h", "H": return .members("0-9A-Fa-f", isNegated: letter == "H")
    case "w" where !caseless, "W" where !caseless:
      return .members(Self.word, isNegated: letter == "W")
    case "p" where !caseless, "P" where !caseless:
      let (text, isNegated) = try property()
      return .members(text, isNegated: isNegated != (letter == "P"))
    case "a"..."z", "A"..."Z", "0"..."9":
      throw ExpressionProblem(text: "'\\\(letter)'\(caseless ? " in either case" : "")")
    default:
      guard letter.isASCII else { throw ExpressionProblem(text: "'\\\(letter)'") }
      return .character(letter)
    }
  }

  /// Parses `\xHH`, `\x{H…}` and `\uHHHH`, after their letter.
  private mutating func coded(
    _ letter: Unicode.Scalar, _ caseless: Bool
  ) throws(ExpressionProblem) -> Unicode.Scalar {
    let isBraced = letter == "x" && take("{")
    let most = isBraced ? 8 : letter == "x" ? 2 : 4
    var value: UInt32 = 0
    var count = 0
    while count < most, let digit = next, digit.isASCII,
      let number = Character(digit).hexDigitValue
    {
      at += 1
      count += 1
      value = value &<< 4 | UInt32(number)
    }
    let isComplete = isBraced ? take("}") && count > 0 : count == most
    // To Oniguruma two digits are a byte, which is not a character from 80 on.
    guard isComplete, let scalar = Unicode.Scalar(value), isBraced || letter == "u" || value < 0x80,
      !caseless || value < 0x80
    else { throw ExpressionProblem(text: "a code behind '\\\(letter)'") }
    return scalar
  }

  /// Parses `{L}`, `{^L}`, `{Letter}` or `{Han}` after `\p`.
  private mutating func property() throws(ExpressionProblem) -> (String, isNegated: Bool) {
    guard take("{") else { throw ExpressionProblem(text: "'\\p' without '{'") }
    let isNegated = take("^")
    var name = ""
    while true {
      let scalar = try take()
      if scalar == "}" { break }
      guard scalar.isASCII, name.utf8.count < 64 else {
        throw ExpressionProblem(text: "the property '\(name)\(scalar)'")
      }
      // Both engines ignore case, spaces, hyphens and underscores.
      if scalar.properties.isAlphabetic {
        name += String(scalar).lowercased()
      } else if ![" ", "-", "_"].contains(scalar) {
        throw ExpressionProblem(text: "the property '\(name)\(scalar)'")
      }
    }
    if let text = Self.properties[name] { return (text, isNegated) }
    guard name.utf8.count > 2 else { throw ExpressionProblem(text: "the property '\(name)'") }
    return ("\\p{sc:\(name)}", isNegated)
  }

  /// Oniguruma's meaning of the POSIX classes `[[:name:]]`.
  static let brackets: [String: String] = [
    "alpha": #"\p{Alphabetic}"#, "digit": #"\p{Nd}"#, "alnum": #"\p{Alphabetic}\p{Nd}"#,
    "space": #"\p{White_Space}"#, "upper": #"\p{Uppercase}"#, "lower": #"\p{Lowercase}"#,
    "punct": #"\p{P}\p{S}"#, "word": word, "xdigit": "0-9A-Fa-f",
  ]

  /// Properties by lower-case name, without scripts.
  private static let properties: [String: String] = {
    let categories: [(short: String, long: String)] = [
      ("L", "letter"), ("Lu", "uppercaseletter"), ("Ll", "lowercaseletter"),
      ("Lt", "titlecaseletter"), ("Lm", "modifierletter"), ("Lo", "otherletter"),
      ("M", "mark"), ("Mn", "nonspacingmark"), ("Mc", "spacingmark"), ("Me", "enclosingmark"),
      ("N", "number"), ("Nd", "decimalnumber"), ("Nl", "letternumber"), ("No", "othernumber"),
      ("P", "punctuation"), ("Pc", "connectorpunctuation"), ("Pd", "dashpunctuation"),
      ("Ps", "openpunctuation"), ("Pe", "closepunctuation"), ("Pi", "initialpunctuation"),
      ("Pf", "finalpunctuation"), ("Po", "otherpunctuation"),
      ("S", "symbol"), ("Sm", "mathsymbol"), ("Sc", "currencysymbol"), ("Sk", "modifiersymbol"),
      ("So", "othersymbol"), ("Z", "separator"), ("Zs", "spaceseparator"),
      ("Zl", "lineseparator"), ("Zp", "paragraphseparator"), ("C", "other"), ("Cc", "control"),
      ("Cf", "format"), ("Cn", "unassigned"), ("Co", "privateuse"), ("Cs", "surrogate"),
    ]
    var names: [String: String] = [
      "lc": #"\p{L&}"#, "casedletter": #"\p{L&}"#, "punct": #"\p{P}"#, "digit": #"\p{Nd}"#,
      "alpha": #"\p{Alphabetic}"#, "alphabetic": #"\p{Alphabetic}"#,
      "upper": #"\p{Uppercase}"#, "uppercase": #"\p{Uppercase}"#,
      "lower": #"\p{Lowercase}"#, "lowercase": #"\p{Lowercase}"#,
      "space": #"\p{White_Space}"#, "whitespace": #"\p{White_Space}"#,
      "alnum": #"\p{Alphabetic}\p{Nd}"#, "word": word, "any": #"\p{Any}"#,
      "ideographic": #"\p{Ideographic}"#, "emoji": #"\p{Emoji}"#,
      "extendedpictographic": #"\p{Extended_Pictographic}"#,
    ]
    for (short, long) in categories {
      names[short.lowercased()] = "\\p{\(short)}"
      names[long] = "\\p{\(short)}"
    }
    return names
  }()
}

/// Parses `[…]`: unions, ranges, negations and `&&`, arbitrarily nested.
enum ExpressionClass {
  /// - Returns: an expression for one character of the class in PCRE2's syntax, which lacks nested
  ///   classes and `&&`.
  static func read(
    _ syntax: inout ExpressionSyntax, _ depth: Int, _ caseless: Bool
  ) throws(ExpressionProblem) -> String {
    guard depth < 64 else { throw ExpressionProblem(text: "classes more than 64 deep") }
    let isNegated = syntax.take("^")
    guard syntax.next != "]" else { throw ExpressionProblem(text: "']' at the start of a class") }
    var operands: [String] = []
    var (members, others) = ("", [String]())
    var isSimple = true
    func operand() throws(ExpressionProblem) -> String {
      let all = (members.isEmpty ? [] : ["[\(members)]"]) + others
      guard let first = all.first else { throw ExpressionProblem(text: "an empty class") }
      return all.count == 1 ? first : "(?:\(all.joined(separator: "|")))"
    }
    while !syntax.take("]") {
      if syntax.take("&&") {
        operands.append(try operand())
        (members, others, isSimple) = ("", [], false)
      } else if syntax.take("[:") {
        members += try bracket(&syntax, caseless)
      } else if syntax.take("[") {
        others.append(try read(&syntax, depth + 1, caseless))
        isSimple = false
      } else {
        switch try member(&syntax, caseless) {
        case .character(let first):
          members += ExpressionSyntax.literal(first)
          if let last = try rangeEnd(&syntax, caseless) {
            guard first <= last else { throw ExpressionProblem(text: "a range that descends") }
            members += "-" + ExpressionSyntax.literal(last)
          }
        case .members(let text, false): members += text
        case .members(let text, true):
          // A single property is negated directly.
          if text.hasPrefix("\\p{"), text.utf8.filter({ $0 == UInt8(ascii: "{") }).count == 1 {
            members += "\\P" + text.dropFirst(2)
          } else {
            others.append("[^\(text)]")
            isSimple = false
          }
        }
      }
    }
    if isSimple { return members.isEmpty ? try operand() : "[\(isNegated ? "^" : "")\(members)]" }
    operands.append(try operand())
    let last = operands.removeLast()
    let all =
      operands.isEmpty ? last : "(?:\(operands.map { "(?=\($0))" }.joined())\(last))"
    return isNegated ? "(?:(?!\(all))(?s:.))" : all
  }

  private static func member(
    _ syntax: inout ExpressionSyntax, _ caseless: Bool
  ) throws(ExpressionProblem) -> ExpressionSyntax.Member {
    let scalar = try syntax.take()
    if scalar == "\\" {
      let member = try syntax.member(caseless, inClass: true)
      if case .members = member, syntax.next == "-", !syntax.startsWith("-]") {
        throw ExpressionProblem(text: "a range from a class")
      }
      return member
    }
    if caseless, !scalar.isASCII { throw ExpressionProblem(text: "'\(scalar)' in either case") }
    return .character(scalar)
  }

  /// The upper bound of a range, after its lower bound; nil if no range follows.
  private static func rangeEnd(
    _ syntax: inout ExpressionSyntax, _ caseless: Bool
  ) throws(ExpressionProblem) -> Unicode.Scalar? {
    guard syntax.next == "-", !syntax.startsWith("-]"), !syntax.startsWith("-&&") else {
      return nil
    }
    guard !syntax.startsWith("-["), syntax.take("-"),
      case .character(let last) = try member(&syntax, caseless)
    else { throw ExpressionProblem(text: "a range to a class") }
    return last
  }

  private static func bracket(
    _ syntax: inout ExpressionSyntax, _ caseless: Bool
  ) throws(ExpressionProblem) -> String {
    var name = ""
    while !syntax.take(":]") {
      name += String(try syntax.take())
      guard name.utf8.count < 16 else { throw ExpressionProblem(text: "the class '[:\(name)'") }
    }
    guard let members = ExpressionSyntax.brackets[name], !caseless else {
      throw ExpressionProblem(text: "the class '[:\(name):]'")
    }
    return members
  }
}
