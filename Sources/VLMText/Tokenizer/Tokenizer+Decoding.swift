extension Tokenizer {
  /// Decodes `ids` to text.
  ///
  /// As in `transformers`: special tokens are omitted or kept as text, and the space that encoding
  /// inserted is removed. Invalid UTF-8 becomes U+FFFD. Ids outside of the vocabulary are ignored.
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
        // The reference puts the space before the run that ends at a special token.
        if isRunStart, index < lastSpecial { assembler.insertSpace() }
        let isFirst = index == 0 && stripsFirst
        // If a lone leading space is dropped, the run still starts here.
        let isEmptied = isFirst && pieces.bytes(id) == UTF8Text.spaceMark[...]
        let dropsRuns = (isRunStart || isEmptiedBefore) && stripsRuns
        append(id, strips: (isFirst ? 1 : 0) + (dropsRuns ? 1 : 0), &assembler)
        (isRunStart, isEmptiedBefore) = (false, isEmptied)
      }
    }
    return assembler.finish()
  }

  /// Decodes `ids` as SentencePiece's own decoder does: control pieces are dropped, one leading
  /// space is dropped, an unknown piece reads ` ⁇ `.
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

  /// An incremental decoder for generated text.
  package func stream(skipsSpecial: Bool = true) -> StreamDecoder {
    StreamDecoder(self, skipsSpecial: skipsSpecial)
  }

  /// Whether pieces represent spaces as U+2581.
  var isSpaced: Bool { !parts.algorithm.isByteLevel }

  /// How decoding handles spaces: drops the leading one; drops the first after each special token;
  /// inserts one before a run that a special token follows.
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

  /// - Parameter strips: maximum number of leading spaces to remove.
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

/// Assembles bytes to valid UTF-8 text: incomplete characters are held back, invalid bytes become
/// U+FFFD.
struct TextAssembler: Sendable {
  /// SentencePiece replaces every byte of an invalid sequence; other tokenizers replace the
  /// sequence once.
  private let replacesEachByte: Bool
  private var output: [UInt8] = []
  private var pending: [UInt8] = []

  init(replacesEachByte: Bool) { self.replacesEachByte = replacesEachByte }

  /// Bytes of a possibly incomplete character.
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

  /// Appends complete characters, with U+2581 for spaces. Bytes held back before them are invalid.
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

  /// Finishes the bytes that are held back.
  mutating func flush() {
    if !pending.isEmpty { replace(pending.count) }
    pending.removeAll(keepingCapacity: true)
  }

  private mutating func replace(_ count: Int) {
    for _ in 0..<(replacesEachByte ? count : 1) { output += UTF8Text.replacement }
  }

  /// Returns the completed text, once.
  mutating func take() -> String {
    defer { output.removeAll(keepingCapacity: true) }
    return String(decoding: output, as: UTF8.self)
  }

  mutating func finish() -> String {
    flush()
    return take()
  }
}
