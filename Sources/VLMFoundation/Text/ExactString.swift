/// A string compared by its bytes.
///
/// Swift compares strings up to canonical equivalence; names in files are equal only when their
/// bytes are, so every table keyed by a name from a file uses this.
package struct ExactString: Hashable, Sendable {
  package let string: String

  package init(_ string: String) { self.string = string }

  package static func == (a: ExactString, b: ExactString) -> Bool {
    a.string.hasSameBytes(as: b.string)
  }

  package func hash(into hasher: inout Hasher) {
    let hashed: Void? = string.utf8.withContiguousStorageIfAvailable {
      hasher.combine(bytes: UnsafeRawBufferPointer($0))
    }
    if hashed == nil {
      for byte in string.utf8 { hasher.combine(byte) }
    }
  }
}

extension String {
  /// Byte-wise equality; `==` also holds between canonically equivalent strings.
  package func hasSameBytes(as other: String) -> Bool {
    utf8.count == other.utf8.count && utf8.elementsEqual(other.utf8)
  }

  /// What follows `prefix`; nil where it is no prefix.
  package func dropping(_ prefix: String) -> String? {
    hasPrefix(prefix) ? String(dropFirst(prefix.count)) : nil
  }
}
