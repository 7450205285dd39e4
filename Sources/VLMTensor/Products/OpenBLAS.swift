import CVLMSystem
import VLMFoundation

/// The library that multiplies f32 matrices, on the calling thread; where it is not to be had our own
/// kernels do.
package enum OpenBLAS {
  /// Loads it, once.
  ///
  /// - Throws: `OpenBLASError` when it is not installed, or address space is limited.
  package static func load() throws(OpenBLASError) {
    if let reason = vlm_blas_load() { throw OpenBLASError(reason: String(cString: reason)) }
  }

  /// Begins to load it beside everything else, because it takes a good part of opening a model; the
  /// first product waits for it.
  static func beginLoad() { vlm_blas_begin_load() }

  /// Whether it is there; the first call loads it.
  static var isThere: Bool { vlm_blas_load() == nil }

  /// The name of the kernels it uses, nil before `load`.
  package static var core: String? { vlm_blas_core().map { String(cString: $0) } }
}
