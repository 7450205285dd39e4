import CVLMKernels

/// The kernels of one instruction set, chosen once and passed to whatever computes.
package struct KernelSet: @unchecked Sendable {
  // The tables are constants of the C library; nobody writes them.
  package let table: UnsafePointer<vlm_kernels>

  /// "scalar", "avx2" …; what `KernelSet(named:)` takes and `--version` prints.
  package var name: String { String(cString: table.pointee.name) }

  /// Whether products of bf16 are faster than those of f32.
  package var multipliesPairs: Bool {
    let isa = table.pointee.isa
    return isa == VLM_ISA_AVX512BF16 || isa == VLM_ISA_AMX
  }

  /// Whether attention over f16 is faster where it may round to bf16. It then has the same bits for any
  /// rows, with pages and without.
  package var pairsHalves: Bool { table.pointee.isa == VLM_ISA_AVX512BF16 }

  /// The fastest encoders of panels that use no other instructions.
  var encoder: UnsafePointer<vlm_encoder> {
    guard let encoder = vlm_encoder_for(table.pointee.isa) else {
      preconditionFailure("a set that this machine runs")
    }
    return encoder
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

  /// The best set of this machine.
  package static let best: KernelSet = {
    guard let best = KernelSet(named: KernelChoice.ofThisMachine.name) else {
      preconditionFailure("a set that this machine runs")
    }
    return best
  }()
}
