import VLMTensor

/// How the elements of a tensor lie in its bytes where they are not stored one by one, as in blocks
/// of codes with their scales.
package protocol StoredElements: Sendable {
  /// What the format calls it.
  var name: String { get }
  /// Whether the elements can be read as floats here; others are only listed.
  var isReadable: Bool { get }

  /// The bytes, counted from the tensor's first, that reading the elements `elements` touches.
  func byteRange(ofElements elements: Range<Int>) -> Range<Int>

  /// Writes the elements `range`, counted in C order, to `output`, which has as many places.
  ///
  /// - Precondition: it is readable, and `bytes` are all of the tensor's.
  func decode(
    _ bytes: UnsafeRawBufferPointer, _ range: Range<Int>,
    into output: UnsafeMutableBufferPointer<Float>)
}
