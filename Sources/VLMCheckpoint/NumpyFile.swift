import VLMFoundation
import VLMTensor

/// Writes NumPy's `.npy` format, version 1.0.
package enum NumpyFile {
  /// Writes `values`, in C order, as a little-endian 32-bit float array of `shape`.
  ///
  /// - Returns: the file, which appears at its path only when it is committed.
  /// - Precondition: `values` has as many elements as `shape`, whose rank is at most 32, NumPy's
  ///   limit.
  package static func prepare(
    path: String, overwrite: Bool, shape: [Int], values: [Float]
  ) throws(FileError) -> OutputFile {
    precondition(DType.f32.byteCount(shape: shape) == 4 * values.count, "values fill the shape")
    precondition(shape.count <= 32, "a rank that NumPy reads")
    let output = try OutputFile(path: path, overwrite: overwrite)
    try output.write(header(shape))
    let result = values.withUnsafeBytes { bytes in
      Result { () throws(FileError) in try output.write(bytes) }
    }
    try result.get()
    return output
  }

  package static func write(
    path: String, overwrite: Bool, shape: [Int], values: [Float]
  ) throws(FileError) {
    try prepare(path: path, overwrite: overwrite, shape: shape, values: values).commit()
  }

  /// Magic, version, length, and a Python dictionary, padded so that the data starts at a multiple
  /// of 64 bytes.
  private static func header(_ shape: [Int]) -> [UInt8] {
    // Python writes a tuple of one element with a trailing comma.
    let extents = shape.count == 1 ? "\(shape[0])," : shape.map(String.init).joined(separator: ", ")
    var text = Array("{'descr': '<f4', 'fortran_order': False, 'shape': (\(extents)), }".utf8)
    while (10 + text.count + 1) % 64 != 0 { text.append(0x20) }
    text.append(0x0a)
    let length = UInt16(text.count)
    return [0x93] + Array("NUMPY".utf8) + [1, 0, UInt8(length & 0xff), UInt8(length >> 8)] + text
  }
}
