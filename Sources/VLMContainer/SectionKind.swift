import VLMTensor

/// What a section holds. In a file the kinds stand in ascending order, each at most once.
package enum SectionKind: UInt32, Sendable, CaseIterable {
  /// The bytes of all tensors, raw and mapped.
  case tensorData = 1
  /// Names, formats, shapes, places and checksums of the tensors.
  case tensorIndex = 2
  /// The model: JSON.
  case config = 3
  /// Class names: JSON.
  case labels = 4
  /// What to do to an image before the model sees it: JSON.
  case preprocess = 5
  // 6 tokenizer, 7 chat template, 8 generation config: reserved.
  /// Where the weights came from: JSON.
  case provenance = 9
  /// The error of each tensor measured at conversion: JSON.
  case report = 10

  package var name: String {
    switch self {
    case .tensorData: "tensor data"
    case .tensorIndex: "tensor index"
    case .config: "config"
    case .labels: "labels"
    case .preprocess: "preprocess"
    case .provenance: "provenance"
    case .report: "report"
    }
  }

  /// The one value that `Flags` may have.
  var flags: SectionFlags {
    switch self {
    case .tensorData: [.required, .inPlace]
    case .tensorIndex, .config: .required
    case .labels, .preprocess, .provenance, .report: []
    }
  }

  /// Whether the section may be stored as zstd.
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

package enum SectionCodec: UInt32, Sendable, CaseIterable {
  case raw = 0
  case zstd = 1

  package var name: String { self == .raw ? "raw" : "zstd" }
}

/// A section as the table describes it.
package struct SectionEntry: Sendable, Equatable {
  /// `Kind` as stored.
  package let code: UInt32
  package let flags: SectionFlags
  /// `Codec` as stored: of a kind that this build does not know it may be anything.
  package let codecCode: UInt32
  /// Bytes in the file.
  package let range: Range<Int>
  /// Bytes when decoded.
  package let rawSize: UInt64
  /// XXH64 of the stored and of the decoded bytes. For the tensor data both are the XXH64 of the
  /// tensors' hashes.
  package let storedHash: UInt64
  package let rawHash: UInt64

  /// Nil for a kind that this build skips.
  package var kind: SectionKind? { SectionKind(rawValue: code) }
  package var codec: SectionCodec? { SectionCodec(rawValue: codecCode) }
  package var name: String { kind?.name ?? "kind \(code)" }
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
