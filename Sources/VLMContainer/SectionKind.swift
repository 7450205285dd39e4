import VLMTensor

/// What a section holds. In a file the kinds stand in ascending order, each at most once.
///
/// Any number is a kind: a section that this build does not know is skipped unless it is required.
package struct SectionKind: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
  package let rawValue: UInt32
  package init(rawValue: UInt32) { self.rawValue = rawValue }

  /// The bytes of all tensors, raw and mapped.
  package static let tensorData = SectionKind(rawValue: 1)
  /// Names, formats, shapes, places and checksums of the tensors.
  package static let tensorIndex = SectionKind(rawValue: 2)
  /// The model: JSON.
  package static let config = SectionKind(rawValue: 3)
  /// Class names: JSON.
  package static let labels = SectionKind(rawValue: 4)
  /// What to do to an image before the model sees it: JSON.
  package static let preprocess = SectionKind(rawValue: 5)
  /// Text to ids and back, as `formats/tokenizer.md` says.
  package static let tokenizer = SectionKind(rawValue: 6)
  /// How a conversation becomes one text: JSON.
  package static let chatTemplate = SectionKind(rawValue: 7)
  /// How to choose tokens and where to stop: JSON.
  package static let generationConfig = SectionKind(rawValue: 8)
  /// Where the weights came from: JSON.
  package static let provenance = SectionKind(rawValue: 9)
  /// The error of each tensor measured at conversion: JSON.
  package static let report = SectionKind(rawValue: 10)

  /// The kinds that this build reads, ascending.
  package static let known: [SectionKind] = [
    .tensorData, .tensorIndex, .config, .labels, .preprocess, .tokenizer, .chatTemplate,
    .generationConfig, .provenance, .report,
  ]
  package var isKnown: Bool { Self.known.contains(self) }

  package var description: String {
    switch self {
    case .tensorData: "tensor data"
    case .tensorIndex: "tensor index"
    case .config: "config"
    case .labels: "labels"
    case .preprocess: "preprocess"
    case .tokenizer: "tokenizer"
    case .chatTemplate: "chat template"
    case .generationConfig: "generation config"
    case .provenance: "provenance"
    case .report: "report"
    default: "kind \(rawValue)"
    }
  }

  /// The one value that `Flags` may have in a section of a known kind.
  var flags: SectionFlags {
    switch self {
    case .tensorData: [.required, .inPlace]
    case .tensorIndex, .config: .required
    default: []
    }
  }

  /// Whether a section of a known kind may be stored as zstd.
  var mayCompress: Bool { self != .tensorData && self != .tensorIndex }

  var alignment: Int { self == .tensorData ? Format.dataAlignment : Format.alignment }
}

package struct SectionFlags: OptionSet, Sendable {
  package let rawValue: UInt32
  package init(rawValue: UInt32) { self.rawValue = rawValue }

  /// A reader that does not know the kind must refuse the file.
  package static let required = SectionFlags(rawValue: 1)
  /// The bytes are used where they are mapped.
  package static let inPlace = SectionFlags(rawValue: 2)
  static let known: SectionFlags = [.required, .inPlace]
}

package enum SectionCodec: UInt32, Sendable, CustomStringConvertible {
  case raw = 0
  case zstd = 1

  package var description: String { self == .raw ? "raw" : "zstd" }
}

/// A section as the table describes it.
package struct SectionEntry: Sendable, Equatable {
  package let kind: SectionKind
  package let flags: SectionFlags
  /// `Codec` as stored: of a kind that this build does not know it may be anything.
  package let codecCode: UInt32
  /// Bytes in the file.
  package let range: Range<Int>
  /// Bytes when decoded; as stated, for a section that this build skips.
  package let rawByteCount: Int
  /// XXH64 of the stored and of the decoded bytes. For the tensor data both are the XXH64 of the
  /// tensors' hashes.
  package let storedHash: UInt64
  package let rawHash: UInt64

  /// Nil for a codec that this build does not know, as a section that it skips may have.
  package var codec: SectionCodec? { SectionCodec(rawValue: codecCode) }
  package var offset: Int { range.lowerBound }
  package var storedByteCount: Int { range.count }
}

/// A tensor as the index describes it, with its place in the file.
package struct TensorEntry: Sendable, Equatable {
  package let name: String
  package let format: TensorFormat
  package let role: TensorRole
  package let shape: [Int]
  /// Bytes in the file; the start is a multiple of 64.
  package let range: Range<Int>
  /// XXH64 of those bytes.
  package let checksum: UInt64
}
