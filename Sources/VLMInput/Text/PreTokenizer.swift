/// Cuts text into words that are merged each on its own.
package struct PreTokenizer: Sendable, Equatable {
  package enum Step: Sendable, Equatable {
    /// A space before each word that does not begin with one.
    case prefixSpace
    /// Every number character is a word.
    case singleDigits
    /// Every run of number characters is a word.
    case digitRuns
    case pattern(TextPattern)
    /// Any other expression.
    case expression(SplitExpression)
    /// The steps that follow see the stand-ins of bytes; see `ByteLevelText`.
    case standIns
  }

  package var steps: [Step]

  /// The words of `text`, in order, as bytes: what `body` is called with.
  ///
  /// - Parameter matcher: finds matches of expressions; made where it is needed.
  /// - Throws: `TextError` where an expression takes too many steps.
  func forEachWord(
    _ text: [UInt8], _ matcher: inout ExpressionMatcher?, _ body: ([UInt8]) -> Void
  ) throws(TextError) {
    var words = [text]
    for step in steps {
      var next: [[UInt8]] = []
      next.reserveCapacity(words.count)
      if case .expression(let expression) = step {
        let matcher = try Self.prepare(&matcher, text)
        for word in words {
          let matches = try matcher.matches(expression, word)
          for range in expression.words(matches, count: word.count) {
            next.append(Array(word[range]))
          }
        }
      } else {
        for word in words { Self.apply(step, to: word, &next) }
      }
      words = next
    }
    let areStandIns = steps.contains(.standIns)
    for word in words where !word.isEmpty {
      body(areStandIns ? ByteLevelText.bytes(of: String(decoding: word, as: UTF8.self)) : word)
    }
  }

  private static func prepare(
    _ matcher: inout ExpressionMatcher?, _ text: [UInt8]
  ) throws(TextError) -> ExpressionMatcher {
    guard let made = matcher ?? ExpressionMatcher() else {
      throw TextError(file: "tokenizer", place: "pre_tokenizer", .steps)
    }
    matcher = made
    made.begin(count: text.count)
    return made
  }

  /// A step that is no expression.
  private static func apply(_ step: Step, to word: [UInt8], _ result: inout [[UInt8]]) {
    switch step {
    case .expression: break
    case .standIns: result.append(ByteLevelText.standIns(of: word))
    case .prefixSpace:
      result.append(word.first == 0x20 || word.isEmpty ? word : [0x20] + word)
    case .singleDigits, .digitRuns:
      let text = word.withUnsafeBytes { ClassifiedText($0, 0..<$0.count) }
      var start = 0
      for index in 1..<max(1, text.count) {
        let (before, here) = (text.classes[index - 1] == .number, text.classes[index] == .number)
        if before != here || here && step == .singleDigits {
          result.append(Array(word[text.offsets[start]..<text.offsets[index]]))
          start = index
        }
      }
      result.append(Array(word[text.offsets[start]...]))
    case .pattern(let pattern):
      let text = word.withUnsafeBytes { ClassifiedText($0, 0..<$0.count) }
      for range in pattern.words(text) { result.append(Array(word[range])) }
    }
  }
}

extension PreTokenizer.Step {
  private static let expressionCode: UInt32 = 12
  private static let standInsCode: UInt32 = 13

  /// The number that a container has for it. Of an expression, what it does with its matches is in
  /// the bits from 8 on, and its text elsewhere.
  var code: UInt32 {
    switch self {
    case .prefixSpace: 0
    case .singleDigits: 1
    case .digitRuns: 2
    case .pattern(let pattern): pattern.rawValue
    case .expression(let expression):
      Self.expressionCode | expression.behavior.rawValue << 8
        | (expression.isInverted ? 1 << 11 : 0)
    case .standIns: Self.standInsCode
    }
  }

  /// Whether nothing but a space is what text is cut at.
  var isSpace: Bool {
    if case .expression(let expression) = self { expression.source == " " } else { false }
  }

  /// Whether only version 2 of a container's section has it.
  var isNew: Bool { code >= Self.expressionCode }

  /// A step that is no expression.
  init?(code: UInt32) {
    switch code {
    case 0: self = .prefixSpace
    case 1: self = .singleDigits
    case 2: self = .digitRuns
    case Self.standInsCode: self = .standIns
    default:
      guard let pattern = TextPattern(rawValue: code) else { return nil }
      self = .pattern(pattern)
    }
  }

  /// What an expression's code says of it; nil for another code.
  static func expression(
    code: UInt32
  ) -> (behavior: SplitExpression.Behavior, isInverted: Bool)? {
    guard code & 0xff == expressionCode, code >> 12 == 0,
      let behavior = SplitExpression.Behavior(rawValue: code >> 8 & 7)
    else { return nil }
    return (behavior, code >> 11 == 1)
  }
}
