/// Splits text into words, which are merged independently.
package struct PreTokenizer: Sendable, Equatable {
  package enum Step: Sendable, Equatable {
    /// Prepends a space to each word that does not begin with one.
    case prefixSpace
    /// Each number character is a separate word.
    case singleDigits
    /// Each run of number characters is a separate word.
    case digitRuns
    case pattern(TextPattern)
    /// A general expression.
    case expression(SplitExpression)
    /// Maps bytes to characters for the following steps; see `ByteLevelText`.
    case byteMapping
  }

  package var steps: [Step]

  /// Calls `body` with the bytes of each word of `text`, in order.
  ///
  /// - Parameter matcher: the matcher for expressions; created when needed.
  /// - Throws: `TextError` if an expression takes too many steps.
  func forEachWord(
    _ text: [UInt8], _ matcher: inout ExpressionMatcher?, _ body: ([UInt8]) -> Void
  ) throws(TextError) {
    var text = text
    var words = [0..<text.count]
    for step in steps {
      var next: [Range<Int>] = []
      next.reserveCapacity(words.count)
      if case .expression(let expression) = step {
        let matcher = try Self.prepare(&matcher, text)
        for word in words {
          let matches = try matcher.matches(
            expression, word.count == text.count ? text : Array(text[word]))
          for range in expression.words(matches, count: word.count) {
            next.append(word.lowerBound + range.lowerBound..<word.lowerBound + range.upperBound)
          }
        }
      } else if step == .byteMapping || step == .prefixSpace {
        (text, next) = Self.rewritten(text, words, step)
      } else {
        for word in words { Self.cut(text, word, step, &next) }
      }
      words = next
    }
    let isByteMapped = steps.contains(.byteMapping)
    for range in words where !range.isEmpty {
      let word = range.count == text.count ? text : Array(text[range])
      body(isByteMapped ? ByteLevelText.bytes(of: String(decoding: word, as: UTF8.self)) : word)
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

  /// The words that a step writes, concatenated, and the range of each.
  private static func rewritten(
    _ text: [UInt8], _ words: [Range<Int>], _ step: Step
  ) -> ([UInt8], [Range<Int>]) {
    var written: [UInt8] = []
    written.reserveCapacity(text.count + words.count)
    let places = words.map { word in
      let start = written.count
      if step == .byteMapping {
        written += ByteLevelText.mappedCharacters(of: Array(text[word]))
      } else {
        if !word.isEmpty, text[word.lowerBound] != 0x20 { written.append(0x20) }
        written += text[word]
      }
      return start..<written.count
    }
    return (written, places)
  }

  /// Applies a step that is not a general expression to a word.
  private static func cut(
    _ bytes: [UInt8], _ word: Range<Int>, _ step: Step, _ result: inout [Range<Int>]
  ) {
    let text = bytes.withUnsafeBytes { ClassifiedText($0, word) }
    switch step {
    case .expression, .byteMapping, .prefixSpace: result.append(word)
    case .singleDigits, .digitRuns:
      var start = 0
      for index in 1..<max(1, text.count) {
        let (before, here) = (text.classes[index - 1] == .number, text.classes[index] == .number)
        if before != here || here && step == .singleDigits {
          result.append(text.bytes(start..<index))
          start = index
        }
      }
      result.append(text.bytes(start..<text.count))
    case .pattern(let pattern): result += pattern.words(text)
    }
  }
}

extension PreTokenizer.Step {
  private static let expressionCode: UInt32 = 12
  private static let byteMappingCode: UInt32 = 13

  /// The step's code in a container. For an expression, bits from 8 on hold the treatment of
  /// matches; its text is stored separately.
  var code: UInt32 {
    switch self {
    case .prefixSpace: 0
    case .singleDigits: 1
    case .digitRuns: 2
    case .pattern(let pattern): pattern.rawValue
    case .expression(let expression):
      Self.expressionCode | expression.behavior.rawValue << 8
        | (expression.isInverted ? 1 << 11 : 0)
    case .byteMapping: Self.byteMappingCode
    }
  }

  /// Whether the step drops parts of a text.
  var drops: Bool {
    if case .expression(let expression) = self {
      expression.behavior == .removed
    } else {
      self == .pattern(.clip)
    }
  }

  /// Whether the step only splits at spaces.
  var isSpace: Bool {
    if case .expression(let expression) = self { expression.source == " " } else { false }
  }

  /// Whether the step requires version 2 of the container's section.
  var isNew: Bool { code >= Self.expressionCode }

  /// The step with this code, if it is not an expression.
  init?(code: UInt32) {
    switch code {
    case 0: self = .prefixSpace
    case 1: self = .singleDigits
    case 2: self = .digitRuns
    case Self.byteMappingCode: self = .byteMapping
    default:
      guard let pattern = TextPattern(rawValue: code) else { return nil }
      self = .pattern(pattern)
    }
  }

  /// The treatment of matches in an expression's code; nil for other codes.
  static func expression(
    code: UInt32
  ) -> (behavior: SplitExpression.Behavior, isInverted: Bool)? {
    guard code & 0xff == expressionCode, code >> 12 == 0,
      let behavior = SplitExpression.Behavior(rawValue: code >> 8 & 7)
    else { return nil }
    return (behavior, code >> 11 == 1)
  }
}
