import VLMFoundation
import VLMTensor

/// Matrices that share an input, and what is kept of it in a file.
package struct StatisticsGroup: Sendable, Equatable {
  /// Names of the matrices; the first stands for the group.
  package let tensors: [String]
  package let inputs: Int
  package let hasHessian: Bool

  package init(tensors: [String], inputs: Int, hasHessian: Bool) {
    self.tensors = tensors
    self.inputs = inputs
    self.hasHessian = hasHessian
  }

  package var name: String { tensors.first ?? "" }
}

/// How a file of statistics is laid out: safetensors, with these arrays for each group, and one entry
/// of the metadata, `StatisticsFile.key`.
///
/// | array | type | shape | content |
/// | --- | --- | --- | --- |
/// | `NAME.rows` | F64 | `[1]` | rows that were seen |
/// | `NAME.sums` | F64 | `[inputs]` | Σ x |
/// | `NAME.squares` | F64 | `[inputs]` | Σ x² |
/// | `NAME.sensitivity` | F64 | `[matrices]` | what the model loses by a relative squared error of 1 in the products of each matrix; 0: not known. Files of before lack it |
/// | `NAME.hessian` | F32 | `[inputs (inputs + 1) / 2]` | Σ x xᵀ, its upper triangle row by row |
struct StatisticsArray: Equatable {
  enum Kind: String, CaseIterable { case rows, sums, squares, sensitivity, hessian }

  let kind: Kind
  let group: StatisticsGroup

  var name: String { "\(group.name).\(kind.rawValue)" }

  var type: DType { kind == .hessian ? .f32 : .f64 }

  var count: Int {
    switch kind {
    case .rows: 1
    case .sums, .squares: group.inputs
    case .sensitivity: group.tensors.count
    case .hessian: group.inputs * (group.inputs + 1) / 2
    }
  }

  var byteCount: Int { count * type.bitCount / 8 }

  /// The arrays of a file in their order: those of 8-byte values first, so that all are aligned.
  static func all(of groups: [StatisticsGroup]) -> [StatisticsArray] {
    let moments = groups.flatMap { group in
      [Kind.rows, .sums, .squares, .sensitivity].map { StatisticsArray(kind: $0, group: group) }
    }
    return moments
      + groups.filter(\.hasHessian).map { StatisticsArray(kind: .hessian, group: $0) }
  }
}
