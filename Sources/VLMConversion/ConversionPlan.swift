import VLMFoundation
import VLMTensor

/// How each tensor of a model will be stored: a pure function of manifest and policy.
package struct ConversionPlan: Sendable, Equatable {
  package struct Item: Sendable, Equatable {
    package let spec: TensorSpec
    package var format: TensorFormat
    /// Why a matrix is stored in another scheme than the one asked for.
    package var reason: Note?

    package var byteCount: Int { format.byteCount(shape: spec.shape) ?? 0 }
  }

  /// Sorted by name, as the container wants them.
  package var items: [Item]

  /// Bytes of all tensors as stored.
  package var byteCount: Int { items.reduce(0) { $0 + $1.byteCount } }
  package var parameterCount: Int {
    items.reduce(0) { $0 + $1.spec.shape.reduce(1, *) }
  }

  package init(manifest: [TensorSpec], policy: QuantizationPolicy) {
    items = manifest.map { spec in
      let (scheme, reason) = policy.scheme(for: spec)
      return Item(spec: spec, format: spec.role.format(scheme: scheme), reason: reason)
    }
    .sorted { $0.spec.path.utf8.lexicographicallyPrecedes($1.spec.path.utf8) }
  }
}

extension TensorRole {
  /// Where the bytes of a tensor of this role go when its values are stored in `scheme`.
  func format(scheme: Scheme) -> TensorFormat {
    TensorFormat(
      scheme: scheme, layout: isMatrix ? scheme.matrixLayout : .rowMajor, order: order)
  }
}

/// Which scheme a tensor gets, by its role and the scheme asked for, unless a pattern says otherwise.
package struct QuantizationPolicy: Sendable, Equatable {
  package struct Override: Sendable, Equatable {
    /// A name with `*` for any run of characters.
    package let pattern: String
    package let scheme: Scheme

    package init(pattern: String, scheme: Scheme) {
      self.pattern = pattern
      self.scheme = scheme
    }

    func matches(_ name: String) -> Bool { Self.matches(Array(pattern.utf8), Array(name.utf8)) }

    /// Greedy with one backtracking point: linear in practice, quadratic at worst.
    private static func matches(_ pattern: [UInt8], _ name: [UInt8]) -> Bool {
      var (p, n, star, mark) = (0, 0, -1, 0)
      while n < name.count {
        if p < pattern.count, pattern[p] == UInt8(ascii: "*") {
          (star, mark) = (p, n)
          p += 1
        } else if p < pattern.count, pattern[p] == name[n] {
          (p, n) = (p + 1, n + 1)
        } else if star >= 0 {
          mark += 1
          (p, n) = (star + 1, mark)
        } else {
          return false
        }
      }
      return pattern[p...].allSatisfy { $0 == UInt8(ascii: "*") }
    }
  }

  package let scheme: Scheme
  package let overrides: [Override]

  package init(scheme: Scheme, overrides: [Override] = []) {
    self.scheme = scheme
    self.overrides = overrides
  }

  func scheme(for spec: TensorSpec) -> (Scheme, reason: Note?) {
    guard spec.role.isQuantizable else { return (.f32, nil) }
    if let override = overrides.last(where: { $0.matches(spec.path) }) {
      let asked = "\(override.pattern)=\(override.scheme.name)"
      return (override.scheme, Note(.tensorSchemes, are: asked))
    }
    guard let fallback = scheme.fallback, let reason = reasonForMoreBits(spec) else {
      return (scheme, nil)
    }
    return (fallback, Note(reason))
  }

  /// Why a tensor is better off with more bits than the few asked for; nil where it is not.
  private func reasonForMoreBits(_ spec: TensorSpec) -> String? {
    let (outputs, inputs) = (spec.shape.first ?? 0, spec.shape.last ?? 0)
    switch spec.role {
    case .patchConvolution:
      return "downsampling writes the residual stream, which every later block reads"
    case .head:
      return "its product is the answer"
    case .embedding:
      // The errors of a table are also the first thing that every layer sees.
      return "a row is read for each token: \(scheme.codeBits) bits would save no time"
    default: break
    }
    if inputs < TensorFormat.blockInputs * 2 {
      return "\(inputs) inputs are too few to gain from \(scheme.codeBits) bits"
    }
    switch spec.role {
    case .valueProjection where outputs * 2 <= inputs:
      // Grouped heads: a fifth of a model's loss at 4 bits comes from these few weights.
      return "several heads read each of its few outputs"
    case .downProjection where outputs < 1024:
      // Half of what 4 bits cost SmolLM2 comes from these, for an eighth of the file.
      return "a narrow model has no room for its error"
    default:
      return nil
    }
  }
}
