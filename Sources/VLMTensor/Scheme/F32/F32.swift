import CVLMKernels

extension Scheme {
  /// IEEE binary32, as checkpoints are read.
  package static let f32 = Scheme(F32.self)
}

/// f32: 4 bytes a value, in the order of the shape.
enum F32: RowMajorScheme {
  static let code: UInt8 = 1
  static let name = "f32"
  static let summary = "as the checkpoint has them"

  static let codeBits = 32
  static let bitsPerWeight = 32.0
  static let isExact = true
  static let valueType = DType.f32
  static let arithmetic = ProductArithmetic.f32

  static let elementByteCount = 4

  static func convert(
    _ values: UnsafePointer<Float>, count: Int, into bytes: UnsafeMutableRawPointer
  ) {
    bytes.copyMemory(from: values, byteCount: count * elementByteCount)
  }

  static func restore(
    _ bytes: UnsafeRawPointer, count: Int, into values: UnsafeMutablePointer<Float>
  ) {
    UnsafeMutableRawPointer(values).copyMemory(from: bytes, byteCount: count * elementByteCount)
  }

  static func kernel(in table: vlm_kernels) -> ProductKernel { .rowMajor }

  static func copyRow(
    _ row: Int, of weights: UnsafeRawPointer, inputs: Int,
    into values: UnsafeMutablePointer<Float>
  ) {
    restore(weights + row * inputs * elementByteCount, count: inputs, into: values)
  }
}
