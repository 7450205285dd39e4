import VLMConversion
import VLMModels
import VLMTensor

extension RandomModel {
  /// Bytes of the weights of a case's model, as `write` stores them; 0 for a single operation.
  static func weightBytes(of work: CaseName.Work) throws -> Int {
    let (manifest, scheme): ([TensorSpec], Scheme)
    switch work {
    case .tower(let model, let stored, _):
      scheme = stored
      if let encoder = try RandomEncoder(named: model) {
        manifest = try encoder.manifest(kernels: .best)
      } else {
        manifest = try image(named: model).manifest()
      }
    case .language(let model, let stored, _, _), .answers(let model, let stored, _, _):
      scheme = stored
      manifest = try ModelDescription(LLaMAFamily.self, try language(named: model)).manifest()
    default: return 0
    }
    let plan = ConversionPlan(manifest: manifest, policy: QuantizationPolicy(scheme: scheme))
    return plan.items.reduce(0) { $0 + $1.byteCount }
  }
}
