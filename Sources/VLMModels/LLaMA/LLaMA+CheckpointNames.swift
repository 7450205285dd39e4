/// The names under which checkpoints store a LLaMA. Ours are transformers' without `model.`.
package enum LLaMANaming: String, Sendable, CaseIterable {
  /// transformers' `LlamaForCausalLM`; the LLaVAs add their towers beside it.
  case huggingFace = "hugging-face"
  /// transformers' `LlamaModel`: no head, no prefix.
  case bare = "hugging-face-model"
  /// llama.cpp's: `blk.0.attn_q.weight`.
  case gguf
  /// Meta's own, and Mistral's: `layers.0.attention.wq.weight`.
  case meta

  /// The naming of `names`; nil when they are not a LLaMA's.
  package static func detect(_ names: some Sequence<String>) -> LLaMANaming? {
    for name in names
    where name.hasSuffix(".mlp.gate_proj.weight") || name.hasSuffix(".mlp.gate_up_proj.weight") {
      if name.hasPrefix("model.layers.") { return .huggingFace }
      if name.hasPrefix("layers.") { return .bare }
    }
    for name in names where name.hasPrefix("layers.") {
      if name.hasSuffix(".feed_forward.w1.weight") { return .meta }
    }
    for name in names where name.hasPrefix("blk.") {
      if name.hasSuffix(".ffn_gate.weight") || name.hasSuffix(".attn_qkv.weight") { return .gguf }
    }
    return nil
  }

  /// Whether a tensor belongs to a value head, which reinforcement learning adds and generation does
  /// not use.
  static func isValueHead(_ name: String) -> Bool {
    name.split(separator: ".").contains { ["v_head", "value_head", "critic_head"].contains($0) }
  }

  /// What becomes of a tensor of a checkpoint.
  package enum Match: Equatable {
    case tensor(String)
    /// Several of ours, one behind the other as rows.
    case fused([String])
    /// Known, and not needed: frequencies of the rotation, which the description gives.
    case derived
    /// No part of a language model as it is computed here.
    case unused
  }

  /// Our name for the checkpoint's `name`.
  ///
  /// - Parameter norms: where the model has them, on which GGUF's names for them depend.
  package func match(_ name: String, norms: NormPlacement = .before) -> Match {
    if self == .gguf { return Self.matchGGUF(name, norms) }
    if self == .meta { return Self.matchMeta(name) }
    if name.hasSuffix(".rotary_emb.inv_freq") { return .derived }
    var rest = Substring(name)
    if self == .huggingFace {
      if name == "lm_head.weight" { return .tensor(name) }
      guard name.hasPrefix("model.") else { return .unused }
      rest = rest.dropFirst(6)
    }
    if rest == "embed_tokens.weight" || rest == "norm.weight" { return .tensor(String(rest)) }
    let part = rest.split(separator: ".", omittingEmptySubsequences: false)
    guard part.count >= 4, part[0] == "layers", Int(part[1]) != nil else { return .unused }
    return Self.layer(part[2...].joined(separator: "."), "layers.\(part[1]).")
  }

  /// - Parameters:
  ///   - inner: a name as transformers has it inside of a layer.
  ///   - layer: what stands before ours.
  private static func layer(_ inner: String, _ layer: String) -> Match {
    if let parts = fused[inner] { return .fused(parts.map { layer + $0 }) }
    return layerTensors.contains(inner) ? .tensor(layer + inner) : .unused
  }

  private static func matchGGUF(_ name: String, _ norms: NormPlacement) -> Match {
    switch name {
    case "token_embd.weight": return .tensor("embed_tokens.weight")
    case "output_norm.weight": return .tensor("norm.weight")
    case "output.weight": return .tensor("lm_head.weight")
    default: break
    }
    let part = name.split(separator: ".", omittingEmptySubsequences: false)
    guard part.count == 4, part[0] == "blk", Int(part[1]) != nil,
      let inner = norms != .before
        ? ggufAroundNames[String(part[2])] ?? ggufLayerNames[String(part[2])]
        : ggufLayerNames[String(part[2])]
    else { return .unused }
    return layer("\(inner).\(part[3])", "layers.\(part[1]).")
  }

  private static func matchMeta(_ name: String) -> Match {
    switch name {
    case "tok_embeddings.weight": return .tensor("embed_tokens.weight")
    case "norm.weight": return .tensor(name)
    case "output.weight": return .tensor("lm_head.weight")
    case "rope.freqs": return .derived
    default: break
    }
    let part = name.split(separator: ".", maxSplits: 2).map(String.init)
    guard part.count == 3, part[0] == "layers", Int(part[1]) != nil,
      let ours = metaLayerNames[part[2]]
    else { return name.hasSuffix(".inner_attention.rope.freqs") ? .derived : .unused }
    return .tensor("layers.\(part[1]).\(ours)")
  }

  private static let metaLayerNames = [
    "attention_norm.weight": "input_layernorm.weight",
    "ffn_norm.weight": "post_attention_layernorm.weight",
    "attention.wq.weight": "self_attn.q_proj.weight",
    "attention.wk.weight": "self_attn.k_proj.weight",
    "attention.wv.weight": "self_attn.v_proj.weight",
    "attention.wo.weight": "self_attn.o_proj.weight",
    "feed_forward.w1.weight": "mlp.gate_proj.weight",
    "feed_forward.w2.weight": "mlp.down_proj.weight",
    "feed_forward.w3.weight": "mlp.up_proj.weight",
  ]

  private static let ggufLayerNames = [
    "attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm",
    "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj", "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj", "attn_q_norm": "self_attn.q_norm",
    "attn_k_norm": "self_attn.k_norm", "attn_qkv": "self_attn.qkv_proj",
  ]
  /// Of models with norms behind attention and gated layer.
  private static let ggufAroundNames = [
    "post_attention_norm": "post_attention_layernorm", "ffn_norm": "pre_feedforward_layernorm",
    "post_ffw_norm": "post_feedforward_layernorm",
  ]

  /// Matrices that are several of ours.
  private static let fused = [
    "self_attn.qkv_proj.weight": ["q_proj", "k_proj", "v_proj"].map { "self_attn.\($0).weight" },
    "mlp.gate_up_proj.weight": ["gate_proj", "up_proj"].map { "mlp.\($0).weight" },
  ]

  private static let layerTensors: Set<String> = {
    var names: Set<String> = [
      "input_layernorm.weight", "post_attention_layernorm.weight",
      "pre_feedforward_layernorm.weight", "post_feedforward_layernorm.weight",
      "self_attn.q_norm.weight", "self_attn.k_norm.weight",
    ]
    for matrix in ["q_proj", "k_proj", "v_proj", "o_proj"] {
      names.insert("self_attn.\(matrix).weight")
      names.insert("self_attn.\(matrix).bias")
    }
    for matrix in ["gate_proj", "up_proj", "down_proj"] {
      names.insert("mlp.\(matrix).weight")
      names.insert("mlp.\(matrix).bias")
    }
    return names
  }()
}
