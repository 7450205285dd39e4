/// The pre-tokenization patterns of published tokenizers, implemented as code instead of regular
/// expressions. Alternatives are tried in the order of the expression.
///
/// `gpt2`: `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`
///
/// `llama3`: `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|
/// ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`; `qwen2` has `\p{N}` for `\p{N}{1,3}`.
///
/// `clip`: `'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+`, letters of either case.
package enum TextPattern: UInt32, Sendable {
  case gpt2 = 3
  case llama3 = 4
  case qwen2 = 5
  case clip = 6

  /// The patterns by the expressions in published files.
  static let sources: [String: TextPattern] = [
    #"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"#: .gpt2,
    #"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|"#
      + #"\s*[\r\n]+|\s+(?!\S)|\s+"#: .llama3,
    #"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|"#
      + #"\s*[\r\n]+|\s+(?!\S)|\s+"#: .qwen2,
    #"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"#: .clip,
    #"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|"#
      + #"[^\s\p{L}\p{N}]+"#: .clip,
  ]
}

/// The character classes that the expressions distinguish.
enum ScalarClass: UInt8 {
  case letter, number, space, newline, other

  init(_ scalar: Unicode.Scalar) {
    if scalar.value < 0x80 {
      self = Self.ascii[Int(scalar.value)]
      return
    }
    switch scalar.properties.generalCategory {
    case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter:
      self = .letter
    case .decimalNumber, .letterNumber, .otherNumber: self = .number
    default: self = scalar.properties.isWhitespace ? .space : .other
    }
  }

  var isSpace: Bool { self == .space || self == .newline }
  /// Neither white space, letter nor number.
  var isOther: Bool { self == .other }

  private static let ascii: [ScalarClass] = (0..<128).map { value in
    switch UInt8(value) {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"): .letter
    case UInt8(ascii: "0")...UInt8(ascii: "9"): .number
    case 0x0a, 0x0d: .newline
    case 0x09, 0x0b, 0x0c, 0x20: .space
    default: .other
    }
  }
}

/// A text as scalars with their classes and byte offsets.
struct ClassifiedText {
  private(set) var scalars: [Unicode.Scalar] = []
  private(set) var classes: [ScalarClass] = []
  /// Byte offset of each scalar, and of the end.
  private var offsets: [UInt32] = []

  /// - Parameter bytes: valid UTF-8.
  init(_ bytes: UnsafeRawBufferPointer, _ range: Range<Int>) {
    scalars.reserveCapacity(range.count)
    classes.reserveCapacity(range.count)
    offsets.reserveCapacity(range.count + 1)
    var offset = range.lowerBound
    while offset < range.upperBound {
      let (scalar, count) = UTF8Text.scalar(bytes, offset)
      scalars.append(scalar)
      classes.append(ScalarClass(scalar))
      offsets.append(UInt32(offset))
      offset += count
    }
    offsets.append(UInt32(range.upperBound))
  }

  var count: Int { scalars.count }

  /// The byte range of a range of scalars.
  func bytes(_ range: Range<Int>) -> Range<Int> {
    Int(offsets[range.lowerBound])..<Int(offsets[range.upperBound])
  }
}

extension TextPattern {
  /// The words in order. They cover the text, except that `clip` drops unmatched text.
  func words(_ text: ClassifiedText) -> [Range<Int>] {
    var words: [Range<Int>] = []
    var at = 0
    while at < text.count {
      let end =
        self == .clip
        ? clipWord(text, at) : self == .gpt2 ? gpt2Word(text, at) : llama3Word(text, at)
      if let end { words.append(text.bytes(at..<end)) }
      at = end ?? at + 1
    }
    return words
  }

  private func gpt2Word(_ text: ClassifiedText, _ at: Int) -> Int? {
    if let end = contraction(text, at, anyCase: false) { return end }
    let first = text.scalars[at] == " " && at + 1 < text.count ? at + 1 : at
    switch text.classes[first] {
    case .letter: return run(text, first) { $0 == .letter }
    case .number: return run(text, first) { $0 == .number }
    case .other: return run(text, first) { $0 == .other }
    case .space, .newline: return spaces(text, at)
    }
  }

  private func llama3Word(_ text: ClassifiedText, _ at: Int) -> Int? {
    if let end = contraction(text, at, anyCase: true) { return end }
    let kind = text.classes[at]
    if kind == .letter { return run(text, at) { $0 == .letter } }
    if kind == .space || kind == .other, at + 1 < text.count, text.classes[at + 1] == .letter {
      return run(text, at + 1) { $0 == .letter }
    }
    if kind == .number {
      var end = at + 1
      let most = self == .llama3 ? at + 3 : at + 1
      while end < min(most, text.count), text.classes[end] == .number { end += 1 }
      return end
    }
    let first = text.scalars[at] == " " && at + 1 < text.count ? at + 1 : at
    if text.classes[first] == .other {
      return run(text, run(text, first) { $0 == .other }) { $0 == .newline }
    }
    // \s*[\r
    //
    // ]+ matches the longest run of white space that ends in a line break.
    let end = run(text, at) { $0.isSpace }
    if let last = (at..<end).last(where: { text.classes[$0] == .newline }) { return last + 1 }
    return spaces(text, at)
  }

  private func clipWord(_ text: ClassifiedText, _ at: Int) -> Int? {
    if let end = contraction(text, at, anyCase: true) { return end }
    switch text.classes[at] {
    case .letter: return run(text, at) { $0 == .letter }
    case .number: return at + 1
    case .other: return run(text, at) { $0 == .other }
    case .space, .newline: return nil
    }
  }

  /// `\s+(?!\S)|\s+`: a run of white space without its last character if text follows, which the
  /// next word takes.
  private func spaces(_ text: ClassifiedText, _ at: Int) -> Int {
    let end = run(text, at) { $0.isSpace }
    return end < text.count && end - at > 1 ? end - 1 : end
  }

  private func run(_ text: ClassifiedText, _ at: Int, while matches: (ScalarClass) -> Bool) -> Int {
    var end = at
    while end < text.count, matches(text.classes[end]) { end += 1 }
    return end
  }

  /// The contractions 's 't 're 've 'm 'll 'd. The long s folds to s if case is ignored.
  private func contraction(_ text: ClassifiedText, _ at: Int, anyCase: Bool) -> Int? {
    guard text.scalars[at] == "'", at + 1 < text.count else { return nil }
    func letter(_ index: Int) -> Unicode.Scalar? {
      guard index < text.count else { return nil }
      let scalar = text.scalars[index]
      guard anyCase else { return scalar }
      if scalar == "\u{17f}" { return "s" }
      return ("A"..."Z").contains(scalar) ? Unicode.Scalar(scalar.value + 32) : scalar
    }
    switch (letter(at + 1), letter(at + 2)) {
    case ("s", _), ("t", _), ("m", _), ("d", _): return at + 2
    case ("r", "e"), ("v", "e"), ("l", "l"): return at + 3
    default: return nil
    }
  }
}
