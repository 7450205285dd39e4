import Foundation
import VLMTensor

extension KernelSet {
  /// The kernels that tests compute with: the best of this machine, or those that `VLM_FORCE_ISA`
  /// names, so that a script can run the same tests on each.
  ///
  /// - Throws: when this machine cannot run what the variable names.
  package static func selected() throws -> KernelSet {
    guard let name = ProcessInfo.processInfo.environment["VLM_FORCE_ISA"], !name.isEmpty else {
      return .best
    }
    guard let kernels = KernelSet(named: name) else { throw UnknownKernels(name: name) }
    return kernels
  }

  /// `VLM_FORCE_ISA` names a set that this machine cannot run.
  private struct UnknownKernels: Error {
    let name: String
  }
}
