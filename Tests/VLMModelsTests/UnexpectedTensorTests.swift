import Testing
import VLMFoundation
import VLMTensor

@testable import VLMModels

/// Tensors that a model's own names have and its arithmetic has not.
struct UnexpectedTensorTests {
  private func unexpected(
    _ names: [CheckpointFacts.Name], _ extra: CheckpointFacts.Name, _ description: JSONValue?
  ) throws -> [String] {
    let facts = CheckpointFacts(names: names + [extra], description: description)
    let found = try #require(try ModelCheckpoint.recognise(facts))
    let known = Set(try found.description.manifest().map(\.path))
    return found.unexpected
      + found.tensors.filter { !known.contains($0.key) }.map(\.value.original)
  }

  private static let layer = [
    ("self_attn.q_norm.weight", [8]), ("self_attn.k_norm.weight", [8]), ("self_attn.sinks", [4]),
    ("self_attn.q_proj.bias", [32]), ("block_sparse_moe.gate.weight", [4, 32]),
    ("mlp.gate.weight", [4, 32]), ("mlp.experts.0.up_proj.weight", [4, 32]),
    ("pre_feedforward_layernorm.weight", [32]), ("post_feedforward_layernorm.weight", [32]),
    ("input_layernorm.bias", [32]), ("adapter.down.weight", [4, 32]),
  ]

  private static func language(_ prefix: String, head: Bool) -> [CheckpointFacts.Name] {
    var names: [CheckpointFacts.Name] = [
      (prefix + "embed_tokens.weight", [100, 32]), (prefix + "norm.weight", [32]),
    ]
    if head { names.append(("lm_head.weight", [100, 32])) }
    for (name, shape) in [
      ("input_layernorm.weight", [32]), ("post_attention_layernorm.weight", [32]),
      ("self_attn.q_proj.weight", [32, 32]), ("self_attn.k_proj.weight", [16, 32]),
      ("self_attn.v_proj.weight", [16, 32]), ("self_attn.o_proj.weight", [32, 32]),
      ("mlp.gate_proj.weight", [48, 32]), ("mlp.up_proj.weight", [48, 32]),
      ("mlp.down_proj.weight", [32, 48]),
    ] { names.append((prefix + "layers.0." + name, shape)) }
    return names
  }

  private static func description(tied: Bool) -> JSONValue {
    [
      "architectures": ["LlamaForCausalLM"], "hidden_size": 32, "intermediate_size": 48,
      "num_hidden_layers": 1, "num_attention_heads": 4, "num_key_value_heads": 2,
      "vocab_size": 100, "rms_norm_eps": 1e-5, "tie_word_embeddings": .bool(tied),
    ]
  }

  @Test("of a LLaMA, in transformers' names", arguments: ["model.", ""])
  func language(_ prefix: String) throws {
    let names = Self.language(prefix, head: prefix == "model.")
    let description = Self.description(tied: prefix.isEmpty)
    var extras: [CheckpointFacts.Name] = Self.layer.map {
      (prefix + "layers.0." + $0.0, $0.1)
    }
    extras += [
      (prefix + "layers.7.mlp.up_proj.weight", [48, 32]), (prefix + "norm.bias", [32]),
      (prefix + "embed_positions.weight", [9, 32]), (prefix + "gate", [1]), ("logit_scale", [1]),
      ("lm_head.bias", [100]),
    ]
    for extra in extras {
      #expect(try unexpected(names, extra, description) == [extra.name])
    }
    for name in [
      "v_head.summary.weight", prefix + "layers.0.self_attn.masked_bias", "loss.weight",
      prefix + "layers.0.self_attn.rotary_emb.inv_freq",
    ] {
      #expect(try unexpected(names, (name, [4]), description) == [], "\(name)")
    }
  }

  @Test("of a LLaMA, in the names of GGUF and Meta")
  func otherNames() throws {
    var json = JSONObject()
    for (key, value) in LLaMAGGUFTests.metadata { json.set(key, value) }
    for name in [
      "blk.0.attn_q_norm.weight", "blk.0.ffn_gate_exps.weight", "blk.0.attn_sinks",
      "blk.0.attn_q.bias", "output.bias", "blk.0.post_ffw_norm.weight", "token_types.weight",
    ] where name != "blk.0.attn_q.bias" {
      #expect(
        try unexpected(LLaMAGGUFTests.names, (name, [32]), .object(json)) == [name], "\(name)")
    }
    let meta = LLaMAMetaTests.names()
    var notes: [Note] = []
    let description = try LLaMAConfig.description(
      meta: [
        "dim": 64, "n_layers": 1, "n_heads": 8, "n_kv_heads": 8, "norm_eps": 1e-5,
        "max_seq_len": 64,
      ], names: meta, notes: &notes)
    for name in [
      "layers.0.attention.q_norm.weight", "layers.0.feed_forward.gate.weight", "extra.weight",
    ] {
      #expect(try unexpected(meta, (name, [64]), description).contains(name))
    }
  }

  static func clip(texts: Bool) -> [CheckpointFacts.Name] {
    var names: [CheckpointFacts.Name] = [
      ("vision_model.embeddings.class_embedding", [16]),
      ("vision_model.embeddings.patch_embedding.weight", [16, 3, 7, 7]),
      ("vision_model.embeddings.position_embedding.weight", [17, 16]),
      ("vision_model.pre_layrnorm.weight", [16]), ("vision_model.pre_layrnorm.bias", [16]),
      ("vision_model.post_layernorm.weight", [16]), ("vision_model.post_layernorm.bias", [16]),
      ("visual_projection.weight", [10, 16]),
    ]
    if texts {
      names += [
        ("logit_scale", []), ("text_projection.weight", [10, 16]),
        ("text_model.embeddings.token_embedding.weight", [50, 16]),
        ("text_model.embeddings.position_embedding.weight", [9, 16]),
        ("text_model.final_layer_norm.weight", [16]), ("text_model.final_layer_norm.bias", [16]),
      ]
    }
    for tower in texts ? ["vision_model.", "text_model."] : ["vision_model."] {
      let layer = tower + "encoder.layers.0."
      for name in ["q_proj", "k_proj", "v_proj", "out_proj"] {
        names += [
          (layer + "self_attn.\(name).weight", [16, 16]), (layer + "self_attn.\(name).bias", [16]),
        ]
      }
      for name in ["layer_norm1", "layer_norm2"] {
        names += [(layer + name + ".weight", [16]), (layer + name + ".bias", [16])]
      }
      names += [
        (layer + "mlp.fc1.weight", [24, 16]), (layer + "mlp.fc1.bias", [24]),
        (layer + "mlp.fc2.weight", [16, 24]), (layer + "mlp.fc2.bias", [16]),
      ]
    }
    return names
  }

  @Test("of a CLIP, in either tower", arguments: [true, false])
  func clip(_ texts: Bool) throws {
    let names = Self.clip(texts: texts)
    let description: JSONValue = [
      "vision_config": ["num_attention_heads": 2], "text_config": ["num_attention_heads": 2],
    ]
    var extras = [
      "vision_model.embeddings.register_tokens", "vision_model.encoder.layers.0.ls1.gamma",
      "vision_model.encoder.layers.0.self_attn.q_norm.weight", "visual_projection.bias",
      "vision_model.embeddings.patch_embedding.bias", "vision_model.head.probe",
    ]
    if texts {
      extras += [
        "text_model.encoder.layers.0.self_attn.q_norm.weight", "text_projection.bias",
        "logit_bias", "text_model.embeddings.token_type_embeddings.weight",
      ]
    }
    for extra in extras {
      #expect(try unexpected(names, (extra, [16]), description) == [extra])
    }
    for inert in [
      "vision_model.embeddings.position_ids", "text_model.embeddings.position_ids",
    ] {
      #expect(try unexpected(names, (inert, [1, 9]), description) == [])
    }
  }

  @Test("of a LLaVA's tower and projector")
  func llava() throws {
    for prefix in [CheckpointFacts.towerPrefix, "model.vision_tower.vision_tower."] {
      let facts = LLaVACheckpointTests.facts(prefix)
      for extra in [
        prefix + "embeddings.register_tokens", "model.image_newline", "lm_head.bias",
        "model.layers.0.self_attn.q_norm.weight", "model.mm_projector.3.weight",
      ] {
        let found = try unexpected(facts.names, (extra, [3072]), facts.description)
        #expect(found == [extra])
      }
    }
  }
}
