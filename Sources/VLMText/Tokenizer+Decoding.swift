extension Tokenizer {
  /// The text of `ids`.
  ///
  /// As `transformers` does it: special tokens are left out or stand as they read, the space that
  /// encoding put in front is taken away. Bytes that are no UTF-8 become U+FFFD. Ids outside the
  /// vocabulary are nothing.
  package func decode(_ ids: [Int], skipsSpecial: Bool = true) -> String {
    var assembler = TextAssembler(replacesEachByte: isSpaced)
    let (stripsFirst, stripsRuns, spacesSpecial) = strippedSpaces
    let shown = ids.filter { pieces.ends.indices.contains($0) && !(skipsSpecial && isSpecial($0)) }
    let lastSpecial = spacesSpecial ? shown.lastIndex(where: isSpecial) ?? -1 : -1
    var isRunStart = true
    var isEmptiedBefore = false
    for (index, id) in shown.enumerated() {
      if isSpecial(id) {
        assembler.append(pieces.bytes(id))
        isRunStart = true
      } else {
        // The reference puts the space before the run that a special token ends.
        if isRunStart, index < lastSpecial { assembler.insertSpace() }
        let isFirst = index == 0 && stripsFirst
        // A space alone that is dropped as the first leaves the run where it starts.
        let isEmptied = isFirst && pieces.bytes(id) == UTF8Text.spaceMark[...]
        let dropsRuns = (isRunStart || isEmptiedBefore) && stripsRuns
        append(id, strips: (isFirst ? 1 : 0) + (dropsRuns ? 1 : 0), &assembler)
        (isRunStart, isEmptiedBefore) = (false, isEmptied)
      }
    }
    return assembler.finish()
  }

  /// The text of `ids` as SentencePiece's own decoder has it: control pieces are nothing, one space
  /// at the start is dropped, an unknown piece reads ` ⁇ `.
  package func decodePlain(_ ids: [Int]) -> String {
    var assembler = TextAssembler(replacesEachByte: isSpaced)
    var isStart = isSpaced && prefix != .never
    for id in ids where pieces.ends.indices.contains(id) {
      switch parts.kinds[id] {
      case .control: continue
      case .unknown: assembler.append(Array(" \u{2047} ".utf8)[...])
      default: append(id, strips: isStart ? 1 : 0, &assembler)
      }
      isStart = false
    }
    return assembler.finish()
  }

  /// A decoder of ids that come one by one, for the text that a model writes.
  package func stream(skipsSpecial: Bool = true) -> StreamDecoder {
    StreamDecoder(self, skipsSpecial: skipsSpecial)
  }

  /// Whether spaces are U+2581 in the pieces.
  var isSpaced: Bool { !parts.algorithm.isByteLevel }

  /// Which spaces decoding drops or adds: the first of all; the first after each special token; one
  /// before a run that a special token follows.
  private var strippedSpaces: (first: Bool, runs: Bool, special: Bool) {
    guard isSpaced else { return (false, false, false) }
    if parts.algorithm == .characterMerges { return (prefix != .never, false, false) }
    return switch prefix {
    case .never: (false, false, false)
    case .everySegment: (true, true, true)
    case .firstSegment: (true, false, false)
    case .strippedAfterFirst: (false, true, true)
    }
  }

  /// - Parameter strips: spaces to leave out at the start of the piece, as many as there are.
  func append(_ id: Int, strips: Int, _ assembler: inout TextAssembler) {
    var piece = pieces.bytes(id)
    guard isSpaced else {
      if parts.algorithm == .clip, piece.suffix(CLIPText.wordEnd.count) == CLIPText.wordEnd[...] {
        assembler.appendPart(piece.dropLast(CLIPText.wordEnd.count))
        assembler.appendPart([0x20])
      } else {
        assembler.appendPart(piece)
      }
      return
    }
    if parts.kinds[id] == .byte, let byte = Self.byteValue(piece) {
      assembler.appendPart([byte])
      return
    }
    for _ in 0..<strips where piece.starts(with: UTF8Text.spaceMark) {
      piece = piece.dropFirst(UTF8Text.spaceMark.count)
    }
    assembler.appendMarked(piece)
  }
}

/// Joins bytes into text that is always valid UTF-8: what does not make a character yet is held
/// back, what never will becomes U+FFFD.
struct TextAssembler: Sendable {
  /// SentencePiece replaces every byte of an invalid sequence, everything else the sequence.
  private let replacesEachByte: Bool
  private var output: [UInt8] = []
  private var pending: [UInt8] = []

  init(replacesEachByte: Bool) { self.replacesEachByte = replacesEachByte }

  /// Bytes that may be part of a character.
  mutating func appendPart(_ bytes: some Collection<UInt8>) {
    pending.append(contentsOf: bytes)
    var rest = pending[...]
    loop: while !rest.isEmpty {
      switch UTF8Text.prefix(rest) {
      case .character(let count):
        output += rest.prefix(count)
        rest = rest.dropFirst(count)
      case .invalid(let count):
        replace(count)
        rest = rest.dropFirst(count)
      case .incomplete: break loop
      }
    }
    pending = Array(rest)
  }

  /// Whole characters, with U+2581 for spaces; before them a held-back part is over.
  mutating func appendMarked(_ bytes: ArraySlice<UInt8>) {
    flush()
    var at = bytes.startIndex
    while at < bytes.endIndex {
      if bytes[at] == UTF8Text.spaceMark[0], bytes[at...].starts(with: UTF8Text.spaceMark) {
        output.append(0x20)
        at += UTF8Text.spaceMark.count
      } else {
        output.append(bytes[at])
        at += 1
      }
    }
  }

  mutating func append(_ bytes: ArraySlice<UInt8>) {
    flush()
    output += bytes
  }

  mutating func insertSpace() {
    flush()
    output.append(0x20)
  }

  /// Ends the part that is held back.
  mutating func flush() {
    if !pending.isEmpty { replace(pending.count) }
    pending.removeAll(keepingCapacity: true)
  }

  private mutating func replace(_ count: Int) {
    for _ in 0..<(replacesEachByte ? count : 1) { output += UTF8Text.replacement }
  }

  /// The text that is certain so far; it is given once.
  mutating func take() -> String {
    defer { output.removeAll(keepingCapacity: true) }
    return String(decoding: output, as: UTF8.self)
  }

  mutating func finish() -> String {
    flush()
    return take()
  }
}
