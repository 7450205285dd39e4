import CVLMKernels
import VLMFoundation

#if canImport(Glibc)
  import Glibc
#endif

/// The kernels of one instruction set, chosen once and passed to whatever computes.
package struct KernelSet: @unchecked Sendable {
  // The tables are constants of the C library; nobody writes them.
  package let table: UnsafePointer<vlm_kernels>

  /// "scalar", "avx2" …; what `VLM_FORCE_ISA` takes and `--version` prints.
  package var name: String { String(cString: table.pointee.name) }

  /// Whether products of bf16 are faster than those of f32.
  package var multipliesPairs: Bool {
    let isa = table.pointee.isa
    return isa == VLM_ISA_AVX512BF16 || isa == VLM_ISA_AMX
  }

  /// The kernels of the instruction set called `name`; nil when this build or machine lacks it.
  package init?(named name: String) {
    guard let table = Self.all.first(where: { $0.name == name })?.table else { return nil }
    self.table = table
  }

  /// A table that lives as long as the process: one of the library's, or one that wraps it.
  package init(table: UnsafePointer<vlm_kernels>) { self.table = table }

  /// Every instruction set that this machine can run, slowest first.
  package static let all: [KernelSet] = (0..<VLM_ISA_COUNT.rawValue).compactMap { value in
    vlm_kernels_for(vlm_isa(rawValue: value)).map { KernelSet(table: $0) }
  }

  /// The best set of this machine, whatever the environment says.
  package static let best: KernelSet = {
    guard let best = KernelSet.all.last else { preconditionFailure("scalar is always there") }
    return best
  }()

  /// The best set of this machine, or the one that `VLM_FORCE_ISA` names.
  ///
  /// - Throws: `KernelError` when the variable names a set that is unknown or cannot run here.
  package static func selected(
    forced: String? = getenv("VLM_FORCE_ISA").map { String(cString: $0) }
  ) throws(KernelError) -> KernelSet {
    guard let forced, !forced.isEmpty else {
      guard let best = vlm_kernels_for(vlm_isa_best()) else {
        throw KernelError(problem: .unavailable(name: "scalar", supported: []))
      }
      return KernelSet(table: best)
    }
    guard let set = KernelSet(named: forced) else {
      throw KernelError(problem: .unavailable(name: forced, supported: all.map(\.name)))
    }
    return set
  }
}

package struct KernelError: ReportableError, Equatable {
  package enum Problem: Sendable, Equatable {
    case unavailable(name: String, supported: [String])
    case threadCount(String)
    /// The loader's words.
    case openBLAS(String)
  }

  package let problem: Problem

  package var description: String {
    switch problem {
    case .unavailable(let name, let supported):
      "VLM_FORCE_ISA: '\(name.escapedForDisplay())' cannot run here, "
        + "expected one of \(supported.joined(separator: ", "))"
    case .threadCount(let text):
      "VLM_THREADS: '\(text.escapedForDisplay())' is not a number of threads, "
        + "expected 1 to \(ThreadCount.maximum)"
    case .openBLAS(let reason):
      "OpenBLAS cannot be loaded: \(reason.escapedForDisplay()); install libopenblas0"
    }
  }

  package var exitStatus: ExitStatus {
    switch problem {
    case .unavailable, .openBLAS: .unsupported
    case .threadCount: .usage
    }
  }
}
