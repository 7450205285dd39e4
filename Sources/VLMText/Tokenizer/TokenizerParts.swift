import VLMFoundation

/// The type of a vocabulary piece, with SentencePiece's numbers.
package enum PieceKind: UInt8, Sendable {
  case normal = 1
  /// The unknown token.
  case unknown = 2
  /// A control token such as BOS or EOS, never produced from text.
  case control = 3
  /// User-defined: extracted from the text before merging.
  case userDefined = 4
  case unused = 5
  /// A single byte, `<0x00>` to `<0xFF>`.
  case byte = 6
}

/// A string that is extracted from the text before tokenization.
package struct AddedToken: Sendable, Equatable {
  package struct Flags: OptionSet, Sendable {
    package let rawValue: UInt32
    package init(rawValue: UInt32) { self.rawValue = rawValue }
    /// Whether decoding can omit it as a special token.
    package static let special = Flags(rawValue: 1)
    /// Whether it absorbs the white space before or after it.
    package static let stripsLeft = Flags(rawValue: 2)
    package static let stripsRight = Flags(rawValue: 4)
    /// Whether it only matches without an adjacent letter, digit or underscore.
    package static let singleWord = Flags(rawValue: 8)
    /// Whether it is searched in the normalised text, with its own text normalised the same way.
    package static let normalized = Flags(rawValue: 16)
    static let known: Flags = [.special, .stripsLeft, .stripsRight, .singleWord, .normalized]
  }

  package let id: Int
  package let flags: Flags
}

/// Where a SentencePiece tokenizer inserts the leading space. The last two cases are `legacy=False`
/// of `transformers`, since 4.34 and before.
package enum PrefixRule: UInt8, Sendable, CaseIterable {
  case never = 0
  /// Before each segment between special tokens: `legacy=True`.
  case everySegment = 1
  /// Only at the start of the text.
  case firstSegment = 2
  /// As `everySegment`, but removed again if the segment does not itself begin with a space.
  case strippedAfterFirst = 3
}

/// The unchecked description of a tokenizer, filled in by the file readers.
struct TokenizerParts {
  enum Algorithm: UInt8, Sendable {
    /// SentencePiece BPE: characters, merged by the scores of the resulting pieces.
    case scores = 1
    /// Merge list over characters: SentencePiece models converted to `tokenizer.json`.
    case characterMerges = 2
    /// Merge list over bytes, as in GPT-2.
    case byteMerges = 3
    /// CLIP: merge list over bytes of lower-cased text, with the last byte of a word marked.
    case clip = 4
    /// A unigram model: the pieces whose scores have the highest sum.
    case unigram = 5

    /// Whether text is treated as bytes, split into words; otherwise as characters, with spaces
    /// marked.
    var isByteLevel: Bool { self == .byteMerges || self == .clip }
    /// Whether pieces have scores.
    var hasScores: Bool { self == .scores || self == .unigram }
  }

  struct Flags: OptionSet, Sendable {
    let rawValue: UInt32
    /// Whether characters without a piece become byte pieces.
    static let byteFallback = Flags(rawValue: 1)
    /// Whether runs of spaces are collapsed and trimmed.
    static let removesExtraSpaces = Flags(rawValue: 2)
    /// Whether a word that is a piece is used without merging.
    static let ignoresMerges = Flags(rawValue: 4)
    static let addsBOS = Flags(rawValue: 8)
    static let addsEOS = Flags(rawValue: 16)
    /// Whether consecutive unknown characters become one unknown token.
    static let fusesUnknown = Flags(rawValue: 32)
    /// Whether text is split before each space before merging.
    static let splitsAtSpaces = Flags(rawValue: 64)
    /// Whether text that begins with a space gets no further one.
    static let keepsFirstSpace = Flags(rawValue: 128)
    /// Whether padding stands before a text, not behind it.
    static let padsLeft = Flags(rawValue: 256)
    static let known = Flags(rawValue: 511)
  }

  var algorithm: Algorithm
  var text: [UInt8] = []
  var ends: [UInt32] = []
  var kinds: [PieceKind] = []
  /// One score per piece with `.scores` and `.unigram`, otherwise empty.
  var scores: [Float] = []
  var merges: [MergeTable.Merge] = []
  var added: [AddedToken] = []
  /// Indices in `added` by id, for tokens added with `add`.
  private var addedPlaces: [Int: Int] = [:]
  var normalizations: [TextNormalization] = []
  /// What the step `.mapped` replaces.
  var characterMap: CharacterMap?
  var steps: [PreTokenizer.Step] = []
  var prefix = PrefixRule.never
  var flags: Flags = []
  var bos: Int?
  var eos: Int?
  var unknown: Int?
  var pad: Int?
  /// Fixed number of ids to which a text is padded or truncated; 0 for none.
  var contextLength = 0

  init(_ algorithm: Algorithm) { self.algorithm = algorithm }

  /// Limits of a vocabulary, several times the largest published ones.
  static let maximumPieces = 1 << 21
  static let maximumText = 1 << 26

  mutating func append(_ piece: some Collection<UInt8>, _ kind: PieceKind) {
    text.append(contentsOf: piece)
    ends.append(UInt32(truncatingIfNeeded: text.count))
    kinds.append(kind)
  }

  /// Registers an added token: changes the type of an existing piece, or appends pieces up to its
  /// id.
  mutating func add(_ token: AddedToken, _ content: some Collection<UInt8>) -> Bool {
    guard token.id >= 0, token.id < Self.maximumPieces, !content.isEmpty else { return false }
    while ends.count < token.id {
      append([], .unused)
      if algorithm.hasScores { scores.append(0) }
    }
    if token.id == ends.count {
      append(content, .control)
      if algorithm.hasScores { scores.append(0) }
    } else {
      let start = token.id == 0 ? 0 : Int(ends[token.id - 1])
      guard text[start..<Int(ends[token.id])].elementsEqual(content) else { return false }
    }
    if addedPlaces.count != added.count {
      addedPlaces = Dictionary(
        added.enumerated().map { ($1.id, $0) }, uniquingKeysWith: { first, _ in first })
    }
    if let place = addedPlaces[token.id] {
      added[place] = token
    } else {
      addedPlaces[token.id] = added.count
      added.append(token)
    }
    return true
  }

  /// The text to search for an added token whose own text is normalised.
  func searchText(_ content: [UInt8]) -> [UInt8] {
    let text = normalizations.reduce(content) { $1($0, characterMap) }
    guard !algorithm.isByteLevel, !flags.contains(.keepsFirstSpace) else { return text }
    return marked(text, hasPrefix: prefix != .never && !text.isEmpty)
  }

  /// The text with each space replaced by U+2581, and one prepended.
  func marked(_ text: [UInt8], hasPrefix: Bool) -> [UInt8] {
    var spaced = text
    if flags.contains(.removesExtraSpaces) {
      spaced = Array(text.split(separator: 0x20).joined(separator: [0x20]))
    }
    var marked: [UInt8] = hasPrefix && !spaced.isEmpty ? UTF8Text.spaceMark : []
    marked.reserveCapacity(spaced.count + spaced.count / 2 + 3)
    for byte in spaced {
      if byte == 0x20 { marked += UTF8Text.spaceMark } else { marked.append(byte) }
    }
    return marked
  }

  /// Maps ascending offsets of a text to the result of `marked`.
  func marked(_ places: [Int], in text: [UInt8], hasPrefix: Bool) -> [Int] {
    let removesExtra = flags.contains(.removesExtraSpaces)
    var (spaces, others, words) = (0, 0, 0)
    var isWithin = false
    var at = 0
    return places.map { place in
      while at < min(place, text.count) {
        let isSpace = text[at] == 0x20
        if isSpace { spaces += 1 } else { others += 1 }
        if !isSpace, !isWithin { words += 1 }
        isWithin = !isSpace
        at += 1
      }
      let marks = removesExtra ? max(0, words - 1) : spaces
      let isEmpty = others + marks == 0
      return others + UTF8Text.spaceMark.count * (marks + (hasPrefix && !isEmpty ? 1 : 0))
    }
  }
}
