import Testing
import VLMFoundation
import VLMTensor

@testable import VLMModels

/// A LLaMA's configuration and tensors from the metadata and names of GGUF.
struct LLaMAGGUFTests {
  static let metadata: [(String, JSONValue)] = [
    ("general.architecture", "llama"), ("llama.block_count", 1), ("llama.context_length", 512),
    ("llama.embedding_length", 32), ("llama.feed_forward_length", 48),
    ("llama.attention.head_count", 4), ("llama.attention.head_count_kv", 2),
    ("llama.rope.dimension_count", 8), ("llama.attention.layer_norm_rms_epsilon", 1e-5),
  ]

  static let names: [CheckpointFacts.Name] = [
    ("token_embd.weight", [100, 32]), ("output_norm.weight", [32]),
    ("blk.0.attn_norm.weight", [32]), ("blk.0.ffn_norm.weight", [32]),
    ("blk.0.attn_q.weight", [32, 32]), ("blk.0.attn_k.weight", [16, 32]),
    ("blk.0.attn_v.weight", [16, 32]), ("blk.0.attn_output.weight", [32, 32]),
    ("blk.0.ffn_gate.weight", [48, 32]), ("blk.0.ffn_up.weight", [48, 32]),
    ("blk.0.ffn_down.weight", [32, 48]),
  ]

  private func description(_ changes: [String: JSONValue] = [:]) -> JSONValue {
    var object = JSONObject()
    for (key, value) in Self.metadata { object.set(key, value) }
    for (key, value) in changes { object.set(key, value) }
    return .object(object)
  }

  private func recognise(
    _ changes: [String: JSONValue] = [:], _ more: [CheckpointFacts.Name] = []
  ) throws(ModelError) -> ModelCheckpoint? {
    try ModelCheckpoint.recognise(
      CheckpointFacts(names: Self.names + more, description: description(changes)))
  }

  private func config(_ changes: [String: JSONValue]) throws -> LLaMAConfig {
    let found = try recognise(changes)?.description
    guard let config = found?.config as? LLaMAConfig else {
      throw ModelError(.missingTensor("a LLaMA"))
    }
    return config
  }

  private func refusal(
    _ changes: [String: JSONValue], _ more: [CheckpointFacts.Name] = []
  ) -> String {
    do throws(ModelError) {
      _ = try recognise(changes, more)
      return "nothing"
    } catch {
      return error.description
    }
  }

  @Test("a number of tokens that the embedding does not have is refused")
  func vocabulary() throws {
    #expect(try config(["llama.vocab_size": 100]).vocabulary == 100)
    let text = refusal(["llama.vocab_size": 101])
    #expect(text.contains("llama.vocab_size"), "\(text)")
    #expect(text.contains("100, the rows of token_embd.weight"), "\(text)")
  }

  @Test("metadata becomes the configuration, and names are translated with the order of rows")
  func plain() throws {
    let model = try #require(try recognise())
    #expect(
      model.description
        == ModelDescription(
          LLaMAFamily.self,
          LLaMAConfig(
            vocabulary: 100, hidden: 32, layers: 1, heads: 4, keyValueHeads: 2, headDimension: 8,
            feedForward: 48, epsilon: 1e-5, tiedEmbeddings: true, contextLength: 512)))
    #expect(model.naming == "gguf")
    #expect(model.unused.isEmpty)
    let query = model.tensors["layers.0.self_attn.q_proj.weight"]
    #expect(query?.original == "blk.0.attn_q.weight")
    #expect(query?.rows == .interleavedRotary(heads: 4))
    #expect(
      model.tensors["layers.0.self_attn.k_proj.weight"]?.rows == .interleavedRotary(heads: 2))
    #expect(model.tensors["layers.0.self_attn.v_proj.weight"]?.rows == .stored)
    let manifest = try model.description.manifest()
    #expect(Set(manifest.map(\.path)) == Set(model.tensors.keys))
    for spec in manifest { #expect(model.tensors[spec.path]?.shape == spec.shape) }
  }

  @Test("an output matrix of its own is the head")
  func untied() throws {
    let model = try #require(try recognise([:], [("output.weight", [100, 32])]))
    #expect(model.tensors["lm_head.weight"]?.original == "output.weight")
    guard let config = model.description.config as? LLaMAConfig else {
      Issue.record("\(model.description)")
      return
    }
    #expect(!config.tiedEmbeddings)
  }

  @Test("qwen2 keeps its rows, and another architecture is refused by its name")
  func architectures() throws {
    var changes: [String: JSONValue] = ["general.architecture": "qwen2"]
    for (key, value) in Self.metadata where key.hasPrefix("llama.") {
      changes["qwen2." + key.dropFirst(6)] = value
    }
    let model = try #require(try recognise(changes))
    #expect(model.tensors["layers.0.self_attn.q_proj.weight"]?.rows == .stored)
    #expect(refusal(["general.architecture": "gemma3n"]).contains("gemma3n"))
    let bert = CheckpointFacts(
      names: [("blk.0.attn_q.weight", [4, 4])], description: ["general.architecture": "bert"])
    do throws(ModelError) {
      _ = try ModelCheckpoint.recognise(bert)
      Issue.record("bert was taken for something")
    } catch {
      #expect(error.description.contains("bert"))
    }
  }

  @Test("rotation: base, linear and YaRN scaling")
  func rotation() throws {
    let linear = try config([
      "llama.rope.freq_base": 500000.0, "llama.rope.scaling.type": "linear",
      "llama.rope.scaling.factor": 4.0,
    ])
    #expect(linear.ropeBase == 500000)
    #expect(linear.ropeScaling == .linear(factor: 4))
    #expect(try config(["llama.rope.scale_linear": 2.0]).ropeScaling == .linear(factor: 2))
    #expect(try config(["llama.rope.scaling.type": "none"]).ropeScaling == .none)
    let yarn = try config([
      "llama.rope.scaling.type": "yarn", "llama.rope.scaling.factor": 1.0,
      "llama.rope.scaling.original_context_length": 256,
    ])
    #expect(
      yarn.ropeScaling
        == .yarn(
          RotaryScaling.YaRN(
            factor: 1, original: 256, betaFast: 32, betaSlow: 1, attention: 1, truncate: true)))
    #expect(refusal(["llama.rope.scaling.type": "longrope"]).contains("longrope"))
  }

  /// What a converter stores of a rule: divisors as 32-bit floats.
  private func divisors(_ rule: RotaryScaling, base: Double, dimension: Int) -> [JSONValue] {
    let plain = RotaryScaling.none.frequencies(base: base, dimension: dimension, length: 1)
    let scaled = rule.frequencies(base: base, dimension: dimension, length: 1)
    return zip(plain, scaled).map { .double(Double(Float($0 / $1))) }
  }

  @Test("stored divisors of frequencies are traced back to Llama 3.1's rule, others refused")
  func frequencies() throws {
    let key = LLaMAConfig.ggufFrequencies
    let table: [CheckpointFacts.Name] = [(key, [4])]
    for (factor, original) in [(8.0, 8192), (32.0, 8192), (4.0, 4096)] {
      let rule = RotaryScaling.llama3(
        factor: factor, lowFrequency: 1, highFrequency: 4, original: original)
      let values = divisors(rule, base: 500_000, dimension: 64)
      let found = LLaMAConfig.rule(
        of: values.compactMap(\.doubleValue), base: 500_000, dimension: 64)
      #expect(found == rule)
    }
    let ones: JSONValue = .array([1.0, 1.0, 1.0, 1.0])
    guard let config = try recognise([key: ones], table)?.description.config as? LLaMAConfig else {
      Issue.record("no LLaMA")
      return
    }
    #expect(config.ropeScaling == .none)
    let wrong: [JSONValue] = [
      .array([1.0, 1.5, 1.7, 2.5]), .array([1.0, 1.0]), .array([]), "none",
      .array([1.0, 1.0, 0.0, 1.0]), .array([-1.0, 1.0, 1.0, 1.0]),
    ]
    for values in wrong { #expect(refusal([key: values], table).contains(key)) }
    let both: [String: JSONValue] = [
      key: ones, "llama.rope.scaling.type": "linear", "llama.rope.scaling.factor": 4.0,
    ]
    #expect(refusal(both, table).contains(key))
  }

  @Test("a part of a head that is not turned, values of another width and experts are refused")
  func otherArithmetic() {
    let cases: [(String, JSONValue)] = [
      ("llama.rope.dimension_count", 4), ("llama.attention.value_length", 16),
      ("llama.expert_count", 8), ("llama.attention.head_count", 0),
      ("llama.attention.head_count", .array([4])), ("llama.block_count", 1_000_000),
      ("llama.embedding_length", -1), ("llama.attention.layer_norm_rms_epsilon", "small"),
    ]
    for (key, value) in cases { #expect(refusal([key: value]).contains(key), "\(key)") }
  }

  @Test("a tensor that LLaMA does not have counts as unexpected")
  func unknownTensors() throws {
    let model = try #require(try recognise([:], [("blk.0.attn_sub_norm.weight", [8])]))
    #expect(model.unexpected == ["blk.0.attn_sub_norm.weight"])
    #expect(model.unused == model.unexpected)
  }
}
