/// What a rule of a grammar matches.
indirect enum GrammarExpression: Sendable, Equatable {
  /// Exactly these bytes, which are UTF-8.
  case bytes([UInt8])
  /// One character of the set.
  case scalars(ScalarSet)
  /// One behind the other; nothing at all where there are none.
  case sequence([GrammarExpression])
  /// One of several; nothing matches where there are none.
  case choice([GrammarExpression])
  /// At least `minimum` times, at most `maximum` times; nil for any number.
  case repeated(GrammarExpression, minimum: Int, maximum: Int?)
  /// The rule with this number.
  case rule(Int)
  /// Items in their order, with a separator between those that are there.
  case list([ListItem], separator: GrammarExpression)

  struct ListItem: Sendable, Equatable {
    let expression: GrammarExpression
    let isOptional: Bool
  }

  /// Matches the empty text.
  static let empty = GrammarExpression.sequence([])
  /// Matches no text.
  static let never = GrammarExpression.choice([])

  static func text(_ text: String) -> GrammarExpression { .bytes(Array(text.utf8)) }

  /// The only text that it matches, where it says so plainly.
  var onlyText: [UInt8]? {
    switch self {
    case .bytes(let bytes): bytes
    case .sequence(let parts) where parts.count == 1: parts[0].onlyText
    default: nil
    }
  }

  /// At most once.
  var optional: GrammarExpression { .repeated(self, minimum: 0, maximum: 1) }

  static func scalars(in characters: String) -> GrammarExpression {
    .scalars(ScalarSet(characters))
  }

  static func range(_ range: ClosedRange<Unicode.Scalar>) -> GrammarExpression {
    .scalars(ScalarSet([range.lowerBound.value...range.upperBound.value]))
  }

  /// The rules that it refers to, each time it does.
  var references: [Int] {
    switch self {
    case .bytes, .scalars: []
    case .sequence(let parts), .choice(let parts): parts.flatMap(\.references)
    case .repeated(let part, _, _): part.references
    case .rule(let rule): [rule]
    case .list(let items, let separator):
      separator.references + items.flatMap(\.expression.references)
    }
  }
}

/// A rule of a grammar.
struct GrammarRule: Sendable, Equatable {
  /// For messages.
  let name: String
  var expression: GrammarExpression
}
