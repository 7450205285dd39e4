import VLMFoundation
import VLMTensor

/// SigLIP's vision tower found among a checkpoint's tensors.
struct SigLIPCheckpoint: FoundTower {
  /// What is wanted of the tower.
  enum Purpose {
    /// A vector for the picture, or its classes where there is a classifier.
    case image
    /// The tokens of some of transformers' `hidden_states`, -1 the last one, for a language model.
    /// What comes behind them is left out.
    case layers([Int])

    var isImage: Bool { if case .image = self { true } else { false } }
  }

  let config: SigLIPConfig
  let naming: SigLIPNaming
  let tensors: [String: ModelCheckpoint.Source]
  /// Tensors that are no part of what is run, but for `texts`.
  private(set) var unused: [String] = []
  /// Tensors of a tower for texts, and of what both meet in.
  private(set) var texts: [CheckpointFacts.Name] = []
  private(set) var unexpected: [String] = []
  private(set) var notes: [Note]

  /// - Parameters:
  ///   - names: tensors with their shapes; of the tower's own everything, and what is beside it.
  ///   - description: `config.json` or `open_clip_config.json`, if there.
  ///   - place: what the description is called in messages.
  /// - Returns: nil when there is no such tower, or it is part of a class that is not known.
  /// - Throws: `ModelError` when the tensors contradict each other or the description.
  init?(
    _ names: [CheckpointFacts.Name], _ description: JSONValue?, place: String = "config.json",
    _ purpose: Purpose
  ) throws(ModelError) {
    let all = Set(names.map(\.name))
    // With a description that says what it is, one of them may be asked for by its name.
    let site =
      SigLIPNaming.find(all)
      ?? (SigLIPStatement.isSigLIP(description) ? SigLIPNaming.find(all, lacking: 1) : nil)
    guard let (naming, prefix) = site,
      try SigLIPStatement.isOwn(description, naming, isTower: !purpose.isImage, place: place),
      try !SigLIPDescription.isOther(description, naming)
    else { return nil }
    var found: [String: ModelCheckpoint.Source] = [:]
    for (name, shape) in names {
      let ours = naming.classifier(name) ?? name.dropping(prefix).flatMap(naming.canonical)
      if let ours {
        found[ours] = ModelCheckpoint.Source(
          original: name, shape: Self.stated(shape, of: ours))
      } else if naming.isOfTexts(name) {
        texts.append((name, shape))
      } else {
        unused.append(name)
        if !HeadModule.isInert((name, shape)) { unexpected.append(name) }
      }
    }
    // A ViT of timm's with nothing to say which it is.
    let isNamed = try SigLIPDescription.timmName(description) != nil
    if naming == .timm, !isNamed, !found.keys.contains(where: { $0.hasPrefix("head.") }) {
      return nil
    }
    let shapes = SigLIPShapes(found.mapValues(\.shape), naming, place)
    do throws(ModelError) {
      let (config, notes) = try shapes.config(description, purpose)
      (self.config, self.notes) = (config, notes)
    } catch {
      guard case .missingTensor(let name, _) = error.problem else { throw error }
      // What belongs to another part is no help in finding it.
      let part = name.prefix { $0 != "." } + "."
      throw error.beside(found.filter { ours, _ in ours.hasPrefix(part) })
    }
    self.naming = naming
    let config = self.config
    tensors = found.filter { Self.isPart($0.key, of: config) }
    unused += found.filter { !Self.isPart($0.key, of: config) }.map(\.value.original).sorted()
  }

  /// Leaves the tower for texts out.
  ///
  /// - Parameter tells: whether a note says so.
  mutating func leaveOutTexts(tells: Bool) {
    let names = texts.map(\.name)
    unused += names
    texts = []
    guard tells, let last = names.max() else { return }
    notes.append(
      "the image tower alone: the tower for texts, \(names.count) tensors such as '\(last)', is "
        + "left out")
  }

  /// Extents of 1 that stand in front of positions and probe say nothing.
  private static func stated(_ shape: [Int], of ours: String) -> [Int] {
    let rank = ["embeddings.position": 2, "head.probe": 1][ours]
    guard let rank, shape.count > rank, shape.dropLast(rank).allSatisfy({ $0 == 1 }) else {
      return shape
    }
    return Array(shape.suffix(rank))
  }

  /// Whether a tensor is of what is run; the others are the tower's too.
  private static func isPart(_ name: String, of config: SigLIPConfig) -> Bool {
    if name.hasPrefix("post_norm.") { return config.feature.isVector }
    if name.hasPrefix("head.") { return config.feature == .attentionPooled }
    if name.hasPrefix("classifier.") { return !config.classifier.isEmpty }
    return config.encoder.runs(name)
  }
}

/// Works out the configuration from the shapes of the tower's tensors, and from the description what
/// shapes cannot tell.
private struct SigLIPShapes {
  private let shapes: PatchTransformerShapes
  private let naming: SigLIPNaming
  /// What the description is called in messages.
  private let place: String

  init(_ shapes: [String: [Int]], _ naming: SigLIPNaming, _ place: String) {
    self.shapes = PatchTransformerShapes(shapes)
    (self.naming, self.place) = (naming, place)
  }

  func config(
    _ description: JSONValue?, _ purpose: SigLIPCheckpoint.Purpose
  ) throws(ModelError) -> (SigLIPConfig, notes: [Note]) {
    for name in naming.requiredNames where shapes[name] == nil {
      // Files for a language model may lack the norm behind the layers, which it does not read.
      guard purpose.isImage || !name.hasPrefix("post_norm.") else { continue }
      throw ModelError(.missingTensor(name))
    }
    let (width, patchSize, isFlattened) = try patches(description, purpose)
    let positions = try shapes.shape("embeddings.position", rank: 2)[0]
    let layers = try shapes.layers()
    let hidden = try shapes.shape("layers.0.mlp.fc1.weight", rank: 2)[0]
    let facts = try SigLIPDescription(
      description, naming, place: place, width: width, patchSize: patchSize,
      positions: positions)
    var config = SigLIPConfig(
      imageSize: 0, patchSize: patchSize,
      encoder: TransformerConfig(
        width: width, layers: layers, heads: facts.heads, hidden: hidden,
        activation: facts.activation, epsilon: facts.epsilon),
      feature: .patches)
    if naming == .timm {
      (config.layout, config.resampling) = (.timm, .antialiased)
    }
    if isFlattened { (config.isFlattened, config.resampling) = (true, .antialiasedBilinear) }
    let wide = naming == .timm ? facts.wideImages : []
    let (grid, _) = try shapes.table(
      classToken: false,
      stated: wide.map { config.patches(height: $0.height, width: $0.width) },
      key: naming == .timm ? "model_args.img_size" : nil)
    // timm's pictures are what patches fill.
    (config.imageSize, config.imageWidth) = try PatchTransformerShapes.image(
      grid, patchSize: patchSize, stated: facts.imageSizes, isExact: isFlattened || naming == .timm)
    var notes = facts.notes
    switch purpose {
    case .layers(let selected):
      (config.featureLayers, config.encoder.layers) = try FeatureLayers.selected(
        selected, of: layers)
    case .image:
      let hasHead = shapes.hasModule("head")
      if hasHead, shapes["head.probe"] == nil { throw ModelError(.missingTensor("head.probe")) }
      let classes = try classCount(facts)
      // transformers' class has a pooling head that its classifier does not look at.
      if naming == .huggingFace, classes != nil {
        config.feature = .patchMean
      } else {
        config.feature = try facts.pooling.feature(hasHead: hasHead, notes: &notes)
      }
      if let classes { config.classifier = [.linear(outputs: classes, bias: true)] }
    }
    try config.validate()
    try check(facts, config, layers: layers)
    if isFlattened { try facts.checkPatches(positions) }
    return (config, notes)
  }

  /// What the embedding of patches tells: columns of a token, pixels along a patch, and whether it is a
  /// linear layer.
  private func patches(
    _ description: JSONValue?, _ purpose: SigLIPCheckpoint.Purpose
  ) throws(ModelError) -> (width: Int, patchSize: Int, isFlattened: Bool) {
    let name = "embeddings.patch.weight"
    let isNaFlex = SigLIPStatement.isNaFlex(description)
    guard let found = shapes[name] else { throw ModelError(.missingTensor(name)) }
    if naming == .huggingFace, isNaFlex ?? (found.count == 2), purpose.isImage {
      guard found.count == 2 else {
        throw ModelError(.shape(name, found: found, expected: [found.first ?? -1, -1]))
      }
      let side = Int((Double(max(0, found[1])) / 3).squareRoot().rounded())
      guard side > 0, 3 * side * side == found[1] else {
        throw ModelError(
          .configuration(
            field: "patch_embedding", found: "\(found[1]) columns",
            expected: "three times the square of a whole number"))
      }
      return (found[0], side, true)
    }
    let (width, size) = try shapes.patches()
    return (width, size, false)
  }

  /// Rows of the classifier; nil where there is none, and none is asked for.
  private func classCount(_ facts: SigLIPDescription) throws(ModelError) -> Int? {
    let names = ["classifier.0.weight", "classifier.0.bias"]
    let isStated = facts.classifies || facts.classCounts.contains { $0.value != 0 }
    if names.contains(where: { shapes[$0] != nil }) || isStated {
      for name in names where shapes[name] == nil { throw ModelError(.missingTensor(name)) }
    }
    guard shapes[names[0]] != nil else { return nil }
    let count = try shapes.shape(names[0], rank: 2)[0]
    for (field, stated) in facts.classCounts where stated != count {
      throw ModelError(
        .configuration(
          field: field, found: "\(stated)", expected: "\(count), which the tensors have"))
    }
    return count
  }

  /// A description that contradicts the tensors is another model's.
  private func check(
    _ facts: SigLIPDescription, _ config: SigLIPConfig, layers: Int
  ) throws(ModelError) {
    let found = [
      "hidden_size": config.encoder.width, "embed_dim": config.encoder.width,
      "num_hidden_layers": layers, "depth": layers, "patch_size": config.patchSize,
      "intermediate_size": config.encoder.hidden,
    ]
    for (fields, key) in facts.stated {
      if let count = found[key] { try fields.check(key, is: count) }
    }
  }
}
