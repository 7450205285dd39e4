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
  }

  package var steps: [Step]

  /// The words of `text`, in order, as bytes: what `body` is called with.
  func forEachWord(_ text: [UInt8], _ body: ([UInt8]) -> Void) {
    var words = [text]
    for step in steps {
      var next: [[UInt8]] = []
      next.reserveCapacity(words.count)
      for word in words { Self.apply(step, to: word, &next) }
      words = next
    }
    for word in words where !word.isEmpty { body(word) }
  }

  private static func apply(_ step: Step, to word: [UInt8], _ result: inout [[UInt8]]) {
    switch step {
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
  /// The number that a container has for it.
  var code: UInt32 {
    switch self {
    case .prefixSpace: 0
    case .singleDigits: 1
    case .digitRuns: 2
    case .pattern(let pattern): pattern.rawValue
    }
  }

  init?(code: UInt32) {
    switch code {
    case 0: self = .prefixSpace
    case 1: self = .singleDigits
    case 2: self = .digitRuns
    default:
      guard let pattern = TextPattern(rawValue: code) else { return nil }
      self = .pattern(pattern)
    }
  }
}
