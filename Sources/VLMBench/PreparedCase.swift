import VLMTensor

/// What a case can be held against.
package enum Bound: Hashable, Sendable {
  case int8, bf16, f32
  /// Bytes from memory; what fits in a cache can be faster.
  case bandwidth

  package var name: String {
    switch self {
    case .int8: "int8"
    case .bf16: "bf16"
    case .f32: "f32"
    case .bandwidth: "bandwidth"
    }
  }
}

/// A case with its memory, ready to run again and again.
struct PreparedCase {
  let name: CaseName
  /// Products and additions of one run, each counted.
  let operations: Double
  /// Bytes that one run reads and writes at least once.
  let bytes: Double
  let bound: Bound
  let run: () throws -> Void
}

extension CaseName {
  /// What limits the case: arithmetic where values are used many times, memory where once.
  package var bound: Bound {
    switch work {
    case .product(_, 1, _, _), .layerNorm, .gelu, .quantize, .rmsNorm: .bandwidth
    case .attention(_, 1, _, _, _, _), .language(_, _, 1, _),
      .speculation(_, _, 1, _), .answers(_, _, 1, _):
      .bandwidth
    case .attention: .f32
    case .product(let scheme, _, _, _), .tower(_, let scheme, _),
      .language(_, let scheme, _, _), .speculation(_, let scheme, _, _),
      .answers(_, let scheme, _, _):
      switch scheme.arithmetic {
      case .int8: .int8
      // The other sets widen bf16 to f32.
      case .bf16: isa == "amx" ? .bf16 : .f32
      case .f32: .f32
      }
    case .depthwise: .f32
    }
  }
}
