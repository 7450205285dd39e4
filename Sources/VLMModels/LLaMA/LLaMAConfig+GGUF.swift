import VLMFoundation
import VLMTensor

#if canImport(Glibc)
  import Glibc
#endif

extension LLaMAConfig {
  /// The tensor that holds what each frequency is divided by, and the key of the description under
  /// which its values are given.
  package static let ggufFrequencies = "rope_freqs.weight"
  /// The same of LongRoPE, for sequences beyond the original length and up to it.
  static let ggufLongFactors = "rope_factors_long.weight"
  static let ggufShortFactors = "rope_factors_short.weight"
  /// Every tensor whose values the description gives.
  package static let ggufFactors = [ggufFrequencies, ggufLongFactors, ggufShortFactors]

  /// Refuses the metadata of a GGUF file that holds another architecture, by its name.
  static func checkGGUF(_ json: JSONValue) throws(ModelError) {
    let key = "general.architecture"
    let fields = ConfigFields(json, path: "gguf")
    guard let name = try fields.statedString(key), Decoders.gguf(named: name) == nil else { return }
    throw fields.unexpected(
      key, name,
      expected: Registry.alternatives(Decoders.all.flatMap { $0.ggufNames })
        + ": no other kind of GGUF is read")
  }

  /// Reads the metadata of a GGUF file, keys with their dots as members of one object.
  ///
  /// - Throws: `ModelError` naming the key.
  init(gguf json: JSONValue, names: [CheckpointFacts.Name]) throws(ModelError) {
    let fields = ConfigFields(json, path: "gguf")
    try Self.checkGGUF(json)
    let name = try fields.string("general.architecture")
    guard let architecture = Decoders.gguf(named: name) else {
      throw fields.unexpected("general.architecture", name, expected: "that of a decoder")
    }
    let gguf = GGUFFields(fields: fields, name: name)
    let heads = try gguf.int("attention.head_count", 1...4096)
    let hidden = try gguf.int("embedding_length", 1...TensorFormat.maximumInputs)
    let dimension = try gguf.int(
      "attention.key_length", 2...1024, default: max(2, min(1024, hidden / heads)))
    let values = try gguf.int("attention.value_length", 2...1024, default: dimension)
    guard values == dimension else {
      throw fields.unexpected(
        gguf.key("attention.value_length"), "\(values)", expected: "\(dimension), as of the keys")
    }
    if try gguf.int("expert_count", 0...1_000_000, default: 0) > 0 {
      throw fields.unexpected(gguf.key("expert_count"), "experts", expected: "none")
    }
    try ConfigKeys.gguf.adding(free: architecture.ggufKeys)
      .check(json.members(behind: name + "."), "gguf.\(name)")
    func has(_ name: String) -> Bool { names.contains { $0.name == name } }
    let table = names.first { $0.name == "token_embd.weight" }
    let rows = try fields.statedInt(gguf.key("vocab_size"))
    if let rows, let found = table?.shape.first, rows != found {
      throw fields.unexpected(
        gguf.key("vocab_size"), "\(rows)", expected: "\(found), the rows of token_embd.weight")
    }
    let context = try gguf.int("context_length", 1...Self.maximumContext, default: 2048)
    let usual = architecture.usual
    let base = try gguf.statedDouble("rope.freq_base") ?? usual.ropeBase
    self.init(
      vocabulary: table?.shape.first ?? 0, hidden: hidden,
      layers: try gguf.int("block_count", 1...1000), heads: heads,
      keyValueHeads: try gguf.int("attention.head_count_kv", 1...4096, default: heads),
      headDimension: dimension,
      feedForward: try gguf.int("feed_forward_length", 1...TensorFormat.maximumInputs),
      epsilon: try fields.epsilon(gguf.key("attention.layer_norm_rms_epsilon")),
      ropeBase: base,
      tiedEmbeddings: !has("output.weight"), attentionBias: has("blk.0.attn_q.bias"),
      outputBias: has("blk.0.attn_output.bias"), feedForwardBias: has("blk.0.ffn_gate.bias"),
      contextLength: context)
    traits.activation = usual.activation
    if !architecture.scalesByItself {
      ropeScaling = try Self.scaling(
        json, fields, gguf.key("rope."), context: context, base: base, dimension: dimension)
      for factors in [Self.ggufLongFactors, Self.ggufShortFactors] where fields.has(factors) {
        throw fields.unexpected(factors, "divisors of frequencies", expected: "none")
      }
    }
    try architecture.adapt(&self, to: gguf)
    let rotated = try gguf.int("rope.dimension_count", 2...1024, default: dimension)
    guard rotated == rotaryDimension else {
      throw fields.unexpected(
        gguf.key("rope.dimension_count"), "\(rotated)", expected: "\(dimension), the whole head")
    }
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
    for power in 3...20 {
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
