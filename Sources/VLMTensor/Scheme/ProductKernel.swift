import CVLMKernels

/// What multiplies by the weights of one scheme on one instruction set.
///
/// A scheme with another kind of product adds a case, and the compiler shows what must know of it.
package enum ProductKernel: @unchecked Sendable {
  // Addresses of functions, which nobody changes.
  /// `y = epilogue(x Wᵀ)` for some panels of W; behind codes also their outliers (`vlm_outlier`).
  package typealias Multiply = @convention(c) (UnsafePointer<vlm_gemm>?) -> Void

  /// f32 weights in the order of the matrix, which a library of linear algebra multiplies.
  case rowMajor
  /// Panels, multiplied by rows of f32.
  case floats(Multiply)
  /// Panels, multiplied by rows that were quantized to u8 (`quantize_rows_u8`).
  case codes(Multiply)

  /// Whether rows must be quantized before they are multiplied.
  package var takesCodes: Bool {
    if case .codes = self { true } else { false }
  }

  /// The product by panels; nil for weights that are not in panels.
  package var multiply: Multiply? {
    switch self {
    case .rowMajor: nil
    case .floats(let multiply), .codes(let multiply): multiply
    }
  }
}
