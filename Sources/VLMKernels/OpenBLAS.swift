import CVLMBlas

/// The library that multiplies f32 matrices, on the calling thread.
package enum OpenBLAS {
  /// Loads it, once.
  ///
  /// - Throws: `KernelError` when it is not installed, or does not fit a limit of address space.
  package static func load() throws(KernelError) {
    if let reason = vlm_blas_load() {
      if vlm_blas_lacks_memory() != 0 { throw KernelError(problem: .memoryOfOpenBLAS) }
      throw KernelError(problem: .openBLAS(String(cString: reason)))
    }
  }

  /// Begins to load it beside everything else, because it takes a good part of opening a model;
  /// `load` waits for it.
  package static func beginLoad() { vlm_blas_begin_load() }

  /// The name of the kernels it uses, nil before `load`.
  package static var core: String? { vlm_blas_core().map { String(cString: $0) } }
}
