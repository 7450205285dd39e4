/// The names under which checkpoints store a LLaMA. Ours are transformers' without `model.`.
package enum LLaMANaming: String, Sendable, CaseIterable {
  /// transformers' `LlamaForCausalLM`; the LLaVAs add their towers beside it.
  case huggingFace = "hugging-face"
  /// transformers' `LlamaModel`: no head, no prefix.
  case bare = "hugging-face-model"

  /// The naming that `names` follow, nil when they are no LLaMA's.
  package static func detect(_ names: some Sequence<String>) -> LLaMANaming? {
    for name in names where name.hasSuffix(".mlp.gate_proj.weight") {
      if name.hasPrefix("model.layers.") { return .huggingFace }
      if name.hasPrefix("layers.") { return .bare }
    }
    return nil
  }

  /// What becomes of a tensor of a checkpoint.
  package enum Match: Equatable {
    case tensor(String)
    /// Known, and not needed: tables that every implementation computes.
    case derived
    /// No part of the language model.
    case foreign
  }

  /// Our name for the checkpoint's `name`.
  package func match(_ name: String) -> Match {
    if name.hasSuffix(".rotary_emb.inv_freq") { return .derived }
    var rest = Substring(name)
    if self == .huggingFace {
      if name == "lm_head.weight" { return .tensor(name) }
      guard name.hasPrefix("model.") else { return .foreign }
      rest = rest.dropFirst(6)
    }
    if rest == "embed_tokens.weight" || rest == "norm.weight" { return .tensor(String(rest)) }
    let part = rest.split(separator: ".", omittingEmptySubsequences: false)
    guard part.count >= 4, part[0] == "layers", Int(part[1]) != nil else { return .foreign }
    let inner = part[2...].joined(separator: ".")
    return Self.layerTensors.contains(inner) ? .tensor(String(rest)) : .foreign
  }

  private static let layerTensors: Set<String> = {
    var names: Set<String> = ["input_layernorm.weight", "post_attention_layernorm.weight"]
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
