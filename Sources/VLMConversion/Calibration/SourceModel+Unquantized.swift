import VLMCheckpoint
import VLMContainer
import VLMTensor

/// What calibration runs: the model before it is quantized, or as good as that.
extension SourceModel {
  /// How matrices are stored in what calibration runs.
  package enum RunForm: Sendable {
    /// As the checkpoint has them.
    case unquantized
    /// Those of a language model in 8 bits, which is several times as fast; all else as it is.
    case eightBitLanguage
  }

  /// The container that the source is, where it has the form already; nil otherwise.
  package func container(in form: RunForm) throws -> Container? {
    guard form == .eightBitLanguage else { return unquantizedContainer }
    let names = try eightBitNames()
    guard let container,
      container.tensors.allSatisfy({
        names.contains($0.name) ? $0.format.scheme.codeBits == 8 : $0.format.scheme.codeBits > 8
      })
    else { return nil }
    return container
  }

  /// The policy of a container in the form.
  package func policy(for form: RunForm) throws -> QuantizationPolicy {
    let policy = try unquantizedPolicy()
    guard form == .eightBitLanguage else { return policy }
    let eightBits = try eightBitNames().sorted().map {
      QuantizationPolicy.Override(pattern: $0, scheme: .q8)
    }
    return QuantizationPolicy(scheme: policy.scheme, overrides: policy.overrides + eightBits)
  }

  /// Matrices of the language model that are multiplied. Its table of embeddings is only looked up.
  private func eightBitNames() throws -> Set<String> {
    let names = try description.languageTensors()
    return Set(
      try description.manifest().filter {
        $0.role.isQuantizable && $0.role != .embedding && names.contains($0.path)
      }.map(\.path))
  }

  /// The container that the source is, where all of its matrices are floats; nil otherwise.
  private var unquantizedContainer: Container? {
    guard let container, container.tensors.allSatisfy({ $0.format.scheme.codeBits > 8 }) else {
      return nil
    }
    return container
  }

  /// Matrices in f16 or bf16 where the checkpoint has them so, or in blocks of fewer bits, whose values
  /// f16 holds well enough to run the model; all else in f32.
  private func unquantizedPolicy() throws -> QuantizationPolicy {
    var overrides: [QuantizationPolicy.Override] = []
    for spec in try description.manifest() where spec.role.isQuantizable {
      let stored = try tensor(spec.path).stored
      let scheme: Scheme
      if let elements = stored.blocks {
        let isExact = (elements as? ContainerElements)?.format.scheme.isExact ?? false
        scheme = isExact ? .f32 : .f16
      } else {
        scheme = stored.dtype == .f32 ? .f32 : Scheme(storing: stored.dtype) ?? .f32
      }
      if !scheme.isExact { overrides.append(.init(pattern: spec.path, scheme: scheme)) }
    }
    return QuantizationPolicy(scheme: .f32, overrides: overrides)
  }
}
