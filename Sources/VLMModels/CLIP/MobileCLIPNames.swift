import VLMFoundation
import VLMTensor

/// A MobileCLIP's tensors under the names of Apple's own code, ml-mobileclip, brought to open_clip's.
struct MobileCLIPNames {
  /// open_clip's names, with the shapes that it has.
  private(set) var names: [CheckpointFacts.Name] = []
  /// Apple's names, by those.
  private(set) var originals: [String: String] = [:]
  /// open_clip's names of matrices that Apple stores with an axis of inputs first.
  private(set) var transposed: Set<String> = []
  /// open_clip's name of a bias that Apple's classifiers do not have.
  private(set) var zeroBias: String?
  /// Tensors of blocks of convolutions before and behind the layers of the tower for texts, by timm's
  /// names of a FastViT's block.
  private(set) var convolutions: [[(timm: String, stored: CheckpointFacts.Name)]] = []
  /// As open_clip describes such a model.
  let description: JSONValue

  private static let image = "image_encoder.model."
  private static let text = "text_encoder."
  private static let trunk = "visual.trunk."
  private static let layers = "transformer."

  /// Whether `names` are those of such a model.
  static func arePresent(in names: [String]) -> Bool {
    names.contains(text + "embedding_layer.weight") && names.contains { $0.hasPrefix(image) }
  }

  /// - Returns: nil for another model.
  /// - Throws: `ModelError` for blocks of convolutions in other places than upstream's.
  init?(_ all: [CheckpointFacts.Name]) throws(ModelError) {
    guard Self.arePresent(in: all.map(\.name)) else { return nil }
    let inner = all.compactMap { $0.name.dropping(Self.image) }
    let isViT = inner.contains("patch_emb.0.block.conv.weight")
    description = Self.description(isViT: isViT)
    let timm = isViT ? inner.map(Self.timmViT) : FastViTNaming.apple.timm(inner)
    let trunk = Dictionary(zip(inner, timm)) { first, _ in first }
    let places = try Self.convolutionPlaces(all)
    convolutions = Array(repeating: [], count: places?.count ?? 0)
    for (name, shape) in all {
      if let rest = name.dropping(Self.image), let ours = trunk[rest] {
        addImage(ours, (name, shape), isViT: isViT)
      } else if let rest = name.dropping(Self.text) {
        addText(rest, (name, shape), places)
      } else {
        add(name, (name, shape))
      }
    }
  }

  private mutating func add(_ ours: String, _ stored: CheckpointFacts.Name, shape: [Int]? = nil) {
    names.append((ours, shape ?? stored.shape))
    originals[ours] = stored.name
  }

  private mutating func addImage(_ ours: String, _ stored: CheckpointFacts.Name, isViT: Bool) {
    let shape = stored.shape
    if ours == "head.proj" || ours == "classifier.proj" {
      let weight = Self.trunk + (isViT ? "head.weight" : "head.fc.weight")
      add(weight, stored, shape: shape.reversed())
      transposed.insert(weight)
      guard isViT, let outputs = shape.last else { return }
      let bias = Self.trunk + "head.bias"
      names.append((bias, [outputs]))
      zeroBias = bias
    } else if ours == "pos_embed" {
      add(Self.trunk + ours, stored, shape: Self.suffix(shape, 3))
    } else {
      add(Self.trunk + ours, stored)
    }
  }

  private mutating func addText(
    _ rest: String, _ stored: CheckpointFacts.Name, _ places: [Int]?
  ) {
    if rest == "positional_embedding.pos_embed.pos_embed" {
      return add("text.positional_embedding", stored, shape: Self.suffix(stored.shape, 2))
    }
    if let ours = Self.textNames[rest] { return add("text." + ours, stored) }
    guard let (index, leaf) = Self.layer(rest) else { return add("text." + rest, stored) }
    if let place = places?.firstIndex(of: index) {
      // Its names are those of a FastViT's first block.
      let timm = FastViTNaming.apple.timm(["network.0.0." + leaf])[0]
      let block = timm.dropping("stages.0.blocks.0.") ?? timm
      convolutions[place].append((timm: block, stored: stored))
      return
    }
    let ours = Self.layerNames[leaf] ?? leaf
    let number = places == nil ? index : index - 1
    add("text.transformer.resblocks.\(number).\(ours)", stored)
  }

  /// Without extents of 1 in front, so that `rank` are left.
  private static func suffix(_ shape: [Int], _ rank: Int) -> [Int] {
    let extra = max(0, shape.count - rank)
    return shape.prefix(extra).allSatisfy { $0 == 1 } ? Array(shape.dropFirst(extra)) : shape
  }

  /// Of "transformer.3.pre_norm_mha.0.weight", 3 and "pre_norm_mha.0.weight".
  private static func layer(_ rest: String) -> (index: Int, leaf: String)? {
    guard let inner = rest.dropping(layers) else { return nil }
    let part = inner.split(separator: ".", maxSplits: 1)
    guard part.count == 2, let index = Int(part[0]), String(index) == part[0], index < 1000
    else { return nil }
    return (index, String(part[1]))
  }

  /// Where the tower for texts has blocks of convolutions: before all layers and behind them, or not
  /// at all.
  private static func convolutionPlaces(
    _ names: [CheckpointFacts.Name]
  ) throws(ModelError) -> [Int]? {
    var (found, last): (Set<Int>, Int) = ([], 0)
    for (name, _) in names {
      guard let rest = name.dropping(text), let (index, leaf) = layer(rest) else {
        continue
      }
      last = max(last, index)
      if leaf.hasPrefix("token_mixer.") { found.insert(index) }
    }
    if found.isEmpty { return nil }
    guard last > 1, found == [0, last] else {
      let places = found.sorted().map(String.init).joined(separator: ", ")
      throw ModelError(
        .configuration(
          field: "text_encoder.transformer", found: "convolutions in \(places) of 0 to \(last)",
          expected: "in the first and the last, with layers of attention between them"))
    }
    return [0, last]
  }

  /// As timm's `_convert_mobileclip` does it.
  private static func timmViT(_ name: String) -> String {
    if name == "pos_embed.pos_embed.pos_embed" { return "pos_embed" }
    if let rest = name.dropping("post_transformer_norm.") { return "norm." + rest }
    if let rest = name.dropping("patch_emb.") {
      let parts = rest.parts(between: ".block.norm.")
      if parts.count == 2 { return PlainViTNaming.stem + parts.joined(separator: ".bn.") }
      return PlainViTNaming.stem + rest.parts(between: ".block.").joined(separator: ".")
    }
    guard let (index, leaf) = layer(name) else { return name }
    return "blocks.\(index)." + (viTNames[leaf] ?? leaf)
  }

  private static func description(isViT: Bool) -> JSONValue {
    // The texts of MobileCLIP-B alone are read under a causal mask.
    let vision: JSONValue =
      isViT
      ? ["timm_model_name": "vit_base_mci_224", "timm_pool": "token"]
      : ["timm_model_name": "fastvit_mci0", "timm_pool": "avg"]
    return ["vision_cfg": vision, "text_cfg": ["no_causal_mask": .bool(!isViT), "heads": 8]]
  }

  private static let textNames = [
    "embedding_layer.weight": "token_embedding.weight", "projection_layer": "text_projection",
    "final_layer_norm.weight": "ln_final.weight", "final_layer_norm.bias": "ln_final.bias",
  ]

  /// Of a layer, in open_clip's words and in timm's.
  private static let leaves = [
    ("pre_norm_mha.0.", "ln_1.", "norm1."),
    ("pre_norm_mha.1.out_proj.", "attn.out_proj.", "attn.proj."),
    ("pre_norm_mha.1.qkv_proj.", "attn.in_proj_", "attn.qkv."),
    ("pre_norm_ffn.0.", "ln_2.", "norm2."), ("pre_norm_ffn.1.", "mlp.c_fc.", "mlp.fc1."),
    ("pre_norm_ffn.4.", "mlp.c_proj.", "mlp.fc2."),
  ]
  private static let layerNames = table { $0.1 }
  private static let viTNames = table { $0.2 }

  private static func table(
    _ word: (_ leaf: (String, String, String)) -> String
  ) -> [String: String] {
    var names: [String: String] = [:]
    for leaf in leaves {
      for kind in ["weight", "bias"] { names[leaf.0 + kind] = word(leaf) + kind }
    }
    return names
  }
}
