import VLMTensor

#if _endian(big)
  #error("containers are little-endian and their tensors are used in place")
#endif

/// The constants of the container format; `formats/vlmz.md` is normative.
enum Format {
  /// The highest `Read_Version` that this build reads.
  static let version = 3

  /// The `Read_Version` that a file must have to hold a tensor of this role.
  static func version(of role: TensorRole) -> Int { role == .embedding ? 2 : 1 }

  /// The `Read_Version` that a file must have to hold this tensor.
  static func version(of entry: TensorIndex.Entry) -> Int {
    max(version(of: entry.role), entry.format.scheme.readVersion)
  }

  /// `\x89VLMZ\r\n\n`: a non-ASCII byte, the name, and line breaks that a text-mode transfer would
  /// change.
  static let magic: [UInt8] = [0x89, 0x56, 0x4c, 0x4d, 0x5a, 0x0d, 0x0a, 0x0a]

  static let headerSize = 128
  static let hashedHeaderSize = 120
  static let tableEntrySize = 64
  static let maximumSections = 64
  static let minimumSections = 3

  static let alignment = 64
  /// Tensor data is page-aligned, so that opening a file reads none of it.
  static let dataAlignment = 4096

  /// Maximum decoded size of any section except the tensor data.
  static let maximumSectionSize = 64 << 20
  static let indexHeaderSize = 8
  static let indexEntrySize = 32
  static let maximumNameSize = 512
  static let maximumRank = 8
  /// Maximum zstd window that a reader supports.
  static let maximumWindow = 1 << 23

  static let zstdLevel: Int32 = 19
  /// Smaller sections are stored raw: compression gains little, and raw bytes do not depend on a
  /// library version.
  static let smallestCompressed = 4096

  /// `offset` rounded up to a multiple of `alignment`; nil on overflow.
  static func aligned(_ offset: Int, to alignment: Int) -> Int? {
    let (sum, overflow) = offset.addingReportingOverflow(alignment - 1)
    return overflow ? nil : sum / alignment * alignment
  }
}

extension TensorRole {
  /// The roles that have a code of their own; a role's code is its place here.
  static let stored: [TensorRole] = [
    .matrix, .patchConvolution, .depthwise, .vector, .convolution, .head, .embedding,
  ]

  /// The `Role` of a tensor's entry in the index. A matrix at a particular place of its model is
  /// written as the plain matrix that it is stored as: what the quantization policy knew of it does
  /// not matter to a reader.
  package var storedCode: UInt8 {
    switch self {
    case .matrix, .valueProjection, .downProjection: 0
    case .patchConvolution: 1
    case .depthwise: 2
    case .vector: 3
    case .convolution: 4
    case .head: 5
    case .embedding: 6
    }
  }

  /// The role that a code stands for; nil for an unknown one.
  init?(storedCode: UInt8) {
    guard Self.stored.indices.contains(Int(storedCode)) else { return nil }
    self = Self.stored[Int(storedCode)]
  }
}

extension UnsafeRawBufferPointer {
  /// The little-endian integer at `offset`.
  ///
  /// - Precondition: the integer is inside of the buffer.
  package func little<T: FixedWidthInteger>(_ offset: Int, as: T.Type = T.self) -> T {
    precondition(offset >= 0 && offset <= count - MemoryLayout<T>.size, "field inside the buffer")
    return T(littleEndian: loadUnaligned(fromByteOffset: offset, as: T.self))
  }

  /// The bytes of `range`.
  ///
  /// - Precondition: `range` is inside of the buffer.
  package func slice(_ range: Range<Int>) -> UnsafeRawBufferPointer {
    precondition(range.lowerBound >= 0 && range.upperBound <= count, "range inside the buffer")
    return UnsafeRawBufferPointer(rebasing: self[range])
  }
}

extension [UInt8] {
  /// Appends an integer, lowest byte first.
  package mutating func append<T: FixedWidthInteger>(little value: T) {
    Swift.withUnsafeBytes(of: value.littleEndian) { append(contentsOf: $0) }
  }

  /// Appends so many zeros.
  package mutating func appendZeros(_ count: Int) {
    append(contentsOf: repeatElement(0, count: count))
  }
}
