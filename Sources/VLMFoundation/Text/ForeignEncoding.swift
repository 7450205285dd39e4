/// Texts that are not in UTF-8.
package enum ForeignEncoding {
  /// The encoding that a text's byte order mark states, where it is not UTF-8.
  package static func name(of bytes: UnsafeRawBufferPointer) -> String? {
    func begins(_ mark: UInt8...) -> Bool { bytes.starts(with: mark) }
    // In UTF-16 the first would be a text that begins with a zero.
    if begins(0xff, 0xfe, 0, 0) || begins(0, 0, 0xfe, 0xff) { return "UTF-32" }
    return begins(0xff, 0xfe) || begins(0xfe, 0xff) ? "UTF-16" : nil
  }

  /// The mark of UTF-8, which is none of the text.
  package static let mark: [UInt8] = [0xef, 0xbb, 0xbf]

  /// Leaves the mark of UTF-8 out of a text that begins with it.
  ///
  /// - Returns: whether it did.
  @discardableResult
  package static func dropMark(of bytes: inout [UInt8]) -> Bool {
    guard bytes.starts(with: mark) else { return false }
    bytes.removeFirst(mark.count)
    return true
  }
}
