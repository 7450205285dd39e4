import VLMFoundation

/// Why a tensor cannot be encoded or decoded.
package struct TensorEncodingError: ReportableError, Equatable {
  package enum Problem: Sendable, Equatable {
    /// The scheme, layout and order do not go with the shape, or a size overflows.
    case formatDoesNotFit(format: TensorFormat, shape: [Int])
    case valueCount(found: Int, expected: Int)
    case byteCount(found: Int, expected: Int)
    case importanceCount(found: Int, expected: Int)
  }

  package let problem: Problem

  package init(problem: Problem) { self.problem = problem }

  package var exitStatus: ExitStatus { .badData }

  package var description: String {
    switch problem {
    case .formatDoesNotFit(let format, let shape):
      "shape \(shape) cannot be stored as \(format.scheme.name) in \(format.layout) layout and "
        + "\(format.order) order"
    case .valueCount(let found, let expected): "found \(found) values, expected \(expected)"
    case .byteCount(let found, let expected): "found \(found) bytes, expected \(expected)"
    case .importanceCount(let found, let expected):
      "found \(found) importance weights, expected \(expected)"
    }
  }
}
