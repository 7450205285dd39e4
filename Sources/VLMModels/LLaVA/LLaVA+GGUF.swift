import VLMFoundation
import VLMTensor

/// A LLaVA-1.5 or LLaVA-NeXT (1.6) as llama.cpp has it: a language model in GGUF, and beside it a file of general
/// architecture "clip" with CLIP's vision tower, `v.*`, or SigLIP's, as Granite Vision has it, and the
/// projector, `mm.*`.
struct GGUFLLaVA {
  /// The same checkpoint as upstream's code would have named it; the language model keeps GGUF's
  /// names and metadata.
  let facts: CheckpointFacts
  /// The checkpoint's names, by upstream's.
  private let originals: [String: String]
  private let notes: [Note]

  /// - Returns: nil unless the tower is described by such a file.
  /// - Throws: `ModelError` for one of another model than these, by its kind, and for one that
  ///   lacks something.
  init?(_ facts: CheckpointFacts) throws(ModelError) {
    guard let vision = facts.towerDescription, Self.isVision(vision) else { return nil }
    do throws(ModelError) {
      try Self.refuseOthers(vision, facts.names)
      try ConfigKeys.ggufVision.check(vision.members(behind: "clip."), "gguf.clip")
      let names = try Names(facts.names, vision)
      let (layer, note) = try Self.layer(vision, names)
      let isSigLIP = names.isSigLIP
      let tiles = try Self.tiles(vision, facts.names)
      let (padding, otherNote) = tiles == nil ? try Self.padding(vision) : ("anyres", nil)
      originals = names.originals
      let assumed = Self.assumptions(vision, isSigLIP)
      notes = ([note, otherNote].compactMap { $0 } + assumed).map { Note($0) }
      var description = facts.description?.objectValue ?? JSONObject()
      description.set(TowerFacts.layerKey, layer)
      description.set("mm_projector_type", .string("mlp\(names.projectorLayers)x_gelu"))
      description.set("image_aspect_ratio", padding)
      if let tiles {
        description.set("mm_patch_merge_type", "spatial_unpad")
        description.set("image_grid_pinpoints", tiles)
      }
      self.facts = CheckpointFacts(
        names: names.renamed, description: .object(description),
        towerDescription: try Self.tower(vision, isSigLIP), towerFile: facts.towerFile)
    } catch {
      throw ModelError(file: error.file ?? facts.towerFile, error.problem)
    }
  }

  /// `checkpoint`, which was recognised from `facts`, with the names that the files have.
  func restoringNames(of checkpoint: ModelCheckpoint) -> ModelCheckpoint {
    checkpoint.renamed(originals, naming: LLaMANaming.gguf.rawValue, notes: notes)
  }

  // MARK: - Which model

  private static func isVision(_ json: JSONValue) -> Bool {
    json["general.architecture"]?.stringValue == "clip"
  }

  /// Refuses the vision halves of other models than LLaVA-1.5 and LLaVA-NeXT.
  ///
  /// - Parameters:
  ///   - json: the file's metadata, keys with their dots as members.
  ///   - names: its tensors, and any others.
  static func refuseOthers(
    _ json: JSONValue, _ names: [CheckpointFacts.Name]
  ) throws(ModelError) {
    func refuse(_ field: String, _ found: String) -> ModelError {
      ModelError(
        .configuration(
          field: field, found: found,
          expected:
            "that of LLaVA-1.5 or -NeXT, a CLIP or SigLIP and 'mlp': no other vision half in GGUF is read; "
            + "without it the language half converts alone"))
    }
    func has(_ name: String) -> Bool { names.contains { $0.name == name } }
    let fields = ConfigFields(json, path: "gguf")
    for key in ["clip.projector_type", "clip.vision.projector_type"] {
      guard let kind = json[key], kind.stringValue != "mlp" else { continue }
      throw refuse(key, kind.stringValue.map { "'\($0)'" } ?? kind.kindWithArticle)
    }
    // Older files have a flag for each kind.
    let kinds = ["minicpmv_projector", "glm_projector", "qwen2vl_merger", "audio_encoder"]
    for key in kinds.map({ "clip.has_" + $0 }) + ["clip.use_silu"]
    where try fields.statedBool(key) == true {
      throw refuse(key, "true")
    }
    for key in ["clip.has_vision_encoder", "clip.has_llava_projector"]
    where try fields.statedBool(key) == false {
      throw refuse(key, "false")
    }
    var strange = [
      ("v.image_newline", "another model's"),
      ("mm.1.weight", "a norm in the projector, as Yi-VL's 'mlp_norm'"),
      ("mm.3.weight", "a norm in the projector, as Yi-VL's 'mlp_norm'"),
    ]
    if has("v.class_embd") {
      strange.append(("v.patch_embd.bias", "a bias of the patches beside a class token"))
    }
    for (name, kind) in strange where has(name) { throw refuse("tensor '\(name)'", kind) }
  }

  // MARK: - What the metadata say

  /// Sizes for tiles, pairs of a width and a height; nil for a file that has none.
  ///
  /// - Throws: `ModelError` for one that has a part of what tiles need.
  private static func tiles(
    _ json: JSONValue, _ names: [CheckpointFacts.Name]
  ) throws(ModelError) -> JSONValue? {
    let fields = ConfigFields(json, path: "gguf")
    let (mergeKey, sizesKey) = (
      "clip.vision.mm_patch_merge_type", "clip.vision.image_grid_pinpoints"
    )
    let numbers = json[sizesKey]?.arrayValue ?? []
    let merge = try fields.statedString(mergeKey) ?? "flat"
    let hasNewline = names.contains { $0.name == newline }
    guard merge == "spatial_unpad" else {
      guard merge == "flat" else {
        throw fields.refusal(mergeKey, found: "'\(merge)'", expected: "'flat' or 'spatial_unpad'")
      }
      let part = hasNewline ? "tensor '\(newline)'" : numbers.isEmpty ? nil : sizesKey
      guard let part else { return nil }
      throw fields.refusal(
        mergeKey, found: "'flat'", expected: "'spatial_unpad', as there is \(part)")
    }
    guard hasNewline else {
      throw fields.refusal(
        mergeKey, found: "'\(merge)'", expected: "'flat', as there is no tensor '\(newline)'")
    }
    let ratioKey = "clip.vision.image_aspect_ratio"
    let ratio = try fields.statedString(ratioKey) ?? "anyres"
    guard ratio == "anyres" else {
      throw fields.refusal(
        ratioKey, found: "'\(ratio)'", expected: "'anyres', as \(mergeKey) is '\(merge)'")
    }
    guard !numbers.isEmpty, numbers.count % 2 == 0 else {
      throw fields.refusal(
        sizesKey, found: "\(numbers.count) numbers", expected: "pairs of a width and a height")
    }
    return .array(
      stride(from: 0, to: numbers.count, by: 2).map { .array(Array(numbers[$0..<$0 + 2])) })
  }

  private static let newline = "model.image_newline"

  static let layerKey = "clip.vision.feature_layer"

  /// Which of transformers' `hidden_states` are taken, and a note where that is a guess.
  ///
  /// llama.cpp puts them side by side in ascending order, whatever theirs in the file, and each once.
  private static func layer(
    _ json: JSONValue, _ names: Names
  ) throws(ModelError) -> (JSONValue, note: String?) {
    let stated =
      try ConfigFields(json, path: "gguf").statedInt("clip.vision.block_count") ?? names.layers
    let run = min(stated, names.layers)
    if let value = json[layerKey], value.intValue != -1, value.arrayValue != [-1] {
      let list = value.arrayValue ?? [value]
      let layers = list.compactMap(\.intValue)
      let isAscending = zip(layers, layers.dropFirst()).allSatisfy { $0 < $1 }
      guard let first = layers.first, layers.count == list.count, isAscending, first >= 0,
        layers.allSatisfy({ $0 <= names.layers })
      else {
        throw ModelError(
          .configuration(
            field: layerKey, found: value.serialized(),
            expected: "0 to \(names.layers), the layers of the file, several in ascending order"))
      }
      return (layers.count == 1 ? .int(first) : .array(list), nil)
    }
    guard run > 0 else {
      throw ModelError(
        .configuration(
          field: "clip.vision.block_count", found: "\(stated)", expected: "1 or more"))
    }
    // Converters leave out what LLaVA does not read: the last layer and the norm behind it.
    let isWhole = names.hasPostNorm && run == names.layers && run > 1
    let layer = isWhole ? run - 1 : run
    return (
      .int(layer),
      "the vision half does not say which layer is read: taking that of block \(layer - 1), "
        + (isWhole
          ? "the last but one, as LLaVA-1.5 does"
          : "its last, as converters leave out the one that LLaVA-1.5 does not read")
    )
  }

  /// `image_aspect_ratio`, and a note where it is not stated.
  private static func padding(_ json: JSONValue) throws(ModelError) -> (JSONValue, note: String?) {
    let key = "clip.vision.image_aspect_ratio"
    switch json[key] {
    case nil:
      return (
        "pad", "the vision half does not say how pictures become squares: padded, as LLaVA-1.5 does"
      )
    case .string("pad")?: return ("pad", nil)
    case .string("square")?: return ("square", nil)
    case let other?:
      throw ModelError(
        .configuration(field: key, found: other.serialized(), expected: "'pad' or 'square'"))
    }
  }

  /// What `tower` takes where the metadata are silent, one line each.
  private static func assumptions(_ json: JSONValue, _ isSigLIP: Bool) -> [String] {
    let fields = ConfigFields(json, path: "gguf")
    var values = [
      ("clip.vision.attention.layer_norm_epsilon", isSigLIP ? "1e-06" : "1e-05")
    ]
    if !isSigLIP { values.insert(("clip.use_gelu", "quick GELU, as in OpenAI's CLIP"), at: 0) }
    let lines = values.filter { !fields.has($0.0) }.map { key, value in
      "the vision half does not state \(key): assuming \(value)"
    }
    // Converters write false of SigLIP's GELU by tanh, and llama.cpp takes that for the quick one.
    guard isSigLIP, json["clip.use_gelu"]?.boolValue != true else { return lines }
    return ["GELU by tanh, which the vision half cannot state: assuming it, as in SigLIP"] + lines
  }

  /// CLIP's own means and deviations.
  private static let statistics = [
    0.48145466, 0.4578275, 0.40821073, 0.26862954, 0.26130258, 0.27577711,
  ]

  /// Numbers that GGUF rounds to 32 bits; CLIP's own are restored to their full decimals.
  private static func restored(_ json: JSONValue) -> JSONValue {
    guard let values = json.arrayValue else { return json }
    return .array(
      values.map { value in
        statistics.first { Float($0) == value.doubleValue.map { Float($0) } }
          .map { .double($0) } ?? value
      })
  }

  /// What transformers' `config.json` of the tower would say, with its picture processor.
  private static func tower(_ json: JSONValue, _ isSigLIP: Bool) throws(ModelError) -> JSONValue {
    let fields = ConfigFields(json, path: "gguf")
    let prefix = "clip.vision."
    let side = try fields.int(prefix + "image_size", 1...16_384)
    let square: JSONValue = ["height": .int(side), "width": .int(side)]
    var processor = JSONObject()
    if isSigLIP {
      processor.set("image_processor_type", "SiglipImageProcessor")
      processor.set("size", square)
    } else {
      processor.set("image_processor_type", "CLIPImageProcessor")
      processor.set("size", ["shortest_edge": .int(side)])
      processor.set("crop_size", square)
    }
    for key in ["image_mean", "image_std"] {
      if let value = json[prefix + key] { processor.set(key, restored(value)) }
    }
    var tower = JSONObject()
    if isSigLIP { tower.set("model_type", "siglip_vision_model") }
    tower.set("image_size", .int(side))
    tower.set(
      "num_attention_heads", .int(try fields.int(prefix + "attention.head_count", 1...1024)))
    let epsilon = prefix + "attention.layer_norm_epsilon"
    _ = try fields.statedEpsilon(epsilon)
    tower.set(
      "layer_norm_eps", .double(try fields.double(epsilon, default: isSigLIP ? 1e-6 : 1e-5)))
    let isExact = try fields.bool("clip.use_gelu", default: false)
    let activation = isExact ? "gelu" : "quick_gelu"
    tower.set("hidden_act", .string(isSigLIP ? "gelu_pytorch_tanh" : activation))
    tower.set("image_processor", .object(processor))
    return .object(tower)
  }
}

extension GGUFLLaVA {
  /// The tensors under upstream's names.
  private struct Names {
    private(set) var renamed: [CheckpointFacts.Name] = []
    private(set) var originals: [String: String] = [:]
    /// Blocks of the tower.
    private(set) var layers = 0
    private(set) var projectorLayers = 0
    /// Whether the tower has no class token, and a bias of its patches.
    let isSigLIP: Bool
    /// Upstream's names of what is in no block.
    private let plain: [String: String]

    private static let block = "v.blk."
    private static let tower = "model.vision_tower.vision_tower.vision_model."
    private static let shared = [
      "v.patch_embd.weight": "embeddings.patch_embedding.weight",
      "v.position_embd.weight": "embeddings.position_embedding.weight",
      "v.post_ln.weight": "post_layernorm.weight", "v.post_ln.bias": "post_layernorm.bias",
    ]
    private static let ofCLIP = [
      "v.class_embd": "embeddings.class_embedding",
      "v.pre_ln.weight": "pre_layrnorm.weight", "v.pre_ln.bias": "pre_layrnorm.bias",
    ]
    private static let ofSigLIP = ["v.patch_embd.bias": "embeddings.patch_embedding.bias"]
    private static let inner = [
      "ln1": "layer_norm1", "ln2": "layer_norm2", "attn_q": "self_attn.q_proj",
      "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj", "attn_out": "self_attn.out_proj",
      "ffn_up": "mlp.fc1", "ffn_down": "mlp.fc2",
    ]

    var hasPostNorm: Bool { originals[Self.tower + "post_layernorm.weight"] != nil }

    init(_ names: [CheckpointFacts.Name], _ json: JSONValue) throws(ModelError) {
      let shapes = Dictionary(names.map { ($0.name, $0.shape) }, uniquingKeysWith: { a, _ in a })
      layers = 1 + (names.compactMap { Self.part($0.name)?.layer }.max() ?? -1)
      // Every second layer of a `Sequential` is an activation.
      while shapes["mm.\(projectorLayers * 2).weight"] != nil { projectorLayers += 1 }
      isSigLIP = shapes["v.patch_embd.bias"] != nil && shapes["v.class_embd"] == nil
      plain = (isSigLIP ? Self.ofSigLIP : Self.ofCLIP).merging(Self.shared) { own, _ in own }
      try requireWhole(shapes)
      let width = shapes["v.position_embd.weight"]?.last ?? 0
      for (name, shape) in names {
        let upstream = upstream(name, shapes, width: width)
        originals[upstream] = name
        renamed.append((upstream, shape))
      }
    }

    private static func part(_ name: String) -> (layer: Int, inner: String, kind: String)? {
      let parts = name.split(separator: ".", omittingEmptySubsequences: false)
      guard parts.count == 5, name.hasPrefix(block), let layer = Int(parts[2]),
        (0..<1000).contains(layer), inner[String(parts[3])] != nil
      else { return nil }
      return (layer, String(parts[3]), String(parts[4]))
    }

    private func upstream(
      _ name: String, _ shapes: [String: [Int]], width: Int
    ) -> String {
      if let plain = plain[name] { return Self.tower + plain }
      if let rest = name.dropping("mm.") { return "model.mm_projector." + rest }
      guard let part = Self.part(name) else { return name }
      // Files of llama.cpp's first converter have the two the other way around; so does it tell.
      let isSwapped = shapes["\(Self.block)\(part.layer).ffn_down.weight"]?.last == width
      let others = isSwapped ? ["ffn_up": "ffn_down", "ffn_down": "ffn_up"] : [:]
      let own = others[part.inner] ?? part.inner
      let inner = Self.inner[own] ?? own
      return "\(Self.tower)encoder.layers.\(part.layer).\(inner).\(part.kind)"
    }

    /// Names what is missing as the file would have it.
    private func requireWhole(_ shapes: [String: [Int]]) throws(ModelError) {
      var expected = plain.keys.filter { !$0.hasPrefix("v.post_ln") }.sorted()
      expected += ["mm.0.weight", "mm.0.bias"]
      for layer in 0..<max(1, layers) {
        for name in Self.inner.keys.sorted() {
          expected += ["weight", "bias"].map { "\(Self.block)\(layer).\(name).\($0)" }
        }
      }
      guard let missing = expected.first(where: { shapes[$0] == nil }) else { return }
      throw ModelError(.missingTensor(missing))
    }
  }
}
