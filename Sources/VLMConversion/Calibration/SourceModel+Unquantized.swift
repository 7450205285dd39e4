import VLMCheckpoint
import VLMContainer
import VLMTensor

/// The model as its checkpoint has it, for running it before it is quantized.
extension SourceModel {
  /// The container that the source is, where all of its matrices are floats; nil otherwise.
  package var unquantizedContainer: Container? {
    guard let container, container.tensors.allSatisfy({ $0.format.scheme.codeBits > 8 }) else {
      return nil
    }
    return container
  }

  /// Matrices in f16 or bf16 where the checkpoint has them so, or in blocks of fewer bits, whose values
  /// f16 holds well enough to run the model; all else in f32.
  package func unquantizedPolicy() throws -> QuantizationPolicy {
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
