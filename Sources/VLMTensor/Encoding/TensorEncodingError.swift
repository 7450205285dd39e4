import VLMFoundation

/// Why a tensor cannot be encoded or decoded.
package struct TensorEncodingError: ReportableError, Equatable {
  package enum Problem: Sendable, Equatable {
    /// The scheme, layout and order do not go with the shape, or a size overflows.
    case formatDoesNotFit(format: TensorFormat, shape: [Int])
    case valueCount(found: Int, expected: Int)
    case byteCount(found: Int, expected: Int)
    case importanceCount(found: Int, expected: Int)
    case hessianCount(found: Int, expected: Int)
    case hessian(HessianFault, row: Int, column: Int)
    /// Statistics for another number of inputs than the matrix has, or than any may have.
    case statisticsInputs(found: Int, expected: String)
  }

  /// What is wrong with a value of a Hessian.
  package enum HessianFault: Sendable, Equatable {
    case notFinite
    case notSymmetric
    case diagonalNotPositive
    /// Found when an input is left to be explained by those before it.
    case notPositiveDefinite
  }

  package let problem: Problem

  package init(problem: Problem) { self.problem = problem }

  package var exitStatus: ExitStatus { .badData }

  package func description(in words: Wording) -> String {
    switch problem {
    case .formatDoesNotFit(let format, let shape):
      "shape \(shape) cannot be stored as \(format.scheme.name) in \(format.layout) layout and "
        + "\(format.order) order"
    case .valueCount(let found, let expected): "found \(found) values, expected \(expected)"
    case .byteCount(let found, let expected): "found \(found) bytes, expected \(expected)"
    case .importanceCount(let found, let expected):
      "found \(found) importance weights, expected \(expected)"
    case .hessianCount(let found, let expected):
      "the Hessian: found \(found) values, expected \(expected)"
    case .hessian(let fault, let row, let column):
      switch fault {
      case .notFinite: "the Hessian: row \(row), column \(column) is not a finite number"
      case .notSymmetric: "the Hessian: row \(row), column \(column) is not its mirror image"
      case .diagonalNotPositive:
        "the Hessian: row \(row), column \(column) on the diagonal is not positive"
      case .notPositiveDefinite: "the Hessian: not positive definite, which shows at input \(row)"
      }
    case .statisticsInputs(let found, let expected):
      "statistics of \(found) inputs, expected \(expected)"
    }
  }
}
