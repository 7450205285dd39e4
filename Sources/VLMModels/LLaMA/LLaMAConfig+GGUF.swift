import VLMNN
import VLMTensor

extension LLaMAConfig {
  /// Values of `general.architecture` that are this arithmetic.
  private static let ggufArchitectures = ["llama", "qwen2"]

  /// Reads the metadata of a GGUF file, keys with their dots as members of one object.
  ///
  /// - Throws: `ModelError` naming the key.
  init(gguf json: JSONValue, names: [CheckpointFacts.Name]) throws(ModelError) {
    let fields = ConfigFields(json, path: "gguf")
    let name = try fields.string("general.architecture")
    guard Self.ggufArchitectures.contains(name) else {
      throw fields.unexpected(
        "general.architecture", name,
        expected: Self.ggufArchitectures.joined(separator: " or "))
    }
    func key(_ rest: String) -> String { "\(name).\(rest)" }
    let heads = try fields.int(key("attention.head_count"), 1...4096)
    let hidden = try fields.int(key("embedding_length"), 1...TensorFormat.maximumInputs)
    let dimension = try fields.int(
      key("attention.key_length"), 2...1024, default: max(2, min(1024, hidden / heads)))
    let rotated = try fields.int(key("rope.dimension_count"), 2...1024, default: dimension)
    guard rotated == dimension else {
      throw fields.unexpected(
        key("rope.dimension_count"), "\(rotated)", expected: "\(dimension), the whole head")
    }
    if try fields.int(key("expert_count"), 0...1_000_000, default: 0) > 0 {
      throw fields.unexpected(key("expert_count"), "experts", expected: "none")
    }
    if names.contains(where: { $0.name == "rope_freqs.weight" }) {
      throw fields.unexpected(
        "rope_freqs.weight", "a table of frequencies",
        expected: "none: convert the checkpoint "
          + "that this file was made from")
    }
    func has(_ name: String) -> Bool { names.contains { $0.name == name } }
    let table = names.first { $0.name == "token_embd.weight" }
    let context = try fields.int(key("context_length"), 1...Self.maximumContext, default: 2048)
    self.init(
      vocabulary: table?.shape.first ?? 0, hidden: hidden,
      layers: try fields.int(key("block_count"), 1...1000), heads: heads,
      keyValueHeads: try fields.int(key("attention.head_count_kv"), 1...4096, default: heads),
      headDimension: dimension,
      feedForward: try fields.int(key("feed_forward_length"), 1...TensorFormat.maximumInputs),
      epsilon: Float(try fields.double(key("attention.layer_norm_rms_epsilon"))),
      ropeBase: try fields.double(key("rope.freq_base"), default: 10_000),
      ropeScaling: try Self.scaling(fields, key("rope.scaling"), context),
      tiedEmbeddings: !has("output.weight"), attentionBias: has("blk.0.attn_q.bias"),
      outputBias: has("blk.0.attn_output.bias"), feedForwardBias: has("blk.0.ffn_gate.bias"),
      contextLength: context)
    try validate()
  }

  private static func scaling(
    _ fields: ConfigFields, _ key: String, _ context: Int
  ) throws(ModelError) -> RotaryScaling {
    guard fields.has(key + ".type") else { return .none }
    switch try fields.string(key + ".type") {
    case "none": return .none
    case "linear": return .linear(factor: try fields.double(key + ".factor"))
    case let other:
      throw fields.unexpected(key + ".type", other, expected: "none or linear")
    }
  }
}
