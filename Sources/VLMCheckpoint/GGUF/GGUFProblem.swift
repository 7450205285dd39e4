import VLMFoundation

/// What can be wrong with a GGUF file, in addition to `CheckpointError.Problem`.
package enum GGUFProblem: Sendable, Equatable {
  case bigEndian(version: UInt32)
  case version(UInt32)
  case truncated(field: String, offset: Int, needed: UInt64, available: Int)
  case countBeyondLimit(of: String, found: UInt64, limit: Int)
  /// A count of items that cannot fit into the remaining bytes.
  case countBeyondFile(of: String, found: UInt64, available: Int)
  case emptyKey
  case duplicateKey
  case invalidUTF8(String)
  case unknownValueType(UInt32)
  case nestedTooDeep(limit: Int)
  case boolean(UInt8)
  case alignment(String)
  case tooManyExtents(UInt32, limit: Int)
  case extent(UInt64)
  case partialBlock(extent: Int, type: String, elements: Int)
  case unknownTensorType(UInt32, removed: String?)
  case offset(found: UInt64, expected: Int)
  case notReadable(String)
  case splitName(count: Int)
  case splitField(key: String, found: String, expected: String)
  /// A vision half was given with a checkpoint of another format.
  case languageExpected(String)
  /// The vision half that was given is a file that is not a vision file.
  case visionExpected(found: String)
  /// The numbers of language models and vision files in a folder, and one of each.
  case halves(Int, Int, language: String, vision: String)

  package func text(_ words: Wording) -> String {
    switch self {
    case .bigEndian(let version):
      "this is a big-endian GGUF file of version \(version), expected a little-endian one; "
        + "gguf-convert-endian FILE little, of Python's gguf, makes it one"
    case .version(let version): "GGUF version \(version), expected 2 or 3"
    case .truncated(let field, let offset, let needed, let available):
      "\(field) at byte \(offset) needs \(needed) bytes, but only \(available) follow in the file"
        + CheckpointError.cutShort
    case .countBeyondLimit(let what, let found, let limit):
      "\(found) \(what), expected at most \(limit)"
    case .countBeyondFile(let what, let found, let available):
      "\(found) \(what) do not fit into the \(available) bytes that follow"
        + CheckpointError.cutShort
    case .emptyKey: "a metadata key is empty"
    case .duplicateKey: "the metadata key occurs twice"
    case .invalidUTF8(let what): "\(what) is no valid UTF-8"
    case .unknownValueType(let type): "unknown metadata type \(type), expected 0 to 12"
    case .nestedTooDeep(let limit): "arrays are nested more than \(limit) deep"
    case .boolean(let byte): "a boolean is \(byte), expected 0 or 1"
    case .alignment(let found):
      "the alignment is \(found), expected a 32-bit power of two up to \(GGUFFile.maximumAlignment)"
    case .tooManyExtents(let count, let limit): "\(count) extents, expected at most \(limit)"
    case .extent(let extent): "an extent is \(extent), expected 1 or more below 2^63"
    case .partialBlock(let extent, let type, let elements):
      "rows of \(extent) elements do not fill the blocks of \(type), which have \(elements)"
    case .unknownTensorType(let number, let removed):
      removed.map { "the tensor type \(number) (\($0)) was removed from the format" }
        ?? "unknown tensor type \(number)"
    case .offset(let found, let expected):
      "the data begins at \(found), expected \(expected), where the tensor before it ends"
    case .notReadable(let type):
      "\(type) blocks are not decoded here, expected F16, Q8_0, Q4_K or another of "
        + "docs/conversion.md; llama-quantize --allow-requantize IN.gguf OUT.gguf F16 makes such a file"
    case .splitName(let count):
      "is one of \(count) parts, expected a name that ends as '-00001-of-0000N.gguf'"
    case .splitField(let key, let found, let expected):
      "'\(key)' is \(found), expected \(expected)"
    case .languageExpected(let format):
      "is \(format), expected the language half of a LLaVA in GGUF" + words.end(.visionHalfOfGGUF)
    case .visionExpected(let found):
      "\(words.name(of: .visionHalf)): found \(found.escapedForDisplay()), expected the vision half "
        + "of a LLaVA in GGUF (general.architecture 'clip')"
    case .halves(let languages, let visions, let language, let vision):
      "the folder has \(languages) language models and \(visions) vision halves in GGUF, expected "
        + "one of each" + words.end(.nameHalves(language: language, vision: vision))
    }
  }
}
