import VLMFoundation

/// What a piece of a vocabulary is for; the numbers are SentencePiece's.
package enum PieceKind: UInt8, Sendable {
  case normal = 1
  /// Stands for what the vocabulary cannot spell.
  case unknown = 2
  /// Never spelled by text: beginning, end.
  case control = 3
  /// Cut out of the text before merging.
  case userDefined = 4
  case unused = 5
  /// One byte, `<0x00>` to `<0xFF>`.
  case byte = 6
}

/// A string that is cut out of the text before anything else happens to it.
package struct AddedToken: Sendable, Equatable {
  package struct Flags: OptionSet, Sendable {
    package let rawValue: UInt32
    package init(rawValue: UInt32) { self.rawValue = rawValue }
    /// Dropped when decoding without special tokens.
    package static let special = Flags(rawValue: 1)
    /// Takes the white space before or after it along.
    package static let stripsLeft = Flags(rawValue: 2)
    package static let stripsRight = Flags(rawValue: 4)
    /// Only where no letter, digit or underscore touches it.
    package static let singleWord = Flags(rawValue: 8)
    /// Looked for in the text as it was changed, by its own text changed the same way.
    package static let changed = Flags(rawValue: 16)
    static let known: Flags = [.special, .stripsLeft, .stripsRight, .singleWord, .changed]
  }

  package let id: Int
  package let flags: Flags
}

/// Where a tokenizer of the SentencePiece kind puts the space that it starts text with. The last two
/// are what `legacy=False` of `transformers` means, from 4.34 on and in the releases before.
package enum PrefixRule: UInt8, Sendable, CaseIterable {
  case never = 0
  /// Before each stretch between special tokens: `legacy=True`.
  case everySegment = 1
  /// At the start of the text only.
  case firstSegment = 2
  /// As `everySegment`, and taken off again where the stretch does not itself begin with a space.
  case strippedAfterFirst = 3
}

/// Everything that a tokenizer is, unchecked: what the readers of its files fill in.
struct TokenizerParts {
  enum Algorithm: UInt8, Sendable {
    /// SentencePiece's BPE: characters, joined by the scores of what they make.
    case scores = 1
    /// A list of merges over characters, as SentencePiece models have in `tokenizer.json`.
    case characterMerges = 2
    /// A list of merges over bytes, as GPT-2.
    case byteMerges = 3
    /// A list of merges over bytes, the last of a word marked, of lower-cased text.
    case clip = 4

    /// Whether text is bytes, cut into words; otherwise characters, with spaces marked.
    var isByteLevel: Bool { self == .byteMerges || self == .clip }
  }

  struct Flags: OptionSet, Sendable {
    let rawValue: UInt32
    /// What no piece spells becomes byte pieces.
    static let byteFallback = Flags(rawValue: 1)
    /// Runs of spaces become one, those at the ends none.
    static let removesExtraSpaces = Flags(rawValue: 2)
    /// A word that is a piece is not merged.
    static let ignoresMerges = Flags(rawValue: 4)
    static let addsBOS = Flags(rawValue: 8)
    static let addsEOS = Flags(rawValue: 16)
    /// A run of what no piece spells is one unknown token.
    static let fusesUnknown = Flags(rawValue: 32)
    /// Text is cut before each space before merging.
    static let splitsAtSpaces = Flags(rawValue: 64)
    /// No space goes in front of text that begins with one.
    static let keepsFirstSpace = Flags(rawValue: 128)
    static let known = Flags(rawValue: 255)
  }

  var algorithm: Algorithm
  var text: [UInt8] = []
  var ends: [UInt32] = []
  var kinds: [PieceKind] = []
  /// One per piece with `.scores`, otherwise none.
  var scores: [Float] = []
  var merges: [MergeTable.Merge] = []
  var added: [AddedToken] = []
  /// Places in `added` by id, as far as `add` has put them there.
  private var addedPlaces: [Int: Int] = [:]
  var changes: [TextChange] = []
  var steps: [PreTokenizer.Step] = []
  var prefix = PrefixRule.never
  var flags: Flags = []
  var bos: Int?
  var eos: Int?
  var unknown: Int?
  var pad: Int?
  /// Ids that a text is padded or cut to; 0 for no such rule.
  var contextLength = 0

  init(_ algorithm: Algorithm) { self.algorithm = algorithm }

  /// Bounds of a vocabulary: several times what is published.
  static let maximumPieces = 1 << 21
  static let maximumText = 1 << 26

  mutating func append(_ piece: some Collection<UInt8>, _ kind: PieceKind) {
    text.append(contentsOf: piece)
    ends.append(UInt32(truncatingIfNeeded: text.count))
    kinds.append(kind)
  }

  /// Replaces the kind of a piece that an added token names, or adds pieces up to its id.
  mutating func add(_ token: AddedToken, _ content: some Collection<UInt8>) -> Bool {
    guard token.id >= 0, token.id < Self.maximumPieces, !content.isEmpty else { return false }
    while ends.count < token.id {
      append([], .unused)
      if algorithm == .scores { scores.append(0) }
    }
    if token.id == ends.count {
      append(content, .control)
      if algorithm == .scores { scores.append(0) }
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

  /// The text that is looked for where an added token's own text is to be changed like any other.
  func changed(_ content: [UInt8]) -> [UInt8] {
    let text = changes.reduce(content) { $1($0) }
    guard !algorithm.isByteLevel, !flags.contains(.keepsFirstSpace) else { return text }
    return marked(text, hasPrefix: prefix != .never && !text.isEmpty)
  }

  /// The text with U+2581 for each space, and one in front.
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

  /// Where places of a text, which ascend, lie in what `marked` makes of it.
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
