import VLMFoundation
import VLMTensor

/// CLIP's image tower with a classifier that people put on it, or by itself in files that only have
/// that: `CLIPForImageClassification`, and modules that have a CLIP of transformers', open_clip's or
/// OpenAI's as one of their parts.
enum CLIPHead {
  /// First parts of the names that go with the image tower in a CLIP of open_clip's.
  static let openCLIPTexts: Set<Substring> = [
    "transformer", "token_embedding", "positional_embedding", "ln_final", "text_projection", "text",
    "logit_scale", "logit_bias", "attn_mask", "input_resolution", "context_length", "vocab_size",
  ]

  /// What the names of a CLIP look like behind a prefix.
  private enum Form: CaseIterable {
    case huggingFace
    /// transformers 5's `CLIPVisionModel`.
    case huggingFaceTower
    case openCLIP
    /// The module `visual` of the same.
    case openCLIPTower

    /// Names that such a tower has, behind the prefix.
    var marks: [String] {
      switch self {
      case .huggingFace: ["vision_model.embeddings.patch_embedding.weight"]
      case .huggingFaceTower:
        ["embeddings.patch_embedding.weight", "embeddings.class_embedding"]
      case .openCLIP: ["visual.conv1.weight", "visual.class_embedding"]
      case .openCLIPTower:
        ["conv1.weight", "class_embedding", "positional_embedding", "ln_pre.weight"]
      }
    }

    /// What the rest of the code expects before the names.
    var scope: String {
      switch self {
      case .huggingFace, .openCLIP: ""
      case .huggingFaceTower: "vision_model."
      case .openCLIPTower: "visual."
      }
    }

    /// First parts of the tower's names, and of those of what goes with it in a CLIP.
    var parts: (tower: Set<Substring>, others: Set<Substring>) {
      switch self {
      case .huggingFace:
        (
          ["vision_model", "visual_projection"],
          ["text_model", "text_projection", "logit_scale", "logit_bias"]
        )
      case .huggingFaceTower:
        (["embeddings", "pre_layrnorm", "encoder", "post_layernorm"], [])
      case .openCLIP:
        (
          ["visual"], openCLIPTexts
        )
      case .openCLIPTower:
        (
          [
            "conv1", "class_embedding", "positional_embedding", "ln_pre", "ln_post",
            "transformer", "proj",
          ], []
        )
      }
    }
  }

  /// A checkpoint's names by what they are.
  private struct Parts {
    let form: Form
    let prefix: String
    /// As the rest of the code expects them.
    var tower: [CheckpointFacts.Name] = []
    var texts: [CheckpointFacts.Name] = []
    /// Their own names.
    var leftInside: [CheckpointFacts.Name] = []
    var leftOutside: [CheckpointFacts.Name] = []
    var original: [String: String] = [:]

    /// Nil where there is no CLIP, or several.
    init?(_ names: [CheckpointFacts.Name]) {
      let all = Set(names.map(\.name))
      var places: [(Form, String)] = []
      for form in Form.allCases where places.isEmpty {
        for name in names where name.name.hasSuffix(form.marks[0]) {
          let prefix = String(name.name.dropLast(form.marks[0].count))
          guard prefix.isEmpty || prefix.hasSuffix("."),
            form.marks.allSatisfy({ all.contains(prefix + $0) })
          else { continue }
          places.append((form, prefix))
        }
      }
      guard places.count == 1, let (form, prefix) = places.first else { return nil }
      (self.form, self.prefix) = (form, prefix)
      for (name, shape) in names {
        guard let inside = name.dropping(prefix) else {
          leftOutside.append((name, shape))
          continue
        }
        let first = inside.prefix { $0 != "." }
        guard form.parts.tower.contains(first) || form.parts.others.contains(first) else {
          leftInside.append((name, shape))
          continue
        }
        let expected = form.scope + inside
        original[expected] = name
        if form.parts.tower.contains(first) {
          tower.append((expected, shape))
        } else {
          texts.append((expected, shape))
        }
      }
      guard prefix.isEmpty || (tower.count + texts.count) * 2 > names.count else { return nil }
    }

    /// Parameters among the tower's own that are in no module.
    var loose: [String] {
      leftInside.filter { name in
        let inside = name.name.dropping(prefix) ?? name.name
        return !inside.contains(".") && !HeadModule.isInert(name)
          && !ViTNaming.isOfTexts(inside)
      }.map(\.name)
    }

    func restore(_ model: ModelCheckpoint) -> ModelCheckpoint {
      model.renamed(original, naming: model.naming)
    }
  }

  /// - Returns: nil where there is nothing but a CLIP in one of its usual forms.
  /// - Throws: `ModelError` when the tensors contradict each other or the description.
  static func recognise(_ facts: CheckpointFacts) throws(ModelError) -> ModelCheckpoint? {
    guard let parts = Parts(facts.names) else { return nil }
    let left = parts.leftInside + parts.leftOutside
    let modules = HeadModule.modules(of: left)
    let isUsual = parts.prefix.isEmpty && parts.form != .openCLIPTower
    if modules.isEmpty, isUsual { return nil }
    guard modules.count <= 40 else {
      // What has as many is no head, but another model's larger part.
      guard isUsual else { return nil }
      var model = try whole(parts, facts, left: left, fault: nil)
      model?.unexpected += modules.flatMap(\.names)
      return model
    }
    let isTransformers =
      parts.leftOutside.isEmpty && parts.form == .huggingFace
      && parts.leftInside.allSatisfy { $0.name.hasPrefix(parts.prefix + "classifier.") }
      && !parts.leftInside.isEmpty
      && !parts.tower.contains { $0.name == ViTNaming.projection }
    guard
      var tower = try tower(parts, facts.description, isTransformers ? .patchMean : .pooled)
    else { return nil }
    var search = HeadSearch(
      inner: [], outer: modules, prefix: parts.prefix.split(separator: "."),
      option: facts.headActivation)
    search.usual = .gelu
    let width = tower.config.encoder.width
    let widths = [tower.config.projection, width].compactMap { $0 }
    switch search.run(widths.first == width ? [width] : widths) {
    case .nothing:
      var model = try whole(parts, facts, left: left, fault: nil)
      model?.unexpected += parts.loose
      return model
    case .fault(let fault): return try whole(parts, facts, left: left, fault: fault)
    case .found(let found):
      if tower.config.projection != nil, found.inputs != tower.config.projection {
        tower.config.projection = nil
        tower.tensors["projection"] = nil
      }
      tower.config.classifier = found.layers
      try tower.config.validate()
      var notes = tower.notes + found.notes
      if !isTransformers {
        let name = tower.config.projection == nil ? "pooled" : "projected"
        notes.append(
          "the head is taken to stand on the image's \(name) vector, not brought to length 1")
      }
      var model = parts.restore(
        ModelCheckpoint(
          description: ModelDescription(ViTFamily.self, tower.config), naming: tower.naming,
          tensors: tower.tensors,
          unused: tower.unused, notes: notes))
      for (name, source) in found.sources { model.tensors["classifier.\(name)"] = source }
      model.hasOpenHead = found.isOpen
      model.unexpected = tower.unexpected.map { parts.original[$0] ?? $0 }
      model.unexpected += parts.loose
      let used = Set(found.sources.values.map(\.original))
      model.addUnused(left.map(\.name).filter { !used.contains($0) })
      model.leaveOutTexts(parts.texts.compactMap { parts.original[$0.name] })
      return model
    }
  }

  /// The CLIP that the names hold, with what is beside it left out.
  private static func whole(
    _ parts: Parts, _ facts: CheckpointFacts, left: [CheckpointFacts.Name], fault: HeadFault?
  ) throws(ModelError) -> ModelCheckpoint? {
    let inner = facts.with(names: parts.tower + parts.texts)
    guard var model = try Registry.recognise(inner).map(parts.restore) else {
      return nil
    }
    model.addUnused(left.map(\.name))
    model.headFault = fault
    return model
  }

  private struct Tower {
    var config: ViTConfig
    var tensors: [String: ModelCheckpoint.Source]
    let unused: [String]
    let unexpected: [String]
    let notes: [Note]
    let naming: String
  }

  private static func tower(
    _ parts: Parts, _ description: JSONValue?, _ feature: ViTConfig.Feature
  ) throws(ModelError) -> Tower? {
    switch parts.form {
    case .huggingFace, .huggingFaceTower:
      let found = try ViTCheckpoint(
        names: parts.tower, description: description,
        ViTCheckpoint.Selection(feature: feature))
      return found.map {
        Tower(
          config: $0.config, tensors: $0.tensors, unused: $0.unused, unexpected: $0.unexpected,
          notes: description == nil ? [ViTCheckpoint.guessed] : $0.notes, naming: "hugging-face")
      }
    case .openCLIP, .openCLIPTower:
      return try OpenCLIPViT(parts.tower, description).map {
        Tower(
          config: $0.config, tensors: $0.tensors, unused: $0.unused, unexpected: $0.unexpected,
          notes: $0.notes, naming: "open_clip")
      }
    }
  }
}
