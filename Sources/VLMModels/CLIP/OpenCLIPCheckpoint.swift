import VLMFoundation
import VLMTensor

/// An open_clip checkpoint with both towers, recognised by its tensors' names.
enum OpenCLIPCheckpoint {
  /// The model that the tensors make up; nil when they are none of these.
  ///
  /// - Throws: `ModelError` when the tensors contradict each other or the description, and for an
  ///   image tower of another kind.
  static func recognise(_ facts: CheckpointFacts) throws(ModelError) -> ModelCheckpoint? {
    guard facts.names.contains(where: { $0.name.hasPrefix("visual.") }) else { return nil }
    var text: [String: ModelCheckpoint.Source] = [:]
    var imageNames: [CheckpointFacts.Name] = []
    for (name, shape) in facts.names {
      guard let ours = canonical(name) else {
        imageNames.append((name, shape))
        continue
      }
      let stated = ours.hasPrefix("logit_") && shape.isEmpty ? [1] : shape
      try text.add(.init(original: name, shape: stated), as: ours)
    }
    let stated = try OpenCLIPDescription(facts.description)
    if ConvNeXtLocation(imageNames.map(\.name))?.naming == .openCLIP {
      try stated.vision?.check(.openCLIPTimm)
      // Files of the image tower alone are a ConvNeXt, and so is one with a classifier on top.
      guard text["text.tokens.weight"] != nil,
        let image = try ConvNeXtCheckpoint(
          names: imageNames, description: facts.description, activation: facts.headActivation)
      else { return nil }
      var model = image.model
      guard image.config.head.output?.meaning == .embedding else {
        model.leaveOutTexts(text.values.map(\.original))
        return model
      }
      var found = try whole(
        image.config, image.tensors, text, unused: image.unused, facts.description,
        notes: image.notes)
      found.headFault = image.headFault
      found.unexpected = unreadTexts(imageNames)
      return found
    }
    if let model = try fastViT(imageNames, text, facts.description) { return model }
    if let model = try plainViT(imageNames, text, facts.description) { return model }
    guard let image = try OpenCLIPViT(imageNames, facts.description) else {
      try refuse(imageNames, facts.description)
      return nil
    }
    var model =
      text["text.tokens.weight"] == nil
      ? ModelCheckpoint(
        description: ModelDescription(ViTFamily.self, image.config), naming: "open_clip",
        tensors: image.tensors,
        unused: image.unused + text.values.map(\.original).sorted(), notes: image.notes)
      : try whole(
        image.config, image.tensors, text, unused: image.unused, facts.description,
        notes: image.notes)
    model.unexpected = image.unexpected
    if model.description.config.text != nil { model.unexpected += unreadTexts(imageNames) }
    return model
  }

  /// A MobileCLIP: its image tower's classifier is the projection.
  private static func fastViT(
    _ names: [CheckpointFacts.Name], _ text: [String: ModelCheckpoint.Source],
    _ description: JSONValue?
  ) throws(ModelError) -> ModelCheckpoint? {
    guard text["text.tokens.weight"] != nil,
      let image = try FastViTCheckpoint(names, description, .embedding)
    else { return nil }
    try OpenCLIPDescription(description).vision?.check(.openCLIPTimm)
    guard image.config.head != nil else { throw ModelError(.missingTensor("head.fc.weight")) }
    var found = try whole(
      image.config, image.tensors, text, unused: image.unused, description, notes: image.notes)
    found.unexpected = image.unexpected + unreadTexts(names)
    return found
  }

  /// A MobileCLIP-B or another CLIP around a ViT of timm's: its classifier is the projection.
  private static func plainViT(
    _ names: [CheckpointFacts.Name], _ text: [String: ModelCheckpoint.Source],
    _ description: JSONValue?
  ) throws(ModelError) -> ModelCheckpoint? {
    let scope = "visual.trunk."
    let inner = names.compactMap { name in
      name.name.dropping(scope).map { CheckpointFacts.Name($0, name.shape) }
    }
    let stated = try OpenCLIPDescription(description)
    guard text["text.tokens.weight"] != nil, stated.timmName?.hasPrefix("vit_") ?? true else {
      return nil
    }
    var described = JSONObject()
    if let name = stated.timmName { described.set("architecture", .string(name)) }
    if let pool = try stated.vision?.statedString("timm_pool") {
      described.set("global_pool", .string(pool))
    }
    let own = described.members.isEmpty ? nil : JSONValue.object(described)
    guard let image = try PlainViTCheckpoint(inner, own), image.naming == .timm else { return nil }
    try stated.vision?.check(.openCLIPTimmViT)
    var tower = image.config
    guard !tower.classifier.isEmpty else { throw ModelError(.missingTensor("head.weight")) }
    tower.isJoint = true
    try stated.vision?.checkSide(
      "image_size", patches: tower.tableSide, patchSize: tower.patchSize)
    let sources = image.tensors.mapValues { $0.renamed { scope + $0 } }
    let rest = names.filter { !$0.name.hasPrefix(scope) }
    var found = try whole(
      tower, sources, text, unused: image.unused.map { scope + $0 } + rest.map(\.name),
      description, notes: image.notes)
    found.unexpected =
      image.unexpected.map { scope + $0 } + unreadTexts(names)
      + rest.filter { $0.name.hasPrefix("visual.") && !HeadModule.isInert($0) }.map(\.name)
    return found
  }

  /// Those of `names`, none of them read as the text tower's, that are a text tower's all the same.
  private static func unreadTexts(_ names: [CheckpointFacts.Name]) -> [String] {
    names.filter { name in
      CLIPHead.openCLIPTexts.contains(name.name.prefix { $0 != "." }) && !HeadModule.isInert(name)
    }.map(\.name)
  }

  private static func whole(
    _ tower: any VisionTowerConfig, _ image: [String: ModelCheckpoint.Source],
    _ text: [String: ModelCheckpoint.Source], unused: [String], _ description: JSONValue?,
    notes: [Note] = []
  ) throws(ModelError) -> ModelCheckpoint {
    let isOpenAI = OpenCLIPViT.isOpenAI(unused)
    var config = CLIPConfig(
      image: tower,
      text: try textConfig(text.mapValues(\.shape), description, isOpenAI: isOpenAI))
    config.hasBias = text["logit_bias"] != nil
    try config.validate()
    let isBiased = try OpenCLIPDescription(description).hasBias
    if isBiased, !config.hasBias {
      throw ModelError(.missingTensor("logit_bias"))
    }
    var tensors = text
    for (name, source) in image { tensors["image.\(name)"] = source }
    return ModelCheckpoint(
      description: ModelDescription(CLIPFamily.self, config), naming: "open_clip", tensors: tensors,
      unused: unused,
      notes: notes)
  }

  /// What open_clip has besides, by its name.
  private static func refuse(
    _ names: [CheckpointFacts.Name], _ description: JSONValue?
  ) throws(ModelError) {
    let name = try OpenCLIPDescription(description).timmName
    let kind: String
    if names.contains(where: { $0.name.hasPrefix("visual.trunk.") }) {
      kind = name.map { "timm's '\($0)'" } ?? "a model of timm's"
    } else if names.contains(where: { $0.name.hasPrefix("visual.attnpool.") }) {
      kind = "a ResNet"
    } else {
      return
    }
    throw ModelError(
      .configuration(
        field: "visual", found: kind,
        expected: "a ConvNeXt, a FastViT, a ViT of timm's, or open_clip's own transformer"))
  }

  /// Our name for a tensor that is not the image tower's: those of `CLIP` lie at the top, those of
  /// `CustomTextCLIP` under "text.".
  static func canonical(_ name: String) -> String? {
    if name == "logit_scale" || name == "logit_bias" { return name }
    let inner = name.dropping("text.") ?? name
    switch inner {
    case "token_embedding.weight": return "text.tokens.weight"
    case "positional_embedding": return "text.positions"
    case "text_projection", "text_projection.weight": return "text.projection"
    case "text_projection.bias": return "text.projection_bias"
    case "ln_final.weight": return "text.norm.weight"
    case "ln_final.bias": return "text.norm.bias"
    default: break
    }
    guard let rest = inner.dropping("transformer.resblocks.") else { return nil }
    let part = rest.split(separator: ".", maxSplits: 1)
    guard part.count == 2, let ours = layerNames[String(part[1])] else { return nil }
    return "text.layers.\(part[0]).\(ours)"
  }

  static let layerNames = [
    "ln_1.weight": "norm1.weight", "ln_1.bias": "norm1.bias",
    "attn.in_proj_weight": "attention.qkv.weight", "attn.in_proj_bias": "attention.qkv.bias",
    "attn.out_proj.weight": "attention.out.weight", "attn.out_proj.bias": "attention.out.bias",
    "ln_2.weight": "norm2.weight", "ln_2.bias": "norm2.bias",
    "mlp.c_fc.weight": "mlp.fc1.weight", "mlp.c_fc.bias": "mlp.fc1.bias",
    "mlp.c_proj.weight": "mlp.fc2.weight", "mlp.c_proj.bias": "mlp.fc2.bias",
  ]

  /// - Parameter shapes: by our names, "text." before them.
  static func textConfig(
    _ shapes: [String: [Int]], _ description: JSONValue?, isOpenAI: Bool = false
  ) throws(ModelError) -> TextTowerConfig {
    let stated = try OpenCLIPDescription(description)
    try stated.text?.check(.openCLIPText)
    let facts = try TextTowerFacts(shapes, layout: .openCLIP)
    let isQuick = try stated.quickGELU() ?? isOpenAI
    var config = facts.config(
      heads: try stated.textHeads(width: facts.width), activation: isQuick ? .quickGELU : .gelu)
    guard let text = stated.text else {
      // A projection with a bias is SigLIP's; the second one has Gemma's vocabulary, and GELU by tanh.
      guard config.hasProjectionBias else { return config }
      (config.isCausal, config.pooling) = (false, .last)
      config.encoder.heads = SigLIPDescription.heads(ofWidth: facts.width)
      config.encoder.epsilon = SigLIPDescription.epsilon
      if facts.vocabulary > 200_000 { config.encoder.activation = .geluTanh }
      try config.validate()
      return config
    }
    config.isCausal = try text.statedBool("no_causal_mask") != true
    if try text.statedString("pool_type") == "last" { config.pooling = .last }
    if let epsilon = try stated.textEpsilon() { config.encoder.epsilon = epsilon }
    let hasTanh = try stated.textHasTanh()
    if hasTanh, !isQuick { config.encoder.activation = .geluTanh }
    if let bias = try text.statedBool("proj_bias"), bias != config.hasProjectionBias {
      throw text.refusal(
        "proj_bias", found: "\(bias)",
        expected: "\(config.hasProjectionBias), as the tensors have it")
    }
    if config.pooling == .end, !config.isCausal, let pad = try text.statedInt("pad_id"), pad != 0 {
      throw text.refusal("pad_id", found: "\(pad)", expected: "0, as texts are not masked")
    }
    try stated.check(config)
    try config.validate()
    return config
  }
}
