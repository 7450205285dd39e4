import Testing
import VLMFoundation
import VLMModels
import VLMTensor

struct LLaMAConfigTests {
  static let vicuna: JSONValue = [
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 4096,
    "intermediate_size": 11008, "num_hidden_layers": 32, "num_attention_heads": 32,
    "num_key_value_heads": 32, "vocab_size": 32000, "rms_norm_eps": 1e-5,
    "max_position_embeddings": 4096, "hidden_act": "silu", "rope_scaling": .null,
    "tie_word_embeddings": false,
  ]

  static func changed(_ key: String, _ value: JSONValue?) -> JSONValue {
    var object = JSONObject()
    for member in vicuna.objectValue?.members ?? [] where member.key != key {
      object.set(member.key, member.value)
    }
    if let value { object.set(key, value) }
    return .object(object)
  }

  private func error(_ json: JSONValue) -> String? {
    do throws(ModelError) {
      _ = try LLaMAConfig(huggingFace: json)
      return nil
    } catch { return error.description }
  }

  @Test("Vicuna's description is read, and goes through the container's JSON unchanged")
  func vicuna() throws {
    let config = try LLaMAConfig(huggingFace: Self.vicuna)
    #expect(config.headDimension == 128)
    #expect(config.ropeBase == 10_000)
    #expect(config.epsilon == 1e-5)
    #expect(config.ropeScaling == .none)
    #expect(!config.attentionBias)
    #expect(try LLaMAConfig(json: config.json) == config)
  }

  @Test("a missing epsilon is refused, not guessed")
  func epsilon() {
    #expect(
      error(Self.changed("rms_norm_eps", nil))
        == "config: config.json.rms_norm_eps: found nothing, expected a number")
  }

  static let scalings: [(JSONValue, RotaryScaling)] = [
    (["type": "linear", "factor": 4.0], .linear(factor: 4)),
    (["rope_type": "dynamic", "factor": 2.0], .dynamic(factor: 2, original: 4096)),
    (
      [
        "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192,
      ], .llama3(factor: 8, lowFrequency: 1, highFrequency: 4, original: 8192)
    ),
    (
      ["type": "yarn", "factor": 1.0, "original_max_position_embeddings": 2048],
      .yarn(RotaryScaling.YaRN(factor: 1, original: 2048, attention: 1))
    ),
    (["rope_type": "default"], .none),
  ]

  @Test("scalings are read by name, and kept", arguments: 0..<5)
  func scaling(_ index: Int) throws {
    let (json, want) = Self.scalings[index]
    let config = try LLaMAConfig(huggingFace: Self.changed("rope_scaling", json))
    #expect(config.ropeScaling == want)
    #expect(try LLaMAConfig(json: config.json) == config)
  }

  @Test("what is another arithmetic is refused by name")
  func others() {
    let longrope: JSONValue = ["rope_type": "longrope", "factor": 2.0]
    for (key, value, text) in [
      ("architectures", JSONValue.array(["GemmaForCausalLM"]), "'GemmaForCausalLM'"),
      ("model_type", "mixtral", "'mixtral'"), ("hidden_act", "gelu", "'gelu'"),
      ("rope_scaling", longrope, "'longrope'"), ("partial_rotary_factor", 0.5, "'0.5'"),
    ] {
      let found = error(Self.changed(key, value))
      #expect(found?.contains(text) ?? false, "\(key): \(found ?? "accepted")")
    }
  }

  @Test("a sliding window is every layer's, unless it is switched off")
  func window() throws {
    var json = Self.changed("sliding_window", 1024)
    let config = try LLaMAConfig(huggingFace: json)
    #expect(config.contextLength == 4096)
    #expect(config.traits.layers == Array(repeating: LayerTraits(window: 1024), count: 32))
    var object = json.objectValue ?? JSONObject()
    object.set("use_sliding_window", false)
    json = .object(object)
    #expect(try LLaMAConfig(huggingFace: json).traits == DecoderTraits())
  }

  @Test("Qwen 2 has biases for queries, keys and values only")
  func qwen() throws {
    var object = Self.vicuna.objectValue ?? JSONObject()
    object.set("architectures", ["Qwen2ForCausalLM"])
    object.set("model_type", "qwen2")
    let config = try LLaMAConfig(huggingFace: .object(object))
    #expect(config.attentionBias)
    #expect(!config.outputBias)
  }

  static let hostile: [(String, JSONValue)] = [
    ("hidden_size", 0), ("hidden_size", -1), ("hidden_size", 9_223_372_036_854_775_807),
    ("hidden_size", "4096"), ("num_attention_heads", 0), ("num_attention_heads", 3),
    ("num_attention_heads", 65_536), ("num_key_value_heads", 0), ("num_key_value_heads", 5),
    ("num_key_value_heads", 64), ("head_dim", 0), ("head_dim", 7), ("head_dim", 100_000),
    ("head_dim", 3072), ("vocab_size", 0), ("vocab_size", 9_223_372_036_854_775_807),
    ("num_hidden_layers", 0), ("num_hidden_layers", 1_000_000), ("intermediate_size", 0),
    ("intermediate_size", 70_000), ("rms_norm_eps", 0), ("rms_norm_eps", -1e-5),
    ("rms_norm_eps", 1e300), ("rope_theta", 0), ("rope_theta", -1), ("rope_theta", 1e300),
    ("max_position_embeddings", 0), ("max_position_embeddings", 9_223_372_036_854_775_807),
    ("sliding_window", 0), ("rope_scaling", "linear"), ("rope_scaling", ["type": "linear"]),
    ("rope_scaling", ["type": "linear", "factor": 0]),
    ("rope_scaling", ["type": "linear", "factor": 1e300]),
    (
      "rope_scaling",
      [
        "rope_type": "llama3", "factor": 8, "low_freq_factor": 4, "high_freq_factor": 4,
      ]
    ),
    ("rope_scaling", ["rope_type": "yarn", "factor": 2, "beta_slow": 0]),
    ("rope_scaling", ["rope_type": "yarn", "factor": 2, "beta_fast": 0.5]),
    ("tie_word_embeddings", "yes"), ("attention_bias", 1),
  ]

  @Test("numbers that no model has are refused, naming the field", arguments: 0..<hostile.count)
  func refused(_ index: Int) throws {
    let (key, value) = Self.hostile[index]
    let found = try #require(error(Self.changed(key, value)), "\(key) \(value.serialized())")
    #expect(found.hasPrefix("config: "))
  }

  @Test("every field of the container's JSON is required")
  func required() throws {
    let whole = try LLaMAConfig(huggingFace: Self.vicuna).json
    for key in whole.objectValue?.keys ?? [] {
      var object = JSONObject()
      for member in whole.objectValue?.members ?? [] where member.key != key {
        object.set(member.key, member.value)
      }
      do throws(ModelError) {
        _ = try LLaMAConfig(json: .object(object))
        Issue.record("\(key) may be left out")
      } catch { #expect(error.description.contains("llama.\(key)")) }
    }
  }

  @Test("frequencies: the base alone, and what each scaling makes of it")
  func frequencies() {
    func at(_ scaling: RotaryScaling, _ length: Int = 1) -> [Double] {
      scaling.frequencies(base: 10_000, dimension: 8, length: length)
    }
    func near(_ a: [Double], _ b: [Double]) -> Bool {
      zip(a, b).allSatisfy { abs($0 - $1) < 1e-9 } && a.count == b.count
    }
    #expect(near(at(.none), [1, 0.1, 0.01, 0.001]))
    #expect(near(at(.linear(factor: 4)), [0.25, 0.025, 0.0025, 0.00025]))
    #expect(at(.dynamic(factor: 2, original: 64), 64) == at(.none))
    let llama3 = RotaryScaling.llama3(
      factor: 8, lowFrequency: 1, highFrequency: 4, original: 1000)
    let turns = 1000 * 0.01 / (2 * Double.pi)
    let blend = (turns - 1) / 3
    #expect(
      near(at(llama3), [1, 0.1, (1 - blend) * 0.01 / 8 + blend * 0.01, 0.001 / 8]))
  }
}

struct LLaMANamingTests {
  @Test("transformers' names are ours without their prefix")
  func huggingFace() {
    let naming = LLaMANaming.huggingFace
    #expect(naming.match("model.embed_tokens.weight") == .tensor("embed_tokens.weight"))
    #expect(naming.match("lm_head.weight") == .tensor("lm_head.weight"))
    #expect(
      naming.match("model.layers.11.self_attn.k_proj.bias")
        == .tensor("layers.11.self_attn.k_proj.bias"))
    #expect(naming.match("model.layers.0.self_attn.rotary_emb.inv_freq") == .derived)
    #expect(
      naming.match("model.layers.0.self_attn.q_norm.weight")
        == .tensor("layers.0.self_attn.q_norm.weight"))
    #expect(
      naming.match("model.layers.2.mlp.gate_up_proj.weight")
        == .fused(["layers.2.mlp.gate_proj.weight", "layers.2.mlp.up_proj.weight"]))
    #expect(naming.match("model.layers.0.self_attn.qkv_proj.bias") == .unused)
    #expect(naming.match("model.layers.x.mlp.up_proj.weight") == .unused)
    #expect(naming.match("model.mm_projector.0.weight") == .unused)
  }

  @Test("llama.cpp's names are translated")
  func gguf() {
    let naming = LLaMANaming.gguf
    #expect(naming.match("token_embd.weight") == .tensor("embed_tokens.weight"))
    #expect(naming.match("output.weight") == .tensor("lm_head.weight"))
    #expect(
      naming.match("blk.3.attn_output.weight") == .tensor("layers.3.self_attn.o_proj.weight"))
    #expect(
      naming.match("blk.3.ffn_norm.weight") == .tensor("layers.3.post_attention_layernorm.weight"))
    #expect(
      naming.match("blk.3.ffn_norm.weight", norms: .around)
        == .tensor("layers.3.pre_feedforward_layernorm.weight"))
    #expect(naming.match("blk.3.post_ffw_norm.weight") == .unused)
    #expect(naming.match("blk.3.ffn_gate_exps.weight") == .unused)
    #expect(naming.match("rope_freqs.weight") == .unused)
  }

  @Test("a naming is found by the gated layers")
  func detect() {
    #expect(LLaMANaming.detect(["a", "model.layers.0.mlp.gate_proj.weight"]) == .huggingFace)
    #expect(LLaMANaming.detect(["layers.0.mlp.gate_proj.weight"]) == .bare)
    #expect(LLaMANaming.detect(["blk.0.ffn_gate.weight"]) == .gguf)
    #expect(LLaMANaming.detect(["blk.0.attn_qkv.weight"]) == .gguf)
    #expect(LLaMANaming.detect(["model.layers.0.mlp.gate_up_proj.weight"]) == .huggingFace)
    #expect(LLaMANaming.detect(["stages.0.blocks.0.conv_dw.weight"]) == nil)
  }
}
