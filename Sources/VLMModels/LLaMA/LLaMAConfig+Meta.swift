import VLMFoundation
import VLMTensor

extension LLaMAConfig {
  /// Parts of models in Meta's and Mistral's layout that are not this arithmetic, by their keys in
  /// `params.json`.
  private static let metaRefused = [
    "moe", "moe_args", "vision_encoder", "vision_chunk_size", "vision_args", "quantization",
    "quantization_args", "lora_args", "lora", "use_qk_norm", "multimodal",
  ]

  /// What transformers' `config.json` would say of a model in Meta's original layout.
  ///
  /// - Parameters:
  ///   - params: `params.json`, which leaves out what the tensors show.
  ///   - names: the tensors, the parts of each put together.
  ///   - notes: what a person should know of what was assumed.
  /// - Throws: `ModelError` naming a field of it, or a tensor.
  package static func description(
    meta params: JSONValue, names: [CheckpointFacts.Name], notes: inout [Note]
  ) throws(ModelError) -> JSONValue {
    let fields = try ConfigFields(stated: params, path: "params.json")
    for key in metaRefused where fields.has(key) {
      throw fields.unexpected(key, params[key]?.serialized() ?? "", expected: "none")
    }
    func shape(_ name: String) throws(ModelError) -> [Int] {
      guard let shape = names.first(where: { $0.name == name })?.shape, shape.count == 2 else {
        throw ModelError(.missingTensor(name))
      }
      return shape
    }
    let table = try shape("tok_embeddings.weight")
    let width = try fields.int("dim", 1...TensorFormat.maximumInputs)
    let heads = try fields.int("n_heads", 1...4096)
    let layers = try fields.int("n_layers", 1...1000)
    let dimension = try fields.int("head_dim", 2...1024, default: max(2, min(1024, width / heads)))
    let queries = try shape("layers.0.attention.wq.weight")
    // One of several files looks like a smaller model.
    guard queries[0] == heads * dimension, table[1] == width else {
      let parts = max(1, heads * dimension / max(1, queries[0]))
      throw fields.unexpected(
        "n_heads", "\(heads), and queries of \(queries[0]) outputs",
        expected:
          "\(heads * dimension) outputs: all \(parts) files consolidated.NN.pth of the model")
    }
    // Files of LLaMA 1 and 2 say -1, and mean the tokenizer's.
    if let stated = try fields.statedInt("vocab_size"), stated > 0, stated != table[0] {
      throw fields.unexpected(
        "vocab_size", "\(stated)", expected: "\(table[0]), which the tensors have")
    }
    let base = try fields.double("rope_theta", default: 10_000)
    var json = JSONObject()
    let numbers = [
      ("vocab_size", table[0]), ("hidden_size", width), ("num_hidden_layers", layers),
      ("num_attention_heads", heads),
      ("num_key_value_heads", try fields.int("n_kv_heads", 1...4096, default: heads)),
      ("head_dim", dimension),
      ("intermediate_size", try shape("layers.0.feed_forward.w1.weight")[0]),
    ]
    json.set("model_type", "llama")
    for (key, value) in numbers { json.set(key, .int(value)) }
    _ = try fields.epsilon("norm_eps")
    json.set("rms_norm_eps", .double(try fields.double("norm_eps")))
    json.set("rope_theta", .double(base))
    json.set("tie_word_embeddings", .bool(!names.contains { $0.name == "output.weight" }))
    if let window = try fields.statedInt("sliding_window", 1...maximumContext) {
      json.set("sliding_window", .int(window))
    }
    let isScaled = try fields.bool("use_scaled_rope", default: false)
    if isScaled {
      // The file does not say; LLaMA 3.2's two small models have another factor than 3.1 and 3.3.
      let isSmall = (width, layers) == (2048, 16) || (width, layers) == (3072, 28)
      let factor = try fields.double("rope_scaling_factor", default: isSmall ? 32 : 8)
      json.set(
        "rope_scaling",
        [
          "rope_type": "llama3", "factor": .double(factor), "low_freq_factor": 1,
          "high_freq_factor": 4, "original_max_position_embeddings": 8192,
        ])
      notes.append(
        "params.json says use_scaled_rope: assuming Llama 3's rule with factor \(factor)")
    }
    let context = try metaContext(fields, params, base: base, isScaled: isScaled)
    if context.isGuessed {
      notes.append(
        "params.json does not say how many positions the model was made for: assuming "
          + "\(context.positions)")
    }
    json.set("max_position_embeddings", .int(context.positions))
    // SentencePiece's, or those of Llama 3.
    json.set("eos_token_id", table[0] >= 128_256 ? [128_001, 128_008, 128_009] : 2)
    return .object(json)
  }

  /// Told by what else changed with it from one release to the next.
  private static func metaContext(
    _ fields: ConfigFields, _ params: JSONValue, base: Double, isScaled: Bool
  ) throws(ModelError) -> (positions: Int, isGuessed: Bool) {
    for key in ["max_position_embeddings", "max_seq_len"] where fields.has(key) {
      return (try fields.int(key, 1...maximumContext), false)
    }
    if isScaled { return (131_072, true) }
    if base >= 1_000_000 { return (fields.has("hidden_dim") ? 32_768 : 16_384, true) }
    if base >= 500_000 { return (8192, true) }
    // Mistral 7B states its own width, LLaMA 1 has a smaller ε than LLaMA 2.
    if fields.has("hidden_dim") { return (32_768, true) }
    return (try fields.double("norm_eps") <= 2e-6 ? 2048 : 4096, true)
  }
}
