/// Parts of grammars of JSON (RFC 8259).
///
/// What could go on without an end is bounded: white space to a space, or a line break with an
/// indentation; numbers to the digits that a double has. White space stands where people write it:
/// inside brackets, and behind commas and colons.
enum JSONGrammar {
  /// Digits before and behind the point that a model may write: those that a double keeps.
  static let maximumDigits = 15
  private static let maximumIndentation = 20

  static let digit = GrammarExpression.range("0"..."9")

  static let space = GrammarExpression.choice([
    .text(" "),
    .sequence([
      .text("\n"),
      .choice([
        .repeated(.text(" "), minimum: 0, maximum: maximumIndentation),
        .repeated(.text("\t"), minimum: 1, maximum: maximumIndentation / 2),
      ]),
    ]),
  ]).optional

  static let comma = GrammarExpression.sequence([.text(","), space])

  /// Characters that a string has as they are.
  static let plain = ScalarSet("\"\\").union(ScalarSet([0...0x1f])).inverted

  /// One character of a string. Escapes of surrogates are left out, since half of a pair is no text.
  static let character: GrammarExpression = {
    let digits = ScalarSet("0123456789abcdefABCDEF")
    let hexadecimal = GrammarExpression.scalars(digits)
    let escape = GrammarExpression.choice([
      .scalars(in: "\"\\/bfnrt"),
      .sequence([
        .text("u"),
        .choice([
          .sequence([.scalars(digits.subtracting(ScalarSet("dD"))), hexadecimal]),
          .sequence([.scalars(in: "dD"), .range("0"..."7")]),
        ]),
        hexadecimal, hexadecimal,
      ]),
    ])
    return .choice([.scalars(plain), .sequence([.text("\\"), escape])])
  }()

  /// A string with any characters.
  static func string(minimum: Int = 0, maximum: Int? = nil) -> GrammarExpression {
    quoted(.repeated(character, minimum: minimum, maximum: maximum))
  }

  static func quoted(_ content: GrammarExpression) -> GrammarExpression {
    .sequence([.text("\""), content, .text("\"")])
  }

  /// One character of a set, as a string has it.
  static func character(of set: ScalarSet) -> GrammarExpression {
    var choices = [GrammarExpression.scalars(set.intersection(plain))]
    let short: [UInt32: String] = [
      0x22: "\\\"", 0x5c: "\\\\", 0x08: "\\b", 0x09: "\\t", 0x0a: "\\n", 0x0c: "\\f", 0x0d: "\\r",
    ]
    for value in Array(UInt32(0)...0x1f) + [0x22, 0x5c] where set.contains(value) {
      let long = "\\u00" + (value < 16 ? "0" : "") + String(value, radix: 16)
      choices.append(.text(short[value] ?? long))
    }
    return .choice(choices)
  }

  static let number = GrammarExpression.sequence([
    .text("-").optional, natural, fraction.optional,
    .sequence([
      .scalars(in: "eE"), .scalars(in: "+-").optional,
      .repeated(digit, minimum: 1, maximum: 2),
    ]).optional,
  ])

  static let integer = GrammarExpression.choice([
    .text("0"),
    .sequence([
      .text("-").optional, .range("1"..."9"),
      .repeated(digit, minimum: 0, maximum: maximumDigits - 1),
    ]),
  ])

  static let fraction = GrammarExpression.sequence([
    .text("."), .repeated(digit, minimum: 1, maximum: maximumDigits),
  ])

  private static let natural = GrammarExpression.choice([
    .text("0"),
    .sequence([
      .range("1"..."9"), .repeated(digit, minimum: 0, maximum: maximumDigits - 1),
    ]),
  ])

  /// `open`, items with commas between them, `close`.
  static func enclosed(
    _ open: String, _ items: GrammarExpression, _ close: String
  ) -> GrammarExpression {
    .sequence([.text(open), space, items, space, .text(close)])
  }

  /// One item or several, as many as `minimum` and `maximum` say.
  static func several(
    _ item: GrammarExpression, minimum: Int, maximum: Int?
  ) -> GrammarExpression {
    if maximum == 0 { return .empty }
    let rest = GrammarExpression.repeated(
      .sequence([comma, item]), minimum: max(0, minimum - 1), maximum: maximum.map { $0 - 1 })
    let all = GrammarExpression.sequence([item, rest])
    return minimum == 0 ? all.optional : all
  }

  static func member(_ key: GrammarExpression, _ value: GrammarExpression) -> GrammarExpression {
    .sequence([key, .text(":"), space, value])
  }
}

/// The rules that any JSON is made of, added to a grammar once they are needed.
struct JSONRules {
  private(set) var rules: [GrammarRule] = []
  private var common: (value: Int, object: Int, array: Int, string: Int)?

  mutating func add(_ name: String, _ expression: GrammarExpression = .never) -> Int {
    rules.append(GrammarRule(name: name, expression: expression))
    return rules.count - 1
  }

  mutating func define(_ rule: Int, _ expression: GrammarExpression) {
    rules[rule].expression = expression
  }

  /// Any value.
  mutating func value() -> GrammarExpression { .rule(standard().value) }
  /// An object with any members.
  mutating func object() -> GrammarExpression { .rule(standard().object) }
  /// An array of any values.
  mutating func array() -> GrammarExpression { .rule(standard().array) }
  /// Any string.
  mutating func string() -> GrammarExpression { .rule(standard().string) }

  private mutating func standard() -> (value: Int, object: Int, array: Int, string: Int) {
    if let common { return common }
    let string = add("string", JSONGrammar.string())
    let (value, object, array) = (add("value"), add("object"), add("array"))
    let member = JSONGrammar.member(.rule(string), .rule(value))
    define(
      object,
      JSONGrammar.enclosed(
        "{", JSONGrammar.several(member, minimum: 0, maximum: nil), "}"))
    define(
      array,
      JSONGrammar.enclosed(
        "[", JSONGrammar.several(.rule(value), minimum: 0, maximum: nil), "]"))
    define(
      value,
      .choice([
        .rule(object), .rule(array), .rule(string), JSONGrammar.number, .text("true"),
        .text("false"), .text("null"),
      ]))
    let made = (value, object, array, string)
    common = made
    return made
  }
}

extension Grammar {
  /// JSON objects with any members.
  package static func jsonObject() throws(TextError) -> Grammar {
    var rules = JSONRules()
    guard case .rule(let root) = rules.object() else {
      throw TextError(file: "grammar", place: "object", .missing)
    }
    return try Grammar(rules.rules, root: root, file: "grammar")
  }
}
