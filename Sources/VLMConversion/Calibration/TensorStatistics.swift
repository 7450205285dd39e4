import VLMFoundation
import VLMTensor

/// Where the conversion finds what is known of the rows that a matrix will be multiplied by.
package protocol TensorStatistics: Sendable {
  /// What an encoder of `scheme` makes use of, for the matrix of that name; nil where nothing is
  /// known of it.
  ///
  /// - Parameters:
  ///   - inputs: columns of the matrix as it is stored.
  ///   - pool: threads for factoring a Hessian.
  /// - Throws: where what is known is another matrix's, or not enough for the scheme.
  func statistics(
    of tensor: String, inputs: Int, for scheme: Scheme, kernels: KernelSet, pool: WorkerPool
  ) throws -> CalibrationStatistics?

  /// Decides, with the source and the flags, the bytes of the container.
  var fingerprint: String { get }

  /// What the statistics are of, for provenance and report.
  var provenance: JSONValue { get }
}

extension Scheme {
  /// What the encoder of the scheme makes use of.
  package var wantedDetail: InputStatistics.Detail {
    guard let panels else { return .none }
    return panels.usesHessian ? .hessian : panels.usesImportance ? .moments : .none
  }
}

extension ConversionPlan {
  /// What is to be known of the inputs of each matrix, by its name. Matrices that no encoder asks about
  /// are left out, and so are tables of embeddings: their rows are looked up, not multiplied.
  package var wantedDetails: [String: InputStatistics.Detail] {
    var details: [String: InputStatistics.Detail] = [:]
    for item in items where item.spec.role != .embedding {
      let detail = item.format.layout == .panels ? item.format.scheme.wantedDetail : .none
      if detail > .none { details[item.spec.path] = detail }
    }
    return details
  }
}
