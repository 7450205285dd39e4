import VLMInput

/// The one vocabulary of CLIP, which its checkpoints do not bring: open_clip has it in its code.
package enum CLIPVocabulary {
  /// Pieces, by which a text tower shows that it was trained with this vocabulary.
  package static let count = 49_408

  /// - Parameter context: ids that the text tower takes.
  package static func tokenizer(context: Int) throws(TextError) -> Tokenizer {
    try Tokenizer(clipMerges: pairs(), context: context, file: "CLIP's vocabulary")
  }

  /// What `merges` says.
  private static func pairs() -> [(left: UInt32, right: UInt32)] {
    var result: [(left: UInt32, right: UInt32)] = []
    result.reserveCapacity(Tokenizer.clipMergeCount)
    // Ids come out of the bits as they fill up; never more than 32 + 5 are kept.
    var (bits, bitCount) = (UInt64(0), 0)
    merges.withUTF8Buffer { text in
      for character in text {
        guard let digit = digit(character) else { continue }
        bits = bits << 6 | UInt64(digit)
        bitCount += 6
        guard bitCount >= 32 else { continue }
        bitCount -= 32
        let pair = UInt32(truncatingIfNeeded: bits >> UInt64(bitCount))
        result.append((pair >> 16, pair & 0xffff))
      }
    }
    return result
  }

  /// A digit of base64; nil for the line breaks between them.
  private static func digit(_ character: UInt8) -> UInt8? {
    switch character {
    case UInt8(ascii: "A")...UInt8(ascii: "Z"): character - UInt8(ascii: "A")
    case UInt8(ascii: "a")...UInt8(ascii: "z"): character - UInt8(ascii: "a") + 26
    case UInt8(ascii: "0")...UInt8(ascii: "9"): character - UInt8(ascii: "0") + 52
    case UInt8(ascii: "+"): 62
    case UInt8(ascii: "/"): 63
    default: nil
    }
  }
}
