import CVLMKernels

/// What multiplies by the weights of one scheme on one instruction set.
///
/// A scheme with another kind of product adds a case, and the compiler shows what must know of it.
package enum ProductKernel: @unchecked Sendable {
  // Addresses of functions, which nobody changes.
  /// `y = epilogue(x Wᵀ)` for some panels of W.
  package typealias Multiply = @convention(c) (UnsafePointer<vlm_gemm>?) -> Void
  /// `y += o Wᵀ` for the few values o, so many of each row, that are apart from its codes.
  package typealias AddOutliers =
    @convention(c) (UnsafePointer<vlm_gemm>?, Int, UnsafePointer<vlm_outlier>?) -> Void

  /// f32 weights in the order of the matrix, which a library of linear algebra multiplies.
  case rowMajor
  /// Panels, multiplied by rows of f32.
  case floats(Multiply)
  /// Panels, multiplied by rows that were quantized to u8 (`quantize_rows_u8`).
  case codes(Multiply, AddOutliers)

  /// Whether rows must be quantized before they are multiplied.
  package var takesCodes: Bool {
    if case .codes = self { true } else { false }
  }

  /// The product by panels; nil for weights that are not in panels.
  package var multiply: Multiply? {
    switch self {
    case .rowMajor: nil
    case .floats(let multiply), .codes(let multiply, _): multiply
    }
  }

  /// What adds the products of outliers; nil where rows are not quantized.
  var addOutliers: AddOutliers? {
    if case .codes(_, let add) = self { add } else { nil }
  }
}
