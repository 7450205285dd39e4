import VLMFoundation
import VLMTensor

#if canImport(Glibc)
  import Glibc
#endif

extension LLaMAConfig {
  /// Values of `general.architecture` that are this arithmetic.
  private static let ggufArchitectures = ["llama", "qwen2"]

  /// The tensor that holds what each frequency is divided by, and the key of the description under
  /// which its values are given.
  package static let ggufFrequencies = "rope_freqs.weight"

  /// Refuses the metadata of a GGUF file that holds another architecture, by its name.
  static func checkGGUF(_ json: JSONValue) throws(ModelError) {
    let key = "general.architecture"
    let fields = ConfigFields(json, path: "gguf")
    guard let name = try fields.statedString(key), !ggufArchitectures.contains(name) else { return }
    throw fields.unexpected(
      key, name,
      expected: ggufArchitectures.joined(separator: " or ")
        + " (LLaMA, Vicuna, Mistral, TinyLlama, SmolLM2, Qwen 2): no other kind of GGUF is read")
  }

  /// Reads the metadata of a GGUF file, keys with their dots as members of one object.
  ///
  /// - Throws: `ModelError` naming the key.
  init(gguf json: JSONValue, names: [CheckpointFacts.Name]) throws(ModelError) {
    let fields = ConfigFields(json, path: "gguf")
    try Self.checkGGUF(json)
    let name = try fields.string("general.architecture")
    func key(_ rest: String) -> String { "\(name).\(rest)" }
    let heads = try fields.int(key("attention.head_count"), 1...4096)
    let hidden = try fields.int(key("embedding_length"), 1...TensorFormat.maximumInputs)
    let dimension = try fields.int(
      key("attention.key_length"), 2...1024, default: max(2, min(1024, hidden / heads)))
    let values = try fields.int(key("attention.value_length"), 2...1024, default: dimension)
    guard values == dimension else {
      throw fields.unexpected(
        key("attention.value_length"), "\(values)", expected: "\(dimension), as of the keys")
    }
    let rotated = try fields.int(key("rope.dimension_count"), 2...1024, default: dimension)
    guard rotated == dimension else {
      throw fields.unexpected(
        key("rope.dimension_count"), "\(rotated)", expected: "\(dimension), the whole head")
    }
    if try fields.int(key("expert_count"), 0...1_000_000, default: 0) > 0 {
      throw fields.unexpected(key("expert_count"), "experts", expected: "none")
    }
    try ConfigKeys.gguf.check(json.members(behind: name + "."), "gguf.\(name)")
    func has(_ name: String) -> Bool { names.contains { $0.name == name } }
    let table = names.first { $0.name == "token_embd.weight" }
    let positions = try fields.int(key("context_length"), 1...Self.maximumContext, default: 2048)
    // Positions that a query sees at most; 0 for all.
    let window = try fields.int(key("attention.sliding_window"), 0...Int(UInt32.max), default: 0)
    let context = window > 0 ? min(positions, window) : positions
    let base = try fields.double(key("rope.freq_base"), default: 10_000)
    self.init(
      vocabulary: table?.shape.first ?? 0, hidden: hidden,
      layers: try fields.int(key("block_count"), 1...1000), heads: heads,
      keyValueHeads: try fields.int(key("attention.head_count_kv"), 1...4096, default: heads),
      headDimension: dimension,
      feedForward: try fields.int(key("feed_forward_length"), 1...TensorFormat.maximumInputs),
      epsilon: try fields.epsilon(key("attention.layer_norm_rms_epsilon")),
      ropeBase: base,
      ropeScaling: try Self.scaling(
        json, fields, key("rope."), context: positions, base: base, dimension: dimension),
      tiedEmbeddings: !has("output.weight"), attentionBias: has("blk.0.attn_q.bias"),
      outputBias: has("blk.0.attn_output.bias"), feedForwardBias: has("blk.0.ffn_gate.bias"),
      contextLength: context)
    try validate()
  }

  /// - Parameter prefix: of the keys that tell about the rotation.
  private static func scaling(
    _ json: JSONValue, _ fields: ConfigFields, _ prefix: String, context: Int, base: Double,
    dimension: Int
  ) throws(ModelError) -> RotaryScaling {
    let key = prefix + "scaling."
    func divisorsExpected() -> ModelError {
      fields.unexpected(
        ggufFrequencies, "divisors of frequencies",
        expected: "those of Llama 3.1's rule for \(dimension / 2) frequencies, and no other rule")
    }
    var scaling = RotaryScaling.none
    switch fields.has(key + "type") ? try fields.string(key + "type") : "none" {
    case "none":
      // The key of files from before there were types.
      let factor = try fields.double(prefix + "scale_linear", default: 1)
      if factor != 1 { scaling = .linear(factor: factor) }
    case "linear": scaling = .linear(factor: try fields.double(key + "factor"))
    case "yarn":
      let factor = try fields.double(key + "factor")
      let magnitude = factor <= 1 ? 1 : 0.1 * log(factor) + 1
      scaling = .yarn(
        RotaryScaling.YaRN(
          factor: factor,
          original: try fields.int(
            key + "original_context_length", 1...maximumContext, default: context),
          betaFast: try fields.double(key + "yarn_beta_fast", default: 32),
          betaSlow: try fields.double(key + "yarn_beta_slow", default: 1),
          attention: try fields.double(key + "attn_factor", default: 1) * magnitude,
          truncate: true))
    case let other:
      throw fields.unexpected(key + "type", other, expected: "none, linear or yarn")
    }
    guard let array = json[ggufFrequencies] else { return scaling }
    let divisors = (array.arrayValue ?? []).compactMap(\.doubleValue)
    guard scaling == .none, divisors.count == dimension / 2,
      let rule = rule(of: divisors, base: base, dimension: dimension)
    else { throw divisorsExpected() }
    return rule
  }

  /// The rule that makes these divisors of frequencies; nil when none is known to.
  ///
  /// Converters evaluate Llama 3.1's rule and store the outcome alone. Its factor is the largest
  /// divisor; the limits are 1 and 4 turns in all published models, and the original context is a
  /// power of two: so few candidates that trying them is exact.
  static func rule(of divisors: [Double], base: Double, dimension: Int) -> RotaryScaling? {
    guard let factor = divisors.max(), factor.isFinite, base > 1 else { return nil }
    func fits(_ scaling: RotaryScaling) -> Bool {
      let plain = RotaryScaling.none.frequencies(base: base, dimension: dimension, length: 1)
      let scaled = scaling.frequencies(base: base, dimension: dimension, length: 1)
      return divisors.indices.allSatisfy { index in
        let expected = plain[index] / scaled[index]
        return abs(divisors[index] - expected) <= 1e-5 * expected
      }
    }
    if fits(.none) { return RotaryScaling.none }
    guard factor > 1 else { return nil }
    for power in 9...20 {
      let candidate = RotaryScaling.llama3(
        factor: factor, lowFrequency: 1, highFrequency: 4, original: 1 << power)
      if fits(candidate) { return candidate }
    }
    return nil
  }
}

extension JSONValue {
  /// The members whose keys begin with `prefix`, without it.
  func members(behind prefix: String) -> JSONValue {
    var result = JSONObject()
    for member in objectValue?.members ?? [] {
      if let key = member.key.dropping(prefix) { result.set(String(key), member.value) }
    }
    return .object(result)
  }
}
