import VLMFoundation
import VLMTensor

/// A SmolVLM as llama.cpp has it: a LLaMA in GGUF, and beside it a file of general architecture "clip"
/// and projector type "idefics3" with the tower, `v.*`, and the connector, `mm.model.fc`.
struct SmolVLMVisionHalf {
  /// The language half's metadata.
  let language: JSONValue
  /// The language half's tensors, in GGUF's names.
  private(set) var languageNames: [CheckpointFacts.Name] = []
  /// By our names.
  private(set) var tensors: [(ours: String, source: ModelCheckpoint.Source)] = []
  /// Tensors of the vision half that are no such model's.
  private(set) var unexpected: [String] = []
  /// What transformers' `vision_config` would say.
  let fields: ConfigFields
  let shuffle: Int
  /// The same with the picture processor.
  let tower: JSONValue
  let notes: [Note]

  /// - Returns: nil unless there is such a half.
  /// - Throws: `ModelError` for one that lacks something, or has another model's keys.
  init?(_ facts: CheckpointFacts) throws(ModelError) {
    guard let metadata = facts.towerDescription, Self.isOne(metadata) else { return nil }
    do throws(ModelError) {
      try ConfigKeys.ggufSmolVLM.check(metadata.members(behind: "clip."), "gguf.clip")
      let stated = ConfigFields(metadata, path: "gguf")
      shuffle = try stated.int("clip.vision.projector.scale_factor", 1...16, default: 2)
      tower = try Self.tower(stated)
      fields = ConfigFields(tower, path: "vision half")
    } catch {
      throw ModelError(file: error.file ?? facts.towerFile, error.problem)
    }
    let key = "clip.vision.preproc_image_size"
    let isSized = metadata[key].map { !$0.isNull } ?? false
    notes =
      isSized
      ? []
      : ["the vision half does not state \(key): assuming four tiles along the longest side"]
    language = facts.description ?? .null
    for (name, shape) in facts.names {
      if let ours = Self.canonical(name) {
        tensors.append((ours, ModelCheckpoint.Source(original: name, shape: shape)))
      } else if name.hasPrefix("v.") || name.hasPrefix("mm.") {
        unexpected.append(name)
      } else {
        languageNames.append((name, shape))
      }
    }
  }

  /// Whether metadata are those of such a half.
  static func isOne(_ metadata: JSONValue) -> Bool {
    metadata["general.architecture"]?.stringValue == "clip"
      && ["clip.projector_type", "clip.vision.projector_type"].contains {
        metadata[$0]?.stringValue == "idefics3"
      }
  }

  private static let plain = [
    "v.patch_embd.weight": "tower.embeddings.patch.weight",
    "v.patch_embd.bias": "tower.embeddings.patch.bias",
    "v.position_embd.weight": "tower.embeddings.position",
    "v.post_ln.weight": "tower.post_norm.weight", "v.post_ln.bias": "tower.post_norm.bias",
    "mm.model.fc.weight": "projector.0.weight",
  ]
  private static let inner = [
    "ln1": "norm1", "ln2": "norm2", "attn_q": "attention.q", "attn_k": "attention.k",
    "attn_v": "attention.v", "attn_out": "attention.out", "ffn_up": "mlp.fc1",
    "ffn_down": "mlp.fc2",
  ]

  /// Our name for one of the vision half's; nil for another's.
  private static func canonical(_ name: String) -> String? {
    if let ours = plain[name] { return ours }
    guard let rest = name.dropping("v.blk.") else { return nil }
    let part = rest.split(separator: ".", omittingEmptySubsequences: false)
    guard part.count == 3, let layer = Int(part[0]), String(layer) == part[0],
      (0..<1000).contains(layer), let ours = inner[String(part[1])],
      ["weight", "bias"].contains(part[2])
    else { return nil }
    return "tower.layers.\(layer).\(ours).\(part[2])"
  }

  /// What transformers' files would say of the tower, with its picture processor.
  private static func tower(_ stated: ConfigFields) throws(ModelError) -> JSONValue {
    let prefix = "clip.vision."
    let side = try stated.int(prefix + "image_size", 1...16_384)
    let longest = try stated.int(prefix + "preproc_image_size", 1...1 << 20, default: 4 * side)
    var processor = JSONObject()
    processor.set("image_processor_type", "Idefics3ImageProcessor")
    processor.set("size", ["longest_edge": .int(longest)])
    processor.set("max_image_size", ["longest_edge": .int(side)])
    for key in ["image_mean", "image_std"] {
      if let value = stated.value[prefix + key] { processor.set(key, value) }
    }
    var tower = JSONObject()
    tower.set("image_size", .int(side))
    tower.set(
      "num_attention_heads", .int(try stated.int(prefix + "attention.head_count", 1...1024)))
    let epsilon = prefix + "attention.layer_norm_epsilon"
    tower.set("layer_norm_eps", .double(Double(try stated.epsilon(epsilon))))
    // llama.cpp's "gelu" is the one by tanh.
    guard try stated.bool("clip.use_gelu", default: false) else {
      throw stated.refusal(
        "clip.use_gelu", found: "false", expected: "true, as SmolVLM's tower has it")
    }
    tower.set("hidden_act", "gelu_pytorch_tanh")
    tower.set("image_processor", .object(processor))
    return .object(tower)
  }
}

extension ConfigKeys {
  /// What a SmolVLM's vision half in GGUF has under "clip".
  static let ggufSmolVLM = ConfigKeys(
    free: ggufVision.free.union(["vision.projector.scale_factor", "vision.preproc_image_size"]),
    neutral: ["use_silu": []])
}
