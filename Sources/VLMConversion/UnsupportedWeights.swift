import VLMCheckpoint
import VLMFoundation

/// Recognises checkpoints that do not contain plain weights: adapters, weights quantized by other
/// tools, unnamed averages. Otherwise they would be a list of unknown tensors, or wrong values.
enum UnsupportedWeights {
  /// - Throws: `ConversionError` for an adapter and for weights that another tool has quantized.
  static func check(
    _ catalog: TensorCatalog, _ description: JSONValue?, _ adapter: Adapter, folder: String
  ) throws(ConversionError) {
    let names = catalog.tensors.lazy.map(\.name)
    if names.contains(where: isAdapter) { throw adapter.refusal(path: catalog.path) }
    // What peft leaves around a LLaVA's projector in non_lora_trainables.bin.
    if names.contains(where: { $0.hasPrefix("base_model.model.") }),
      !names.contains(where: { $0.contains(".layers.") })
    {
      throw adapter.refusal(path: catalog.path)
    }
    if let average = names.first(where: { $0.contains("shadow_params[") }) {
      throw ConversionError(path: catalog.path, .unnamedAverages(average))
    }
    // A scale beside fine-tuned weights may be an activation's; beside 8-bit ones it is theirs.
    let stated = description?["quantization_config"]?["quant_method"]?.stringValue
    for tensor in catalog.tensors {
      guard let kind = quantization(tensor) else { continue }
      throw ConversionError(
        path: catalog.path,
        .quantized(
          kind: stated ?? kind, tensor: tensor.name,
          original: OriginalModel.name(description, folder: folder)))
    }
  }

  private static func isAdapter(_ name: String) -> Bool {
    name.split(separator: ".").contains { part in
      part.hasPrefix("lora_") || part.hasPrefix("ia3_") || part == "prompt_embeddings"
    }
  }

  private static func quantization(_ tensor: CheckpointTensor) -> String? {
    if tensor.name.contains("._packed_params.") { return "PyTorch's quantized modules" }
    guard let dot = tensor.name.lastIndex(of: ".") else { return nil }
    switch tensor.name[tensor.name.index(after: dot)...] {
    case "qweight", "qzeros": return "GPTQ or AWQ"
    case "absmax", "SCB": return "bitsandbytes"
    case "bitsandbytes__nf4", "bitsandbytes__fp4": return "bitsandbytes"
    case "weight_scale", "weight_scale_inv", "weight_scale_2", "weight_packed":
      return "fp8 or compressed-tensors"
    case "scale_weight", "scale_input": return "fp8 with scales"
    case "W_q": return "HQQ"
    case "q_weight", "q_invperm", "q_scale_max": return "EXL2"
    case "trellis", "suh", "svh": return "EXL3"
    case "codebooks": return "AQLM"
    case "qscales", "weight_scales": return "another tool's integers"
    case "weight" where tensor.dtype == .f8e4m3 || tensor.dtype == .f8e5m2: return nil
    case "_data", "_packed": return "quanto or torchao"
    case "weight" where tensor.dtype == .u32: return "MLX"
    default: return nil
    }
  }
}
