/// One step of a delta: it makes the next bytes of the target.
package struct DeltaOperation: Sendable, Equatable {
  /// How the bytes are made; `formats/vlmzd.md`, "Methods".
  package enum Method: UInt8, Sendable, CaseIterable {
    /// The bytes of the base.
    case copy = 0
    /// The stored bytes.
    case stored = 1
    /// A zstd frame that may refer to the bytes of the base.
    case patch = 2
    /// A frame of differences to the bytes of the base, byte by byte.
    case bytes = 3
    /// The same by words of 16 bits, the lower bytes before the upper.
    case words16 = 4
    /// The same by words of 32 bits, in four planes.
    case words32 = 5

    /// Bytes of a word of which the differences are taken; nil for the methods without.
    package var wordSize: Int? {
      switch self {
      case .copy, .stored, .patch: nil
      case .bytes: 1
      case .words16: 2
      case .words32: 4
      }
    }

    /// Whether the stored bytes are a zstd frame.
    var isFrame: Bool { self != .copy && self != .stored }
  }

  package let method: Method
  /// Bytes that are made.
  package let length: Int
  /// The bytes of the base that are used.
  package let base: Range<Int>
  package let storedByteCount: Int
  /// XXH64 of the stored bytes; 0 without any.
  package let storedHash: UInt64
  /// XXH64 of the bytes that are made.
  package let targetHash: UInt64
}
