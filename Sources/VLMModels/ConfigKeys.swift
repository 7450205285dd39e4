import VLMFoundation
import VLMTensor

/// Which keys of a description leave a model's arithmetic as it is computed here.
///
/// Every key that the family's own classes define is read, or of no consequence, or has to have a
/// value that changes nothing. A key that they do not define is left alone, as those classes leave
/// it, unless its name speaks of arithmetic: it is another model's then, whose results would be
/// other ones.
struct ConfigKeys {
  /// Read by the code that makes the configuration, or of no consequence for a result.
  let free: Set<String>
  /// The values that change nothing, of keys that would be another model otherwise; null, what holds
  /// nothing, and false where true is none of them, are always among them.
  let neutral: [String: [JSONValue]]
  /// Whether the class refuses keys that it does not define, so that none is of no consequence.
  var isClosed = false

  /// - Throws: `ModelError` naming the first key that is another model's, with its value.
  func check(_ json: JSONValue?, _ place: String) throws(ModelError) {
    for member in json?.objectValue?.members ?? [] where !free.contains(member.key) {
      guard let allowed = allowed(member.key),
        !allowed.contains(where: { $0.isEqual(to: member.value) }),
        !member.value.isNothing || allowed == [true] && member.value == false
      else { continue }
      // Nobody means a number by what is no number.
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

  /// The values of a key that change nothing; nil for a key that is of no consequence.
  private func allowed(_ key: String) -> [JSONValue]? {
    if let values = neutral[key] ?? Self.common[key] { return values }
    guard isClosed || Self.isArithmetic(key) else { return nil }
    // What multiplies changes nothing at 1; what counts, adds or limits is off at 0, and of experts
    // and groups one is all there is.
    if Self.multipliers.contains(where: { key.hasSuffix($0) }) || key.hasPrefix("scale_") {
      return [1]
    }
    return key.hasSuffix("experts") || key.hasSuffix("groups") ? [0, 1] : [0]
  }

  /// Of every class.
  private static let common: [String: [JSONValue]] = [
    // Weights that other tools quantize as they load them.
    "quantization_config": [], "quantization": [], "compression_config": [], "pruned_heads": [],
    "add_cross_attention": [], "is_encoder_decoder": [], "is_causal": [true], "causal": [true],
  ]

  private static let multipliers = ["multiplier", "scale", "scaling", "factor", "pct"]

  /// Words of the names by which configurations of other families, transformers' and GGUF's, say
  /// what is computed otherwise.
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
  /// Words of names that are about training, storage or speed.
  private static let harmless: Set<String> = [
    "autoset", "backend", "beam", "beams", "cache", "checkpoint", "checkpointing", "coef", "device",
    "drop",
    "dropout", "dtype", "eager", "flash", "freeze", "gradient", "id", "ids", "impl",
    "implementation", "init", "initializer", "layerdrop", "loss", "lr", "name", "path", "pdrop",
    "penalty", "sdpa", "std", "token", "tokenizer", "train", "training", "tune", "unfreeze",
    "unsloth", "version", "xformers",
  ]

  /// Whether a key's name speaks of arithmetic.
  private static func isArithmetic(_ key: String) -> Bool {
    let words = Set(key.lowercased().split { $0 == "_" || $0 == "." }.map(String.init))
    return !words.isDisjoint(with: arithmetic) && words.isDisjoint(with: harmless)
  }
}

extension JSONValue {
  /// Nothing that could be asked for: null, false, and what holds nothing.
  fileprivate var isNothing: Bool {
    isNull || boolValue == false || arrayValue?.isEmpty == true || stringValue?.isEmpty == true
      || objectValue?.members.isEmpty == true
  }

  /// Whether both are the same, whole numbers and fractions alike.
  fileprivate func isEqual(to other: JSONValue) -> Bool {
    if let number = doubleValue, let second = other.doubleValue { return number == second }
    return self == other
  }

  /// Its text, cut where it is long; of an object about quantization its kind.
  fileprivate var shown: String {
    let text = stringValue ?? self["quant_method"]?.stringValue ?? serialized()
    return "'\(text.prefix(60))\(text.count > 60 ? "…" : "")'"
  }
}
