import Testing
import VLMFoundation
import VLMTensor
import VLMTestSupport

@testable import VLMModels

/// Keys of descriptions that would be another model, and those that would not.
struct ConfigKeysTests {
  private func refusal(_ keys: ConfigKeys, _ key: String, _ value: JSONValue) -> ModelError? {
    var object = JSONObject()
    object.set(key, value)
    do throws(ModelError) {
      try keys.check(.object(object), "config.json")
      return nil
    } catch { return error }
  }

  @Test("what transformers' classes write of themselves is known")
  func defaults() throws {
    let all = try TestFiles.json(TestFiles.fixture("upstream/defaults.json"))
    for (name, keys) in [
      ("LlamaConfig", ConfigKeys.llama), ("MistralConfig", .llama), ("Qwen2Config", .llama),
      ("CLIPConfig", .clip), ("CLIPVisionConfig", .clip), ("MetaClip2Config", .clip),
      ("ConvNextConfig", .convNeXt), ("ConvNextV2Config", .convNeXt),
      ("DINOv3ConvNextConfig", .convNeXt), ("LlavaConfig", .llava),
    ] {
      let json = try #require(all[name])
      try keys.check(json, name)
      for (part, inner) in [("vision_config", ConfigKeys.clip), ("text_config", keys)] {
        try (name == "LlavaConfig" && part == "text_config" ? .llama : inner)
          .check(json[part], "\(name).\(part)")
      }
    }
    for (name, positions) in [
      ("LlamaConfig", 2048), ("MistralConfig", 131_072), ("Qwen2Config", 32_768),
    ] {
      let config = try LLaMAConfig(huggingFace: try #require(all[name]))
      #expect(config.contextLength == positions)
    }
  }

  static let changes: [(String, JSONValue)] = [
    ("attn_logit_softcapping", 50.0), ("final_logit_softcapping", 30.0),
    ("residual_multiplier", 0.22), ("embedding_multiplier", 12), ("attention_multiplier", 0.1),
    ("logits_scaling", 8), ("logit_scale", 0.06), ("scale_emb", 12), ("scale_depth", 1.4),
    ("dim_model_base", 256), ("num_experts", 8), ("num_local_experts", 8),
    ("n_routed_experts", 64), ("moe_intermediate_size", 44), ("use_qk_norm", true),
    ("qk_layernorm", true), ("clip_qkv", 8), ("alibi", true), ("query_pre_attn_scalar", 256),
    ("no_rope_layers", [1, 0]), ("attention_chunk_size", 64), ("use_parallel_residual", true),
    ("rope_local_base_freq", 10_000), ("hidden_activation", "gelu"), ("lm_head_bias", true),
    ("sliding_window_pattern", 6), ("swiglu_limit", 7.0), ("kv_lora_rank", 512),
    ("partial_rotary_factor", 0.5), ("num_nextn_predict_layers", 1), ("norm_type", "layer_norm"),
    ("quantization_config", ["quant_method": "gptq", "bits": 4]), ("is_causal", false),
    ("mm_patch_merge_type", "spatial_unpad"),
  ]

  private static let reason =
    ": with it the results are another model's; a key that is left over can be taken out"

  @Test("keys that change a LLaMA's arithmetic are refused by name, with their values")
  func refused() throws {
    for (key, value) in Self.changes {
      let error = try #require(refusal(.llama, key, value), "\(key)")
      guard case .configuration(let field, let found, let expected) = error.problem else {
        Issue.record("\(error)")
        continue
      }
      #expect(field == "config.json.\(key)")
      #expect(!found.isEmpty && expected.hasSuffix(Self.reason))
    }
    let error = refusal(.llama, "attn_logit_softcapping", 50)
    #expect(
      error?.problem
        == .configuration(
          field: "config.json.attn_logit_softcapping", found: "'50'",
          expected: "0 or none" + Self.reason))
    let quantized = refusal(.llama, "quantization_config", ["quant_method": "gptq", "bits": 4])
    #expect(
      quantized?.problem
        == .configuration(
          field: "config.json.quantization_config", found: "'gptq'",
          expected: "none" + Self.reason))
  }

  @Test("values that change nothing, and keys of training and storage, are taken")
  func taken() {
    let values: [(String, JSONValue)] = [
      ("attn_logit_softcapping", .null), ("residual_multiplier", 1.0), ("logits_scaling", 1),
      ("num_experts", 0), ("use_qk_norm", false), ("no_rope_layers", []),
      ("partial_rotary_factor", 1), ("quantization_config", .null), ("is_causal", true),
      ("unsloth_version", "2024.9"), ("_attn_implementation", "sdpa"), ("use_flash_attn", true),
      ("_flash_attn_2_enabled", true), ("output_attentions", true), ("temperature", 0.7),
      ("attention_probs_dropout_prob", 0.1), ("torch_dtype", "float16"), ("auto_map", ["a": "b"]),
      ("num_beam_groups", 1), ("n_experts", 1), ("rotary_pct", 1.0), ("scale_emb", 1),
      ("repetition_penalty", 1.2), ("is_decoder", true), ("pretraining_tp", 2),
      ("mm_vision_tower_lr", 2e-6), ("mm_patch_merge_type", "flat"), ("tune_mm_mlp_adapter", true),
    ]
    for (key, value) in values {
      #expect(refusal(.llama, key, value) == nil, "\(key)")
    }
  }

  @Test("so are those of CLIP, open_clip, timm and GGUF")
  func others() {
    let cases: [(ConfigKeys, String, JSONValue, Bool)] = [
      (.llava, "multimodal_projector_bias", false, true),
      (.llava, "use_image_newline_parameter", true, false),
      (.clip, "num_register_tokens", 4, false), (.clip, "num_register_tokens", 0, true),
      (.clip, "layer_scale_init_value", 1e-5, false), (.clip, "use_head", true, false),
      (.clip, "qk_norm", true, false), (.clip, "attention_dropout", 0.1, true),
      (.convNeXt, "layer_scale_init_value", 1e-6, true), (.convNeXt, "num_experts", 2, false),
      (.timm, "conv_mlp", true, true), (.timm, "attn_layer", "x", false),
      (.openCLIPVision, "pool_type", "avg", false), (.openCLIPVision, "pool_type", "tok", true),
      (.openCLIPVision, "no_ln_pre", true, false), (.openCLIPVision, "patch_dropout", 0.5, true),
      (.openCLIPVision, "anything", 1, false), (.openCLIPTimm, "pool_type", "avg", true),
      (.openCLIPTimm, "timm_pool", "map", false), (.openCLIPTimm, "timm_pool", "", true),
      (.openCLIPText, "hf_model_name", "roberta-base", false),
      (.openCLIPText, "norm_kwargs", ["eps": 1e-6], true), (.openCLIPText, "pad_id", 1, true),
      (.openCLIP, "multimodal_cfg", ["width": 4], false), (.openCLIP, "custom_text", true, true),
      (.gguf, "attention.clamp_kqv", 8.0, false), (.gguf, "attention.clamp_kqv", 0.0, true),
      (.gguf, "logit_scale", 0.06, false), (.gguf, "final_logit_softcapping", 30.0, false),
      (.gguf, "attention.causal", false, false), (.gguf, "attention.causal", true, true),
      (.gguf, "rope.scaling.yarn_ext_factor", 0.5, false),
      (.gguf, "leading_dense_block_count", 1, false),
      (.rotation, "mrope_section", [1, 2], false), (.rotation, "rope_theta", 1e6, true),
    ]
    for (keys, key, value, isTaken) in cases {
      #expect((refusal(keys, key, value) == nil) == isTaken, "\(key)")
    }
  }

  private func llama(_ changes: [(String, JSONValue?)]) throws(ModelError) -> LLaMAConfig {
    var json = LLaMAConfigTests.vicuna
    for (key, value) in changes {
      var object = JSONObject()
      for member in json.objectValue?.members ?? [] where member.key != key {
        object.set(member.key, member.value)
      }
      if let value { object.set(key, value) }
      json = .object(object)
    }
    return try LLaMAConfig(huggingFace: json)
  }

  @Test("kinds of layers say which of them slide")
  func layerTypes() throws {
    func types(_ last: JSONValue, count: Int = 2) -> JSONValue {
      .array(Array(repeating: "full_attention", count: count - 1) + [last])
    }
    let layers: (String, JSONValue?) = ("num_hidden_layers", 2)
    let (full, mixed) = (types("full_attention"), types("sliding_attention"))
    #expect(try llama([layers, ("layer_types", full)]).traits == DecoderTraits())
    let config = try llama([layers, ("layer_types", mixed), ("sliding_window", 512)])
    #expect(config.contextLength == 4096)
    #expect(config.traits.layers == [LayerTraits(), LayerTraits(window: 512)])
    for changes: [(String, JSONValue?)] in [
      [("layer_types", mixed)], [("layer_types", types("chunked_attention"))],
      [("layer_types", 1)],
      [("layer_types", mixed), ("sliding_window", 512), ("use_sliding_window", false)],
      [("layer_types", types("full_attention", count: 3))],
    ] {
      #expect(throws: ModelError.self) { try llama([layers] + changes) }
    }
  }

  @Test("what a description leaves out is what its class takes")
  func classDefaults() throws {
    func windows(_ changes: [(String, JSONValue?)]) throws -> [Int?] {
      try llama([("num_hidden_layers", 3)] + changes).traits.layers.map(\.window)
    }
    #expect(try windows([("model_type", "mistral")]) == [4096, 4096, 4096])
    #expect(try windows([("model_type", "mistral"), ("sliding_window", .null)]) == [])
    let qwen: [(String, JSONValue?)] = [("model_type", "qwen2"), ("sliding_window", 512)]
    #expect(try windows(qwen) == [])
    let sliding = qwen + [("use_sliding_window", true)]
    #expect(try windows(sliding) == [])
    #expect(try windows(sliding + [("max_window_layers", 1)]) == [nil, 512, 512])
  }

  @Test("the rotation's base is in either object, or beside it; the older object wins")
  func rotation() throws {
    let base: JSONValue = 500_000
    #expect(try llama([("rope_theta", base)]).ropeBase == 500_000)
    #expect(
      try llama([("rope_theta", base), ("rope_parameters", ["rope_type": "default"])]).ropeBase
        == 500_000)
    #expect(try llama([("rope_parameters", ["rope_theta": 500_000])]).ropeBase == 500_000)
    let both = try llama([
      ("rope_scaling", ["rope_type": "linear", "factor": 4.0]),
      ("rope_parameters", ["rope_type": "linear", "factor": 2.0]),
    ])
    #expect(both.ropeScaling == .linear(factor: 4))
  }
}
