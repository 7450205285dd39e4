import VLMTensor

/// The kind of a section. In a file, kinds are in ascending order and unique.
///
/// Any number is a valid kind. A section of an unknown kind is skipped unless it is required.
package struct SectionKind: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
  package let rawValue: UInt32
  package init(rawValue: UInt32) { self.rawValue = rawValue }

  /// The bytes of all tensors, uncompressed and mapped.
  package static let tensorData = SectionKind(rawValue: 1)
  /// Names, formats, shapes, offsets and checksums of the tensors.
  package static let tensorIndex = SectionKind(rawValue: 2)
  /// Model configuration, JSON.
  package static let config = SectionKind(rawValue: 3)
  /// Class names, JSON.
  package static let labels = SectionKind(rawValue: 4)
  /// Preprocessing applied to an image, JSON.
  package static let preprocess = SectionKind(rawValue: 5)
  /// The tokenizer, see `formats/tokenizer.md`.
  package static let tokenizer = SectionKind(rawValue: 6)
  /// Chat templates, JSON.
  package static let chatTemplate = SectionKind(rawValue: 7)
  /// Sampling and stopping defaults, JSON.
  package static let generationConfig = SectionKind(rawValue: 8)
  /// Provenance of the weights, JSON.
  package static let provenance = SectionKind(rawValue: 9)
  /// Quantization error of each tensor, measured at conversion, JSON.
  package static let report = SectionKind(rawValue: 10)

  /// The kinds known to this build, in ascending order.
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

  /// The required value of `Flags` in a section of a known kind.
  var flags: SectionFlags {
    switch self {
    case .tensorData: [.required, .inPlace]
    case .tensorIndex, .config: .required
    default: []
    }
  }

  /// Whether a section of a known kind may be compressed with zstd.
  var mayCompress: Bool { self != .tensorData && self != .tensorIndex }

  var alignment: Int { self == .tensorData ? Format.dataAlignment : Format.alignment }
}

package struct SectionFlags: OptionSet, Sendable {
  package let rawValue: UInt32
  package init(rawValue: UInt32) { self.rawValue = rawValue }

  /// A reader that does not know the kind must refuse the file.
  package static let required = SectionFlags(rawValue: 1)
  /// The bytes are used in the mapped file.
  package static let inPlace = SectionFlags(rawValue: 2)
  static let known: SectionFlags = [.required, .inPlace]
}

package enum SectionCodec: UInt32, Sendable, CustomStringConvertible {
  case raw = 0
  case zstd = 1

  package var description: String { self == .raw ? "raw" : "zstd" }
}

/// A section as described by the section table.
package struct SectionEntry: Sendable, Equatable {
  package let kind: SectionKind
  package let flags: SectionFlags
  /// `Codec` as stored; unrestricted for unknown kinds.
  package let codecCode: UInt32
  /// Byte range in the file.
  package let range: Range<Int>
  /// Decoded size in bytes; for skipped sections as stated by the file.
  package let rawByteCount: Int
  /// XXH64 of the stored and the decoded bytes. For the tensor data both are the XXH64 of the
  /// tensors' hashes.
  package let storedHash: UInt64
  package let rawHash: UInt64

  /// The codec; nil if unknown, which only a skipped section may have.
  package var codec: SectionCodec? { SectionCodec(rawValue: codecCode) }
  package var offset: Int { range.lowerBound }
  package var storedByteCount: Int { range.count }
}

/// A tensor as described by the index, with its location in the file.
package struct TensorEntry: Sendable, Equatable {
  package let name: String
  package let format: TensorFormat
  package let role: TensorRole
  package let shape: [Int]
  /// Byte range in the file; the start is a multiple of 64.
  package let range: Range<Int>
  /// XXH64 of those bytes.
  package let checksum: UInt64
}
