import VLMFoundation
import VLMTensor

/// Granite 3 (IBM, "Granite 3.0 Language Models"): LLaMA whose embeddings, scores, branches and logits
/// are multiplied by numbers of its description, as in Yang et al., "Tensor Programs V".
enum GraniteArchitecture: DecoderArchitecture {
  static let stated = StatedClasses(
    classes: ["GraniteForCausalLM"], types: ["granite"], patterns: ["GraniteForCausalLM"])
  static let keys = ConfigKeys.llama.adding(
    free: [
      "embedding_multiplier", "attention_multiplier", "residual_multiplier", "logits_scaling",
    ])
  static let usual = DecoderDefaults(epsilon: 1e-6, vocabulary: 32_000)

  static func adapt(_ config: inout LLaMAConfig, to fields: ConfigFields) throws(ModelError) {
    config.traits.scoreScale = try scale(fields, "attention_multiplier")
    multiply(
      &config, embeddings: try scale(fields, "embedding_multiplier"),
      branches: try scale(fields, "residual_multiplier"),
      logits: 1 / (try scale(fields, "logits_scaling")))
  }

  /// A multiplier of the class, which is 1 where the file is silent.
  private static func scale(_ fields: ConfigFields, _ key: String) throws(ModelError) -> Float {
    let number = try fields.double(key, default: 1)
    guard number >= 1e-6, number <= 1e6 else {
      throw fields.refusal(key, found: "\(number)", expected: "a number from 1e-6 to 1e6")
    }
    return Float(number)
  }

  /// The class multiplies what enters its first layer, rows of pictures like those of tokens.
  private static func multiply(
    _ config: inout LLaMAConfig, embeddings: Float, branches: Float, logits: Float
  ) {
    config.traits.embeddingScale = embeddings
    config.traits.pictureScale = embeddings
    config.traits.residualScale = branches
    config.traits.logitScale = logits
  }

  static let ggufNames = ["granite"]
  static let ggufKeys: Set<String> = [
    "attention.scale", "embedding_scale", "residual_scale", "logit_scale",
  ]
  static let ggufTurnsNeighbours = true

  static func adapt(_ config: inout LLaMAConfig, to gguf: GGUFFields) throws(ModelError) {
    // As in llama.cpp: 0 says as little as nothing, and logits alone have to be stated.
    func scale(_ key: String) throws(ModelError) -> Float? {
      guard try gguf.statedDouble(key) ?? 0 != 0 else { return nil }
      return try Self.scale(gguf.fields, gguf.key(key))
    }
    config.traits.scoreScale = try scale("attention.scale")
    guard let logits = try scale("logit_scale") else {
      throw gguf.fields.unexpected(
        gguf.key("logit_scale"), "nothing", expected: "what logits are divided by")
    }
    multiply(
      &config, embeddings: try scale("embedding_scale") ?? 1,
      branches: try scale("residual_scale") ?? 1, logits: 1 / logits)
  }
}
