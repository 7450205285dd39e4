import VLMFoundation
import VLMTensor

#if canImport(Glibc)
  import Glibc
#endif

/// Phi-3 and Phi-4-mini (Abdin et al., "Phi-3 Technical Report"): LLaMA whose queries, keys and values
/// come from one matrix, and gates and what they gate from another; heads that turn in part; LongRoPE.
///
/// The matrices are taken apart where the names are matched (`LLaMANaming.fused`).
enum Phi3Architecture: DecoderArchitecture {
  static let stated = StatedClasses(
    classes: ["Phi3ForCausalLM"], types: ["phi3"], patterns: ["Phi3…"])
  static let keys = ConfigKeys.llama.adding(
    free: ["partial_rotary_factor", "original_max_position_embeddings"],
    // Of Phi-4-mini's file; its class reads neither.
    neutral: ["full_attn_mod": [1], "interpolate_factor": [1], "attention_bias": []])
  static let usual = DecoderDefaults(epsilon: 1e-5, positions: 4096)
  static let scalesByItself = true

  static func adapt(_ config: inout LLaMAConfig, to fields: ConfigFields) throws(ModelError) {
    let rotation = try LLaMAConfig.rotation(fields)
    var factor = try fields.double("partial_rotary_factor", default: 1)
    if let inner = try rotation?.statedDouble("partial_rotary_factor") { factor = inner }
    guard factor > 0, factor <= 1 else {
      throw fields.unexpected(
        "partial_rotary_factor", "\(factor)", expected: "above 0, at most 1")
    }
    let turned = Int(Double(config.headDimension) * factor)
    if turned != config.headDimension { config.traits.rotaryDimension = turned }
    if let rotation { config.ropeScaling = try scaling(rotation, fields, config) }
    try config.slide(fields, window: try fields.slidingWindow()) { _ in true }
  }

  /// The class calls LongRoPE by three names, and has no other rule.
  private static func scaling(
    _ rotation: ConfigFields, _ fields: ConfigFields, _ config: LLaMAConfig
  ) throws(ModelError) -> RotaryScaling {
    let name = rotation.has("rope_type") ? "rope_type" : "type"
    let kind = try rotation.statedString(name) ?? "default"
    if kind == "default" || kind == "none" {
      try rotation.check(.rotation.adding(free: ["partial_rotary_factor"]))
      return .none
    }
    guard ["longrope", "su", "yarn"].contains(kind) else {
      throw rotation.unexpected(name, kind, expected: "default or longrope")
    }
    try rotation.check(
      .rotation.adding(free: ["partial_rotary_factor", "short_factor", "long_factor"]))
    let key = "original_max_position_embeddings"
    let range = 1...LLaMAConfig.maximumContext
    // The class overwrites what the object says by its own field (modeling_rope_utils.py).
    let original = try fields.int(key, range, default: 4096)
    let factor = try rotation.double(
      "factor", default: Double(config.contextLength) / Double(original))
    return .longRoPE(
      RotaryScaling.LongRoPE(
        short: try rotation.doubles("short_factor"), long: try rotation.doubles("long_factor"),
        original: original,
        attention: try rotation.double(
          "attention_factor", default: attention(factor: factor, original: original))))
  }

  /// What sines and cosines are multiplied by, for a context so many times as long as the original.
  private static func attention(factor: Double, original: Int) -> Double {
    factor <= 1 ? 1 : (1 + log(factor) / log(Double(original))).squareRoot()
  }

  static let ggufNames = ["phi3"]

  static func adapt(_ config: inout LLaMAConfig, to gguf: GGUFFields) throws(ModelError) {
    let turned = try gguf.int(
      "rope.dimension_count", 2...1024, default: config.headDimension)
    if turned != config.headDimension { config.traits.rotaryDimension = turned }
    let kind = try gguf.fields.statedString(gguf.key("rope.scaling.type")) ?? "none"
    guard ["none", "longrope"].contains(kind), !gguf.fields.has(LLaMAConfig.ggufFrequencies) else {
      throw gguf.fields.unexpected(
        gguf.key("rope.scaling.type"), kind, expected: "none or longrope, and its factors")
    }
    let (long, short) = (LLaMAConfig.ggufLongFactors, LLaMAConfig.ggufShortFactors)
    if gguf.fields.has(long) || gguf.fields.has(short) {
      let original = try gguf.int(
        "rope.scaling.original_context_length", 1...LLaMAConfig.maximumContext, default: 4096)
      let usual = attention(
        factor: Double(config.contextLength) / Double(original), original: original)
      config.ropeScaling = .longRoPE(
        RotaryScaling.LongRoPE(
          short: try gguf.fields.doubles(short), long: try gguf.fields.doubles(long),
          original: original,
          attention: try gguf.fields.double(gguf.key("rope.scaling.attn_factor"), default: usual)))
    }
    config.traits.slide(config.layers, window: try gguf.window()) { _ in true }
  }
}
