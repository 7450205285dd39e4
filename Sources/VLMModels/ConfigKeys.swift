import VLMFoundation
import VLMTensor

/// The keys of a configuration file that a family accepts.
///
/// A key that the family's own classes define is read here, or has no effect on results, or must have
/// a value that has none. A key that they do not define is ignored, as those classes ignore it, unless
/// its name suggests arithmetic: then the file belongs to another model, and is refused.
struct ConfigKeys {
  /// Read by the code that makes the configuration, or without effect on results.
  let free: Set<String>
  /// Keys that are accepted only with values that have no effect. Null, empty values, and false where
  /// true is not listed, are always accepted.
  let neutral: [String: [JSONValue]]
  /// Whether the class itself refuses keys that it does not define, so that none can be ignored.
  var isClosed = false

  /// The same with more keys, whose meaning here wins over the one before.
  func adding(free more: Set<String> = [], neutral: [String: [JSONValue]] = [:]) -> ConfigKeys {
    ConfigKeys(
      free: free.subtracting(neutral.keys).union(more),
      neutral: self.neutral.merging(neutral) { $1 }, isClosed: isClosed)
  }

  /// - Throws: `ModelError` naming the first key that is another model's, with its value.
  func check(_ json: JSONValue?, _ place: String) throws(ModelError) {
    for member in json?.objectValue?.members ?? [] where !free.contains(member.key) {
      guard let allowed = allowed(member.key),
        !allowed.contains(where: { $0.isEqual(to: member.value) }),
        !member.value.isNothing || allowed == [true] && member.value == false
      else { continue }
      // The message lists values of the same kind as the one found.
      let isNumber = member.value.doubleValue != nil
      let texts = (isNumber ? allowed : allowed.filter { $0.doubleValue == nil })
        .map { $0.stringValue.map { "'\($0)'" } ?? $0.serialized() }
      let none = allowed == [true] ? [] : [member.value.boolValue == nil ? "none" : "false"]
      throw ModelError(
        .configuration(
          field: "\(place).\(member.key)", found: member.value.shown,
          expected: (texts + none).joined(separator: " or ")
            + ": with it the results are another model's; a key that is left over can be taken out")
      )
    }
  }

  /// The values of a key that have no effect; nil for a key that is ignored.
  private func allowed(_ key: String) -> [JSONValue]? {
    if let values = neutral[key] ?? Self.common[key] { return values }
    guard isClosed || Self.isArithmetic(key) else { return nil }
    // A factor has no effect at 1. A count, a summand or a limit is off at 0; one expert or one group
    // is all of them.
    if Self.multipliers.contains(where: { key.hasSuffix($0) }) || key.hasPrefix("scale_") {
      return [1]
    }
    return key.hasSuffix("experts") || key.hasSuffix("groups") ? [0, 1] : [0]
  }

  /// Keys that all classes have.
  private static let common: [String: [JSONValue]] = [
    // Weights that other tools quantize as they load them.
    "quantization_config": [], "quantization": [], "compression_config": [], "pruned_heads": [],
    "add_cross_attention": [], "is_encoder_decoder": [], "is_causal": [true], "causal": [true],
  ]

  private static let multipliers = ["multiplier", "scale", "scaling", "factor", "pct"]

  /// Words in key names of other families, transformers' and GGUF's, that change what is computed.
  private static let arithmetic: Set<String> = [
    "act", "activation", "alibi", "altup", "attention", "attn", "bias", "buckets", "cap", "causal",
    "clamp", "clip", "codebooks", "dense", "expert", "experts", "ffn", "gate", "gated", "gating",
    "group", "groups", "interleave", "interleaved", "key", "kv", "laurel", "layernorm", "lora",
    "ls", "mamba", "mixer", "mla", "mlp", "moe", "mtp", "multiplier", "multipliers", "mup",
    "nextn", "nope", "norm", "parallel", "per", "ple", "pool", "pooler", "pooling", "position",
    "qk", "qkv", "query", "recurrent", "register", "registers", "relative", "residual", "rms",
    "rmsnorm", "rope", "rotary", "routed", "router", "sandwich", "scale", "scaling", "shared",
    "sink", "sinks", "sliding", "softcap", "softcapping", "sparsity", "ssm", "swa", "swiglu",
    "topk", "types", "window", "yarn",
  ]
  /// Words in key names about training, storage or speed.
  private static let harmless: Set<String> = [
    "autoset", "backend", "beam", "beams", "cache", "checkpoint", "checkpointing", "coef", "device",
    "drop",
    "dropout", "dtype", "eager", "flash", "freeze", "gradient", "id", "ids", "impl",
    "implementation", "init", "initializer", "layerdrop", "loss", "lr", "name", "path", "pdrop",
    "penalty", "sdpa", "std", "token", "tokenizer", "train", "training", "tune", "unfreeze",
    "unsloth", "version", "xformers",
  ]

  /// Whether a key's name suggests arithmetic.
  private static func isArithmetic(_ key: String) -> Bool {
    let words = Set(key.lowercased().split { $0 == "_" || $0 == "." }.map(String.init))
    return !words.isDisjoint(with: arithmetic) && words.isDisjoint(with: harmless)
  }
}

extension JSONValue {
  /// Whether this is null, false or empty.
  fileprivate var isNothing: Bool {
    isNull || boolValue == false || arrayValue?.isEmpty == true || stringValue?.isEmpty == true
      || objectValue?.members.isEmpty == true
  }

  /// Whether both are equal; 1 and 1.0 are.
  fileprivate func isEqual(to other: JSONValue) -> Bool {
    if let number = doubleValue, let second = other.doubleValue { return number == second }
    return self == other
  }

  /// Its text for messages, at most 60 characters; the method of a quantization object.
  fileprivate var shown: String {
    let text = stringValue ?? self["quant_method"]?.stringValue ?? serialized()
    return "'\(text.prefix(60))\(text.count > 60 ? "…" : "")'"
  }
}
