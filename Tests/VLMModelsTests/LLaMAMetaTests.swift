import Testing
import VLMFoundation
import VLMModels
import VLMTensor
import VLMTestSupport

/// `params.json` of Meta's and Mistral's layout.
struct LLaMAMetaTests {
  static func names(
    queries: Int = 64, output: Bool = true
  ) -> [CheckpointFacts.Name] {
    let names: [CheckpointFacts.Name] = [
      ("tok_embeddings.weight", [96, 64]), ("norm.weight", [64]),
      ("layers.0.attention.wq.weight", [queries, 64]),
      ("layers.0.feed_forward.w1.weight", [172, 64]),
    ]
    return output ? names + [("output.weight", [96, 64])] : names
  }

  private func description(
    _ changes: [(String, JSONValue)] = [], queries: Int = 64, output: Bool = true
  ) throws -> (json: JSONValue, config: LLaMAConfig, notes: [Note]) {
    var params = JSONObject()
    let all: [(String, JSONValue)] = [
      ("dim", 64), ("n_layers", 2), ("n_heads", 8), ("norm_eps", 1e-5), ("vocab_size", -1),
    ]
    for (key, value) in all + changes { params.set(key, value) }
    var notes: [Note] = []
    let json = try LLaMAConfig.description(
      meta: .object(params), names: Self.names(queries: queries, output: output), notes: &notes)
    return (json, try LLaMAConfig(huggingFace: json), notes)
  }

  @Test("what the parameters leave out is taken from the tensors")
  func plain() throws {
    let (_, config, _) = try description([("n_kv_heads", 2)])
    #expect(
      config
        == LLaMAConfig(
          vocabulary: 96, hidden: 64, layers: 2, heads: 8, keyValueHeads: 2, headDimension: 8,
          feedForward: 172, epsilon: 1e-5, contextLength: 4096))
    #expect(try description(output: false).config.tiedEmbeddings)
  }

  static let contexts: [(changes: [(String, JSONValue)], positions: Int, isSaid: Bool)] = [
    ([("norm_eps", 1e-6)], 2048, true), ([], 4096, true), ([("rope_theta", 500_000)], 8192, true),
    ([("rope_theta", 1_000_000)], 16_384, true),
    ([("rope_theta", 1_000_000), ("hidden_dim", 172)], 32_768, true),
    ([("rope_theta", 500_000), ("use_scaled_rope", true)], 131_072, true),
    ([("max_seq_len", 1024)], 1024, false),
    ([("hidden_dim", 172), ("sliding_window", 4096)], 32_768, true),
  ]

  @Test(
    "the positions are those of the release, and said where they are assumed", arguments: contexts)
  func context(changes: [(String, JSONValue)], positions: Int, isSaid: Bool) throws {
    let (_, config, notes) = try description(changes)
    #expect(config.contextLength == positions)
    #expect(notes.contains { $0.contains("how many positions") } == isSaid)
  }

  @Test("Llama 3.1's rotation has the factor of the release, and it is said")
  func scaled() throws {
    let (_, config, notes) = try description([
      ("rope_theta", 500_000), ("use_scaled_rope", true),
    ])
    #expect(config.ropeBase == 500_000)
    #expect(
      config.ropeScaling
        == .llama3(factor: 8, lowFrequency: 1, highFrequency: 4, original: 8192))
    #expect(notes.contains { $0.contains("use_scaled_rope") })
  }

  @Test("one of several files, and what is no LLaMA, are refused by the field")
  func refused() throws {
    func field(_ changes: [(String, JSONValue)], queries: Int = 64) -> String? {
      let error = thrownError(ModelError.self) { try description(changes, queries: queries) }
      guard case .configuration(let field, _, _)? = error?.problem else { return nil }
      return field
    }
    for key in ["moe", "vision_encoder", "quantization_args"] {
      #expect(field([(key, ["a": 1])])?.hasSuffix(key) == true)
    }
    #expect(field([], queries: 16)?.hasSuffix("n_heads") == true)
    #expect(field([("vocab_size", 97)])?.hasSuffix("vocab_size") == true)
    #expect(field([("dim", -1)])?.hasSuffix("dim") == true)
    #expect(field([("n_heads", 0)])?.hasSuffix("n_heads") == true)
  }

  @Test("queries and keys are stored for a rotation of neighbours, tables of the rotation left out")
  func rows() throws {
    let json = try description().json
    let names =
      Self.names() + [
        ("layers.0.attention.wk.weight", [64, 64]), ("rope.freqs", [4]),
        ("layers.0.attention.inner_attention.rope.freqs", [4]), ("extra.weight", [1]),
      ]
    let found = try ModelCheckpoint.recognise(CheckpointFacts(names: names, description: json))
    let model = try #require(found)
    #expect(model.naming == "meta")
    #expect(model.unused == ["extra.weight"])
    #expect(model.tensors["layers.0.self_attn.q_proj.weight"]?.rows == .interleavedRotary(heads: 8))
    #expect(model.tensors["layers.0.self_attn.k_proj.weight"]?.rows == .interleavedRotary(heads: 8))
    #expect(model.tensors["layers.0.mlp.gate_proj.weight"]?.rows == .stored)
  }
}
