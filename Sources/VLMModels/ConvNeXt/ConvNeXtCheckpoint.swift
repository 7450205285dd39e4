import VLMFoundation
import VLMTensor

/// A checkpoint recognised as a ConvNeXt: its geometry, and where each of our tensors comes from.
package struct ConvNeXtCheckpoint: Sendable {
  package typealias Source = ModelCheckpoint.Source

  package let naming: ConvNeXtNaming
  package private(set) var config: ConvNeXtConfig
  /// By our name.
  package private(set) var tensors: [String: Source]
  /// Tensors of the checkpoint that are no part of the image model.
  package private(set) var unused: [String] = []
  /// What a person should know, one line each.
  package private(set) var notes: [Note] = []
  /// A classifier that cannot be run; it is among the unused tensors.
  package private(set) var headFault: HeadFault?
  /// Whether an activation of the head was assumed.
  package private(set) var hasOpenHead = false
  /// What a DINOv3 is shown where no file says it.
  private var assumedSteps: AssumedSteps?

  /// Recognises a ConvNeXt by its tensors' names; nil when they are not a ConvNeXt's.
  ///
  /// - Parameters:
  ///   - names: every tensor of the checkpoint with its shape.
  ///   - description: `config.json` of timm or Hugging Face, or `open_clip_config.json`, if there.
  ///   - activation: what the user says of activations that the file leaves open.
  /// - Throws: `ModelError` when the tensors contradict each other or the description.
  package init?(
    names: [CheckpointFacts.Name], description: JSONValue?,
    activation: HeadActivationOption? = nil
  ) throws(ModelError) {
    try Self.refuseSparse(names)
    guard let place = ConvNeXtLocation(names.map(\.name)) else { return nil }
    naming = place.naming
    var parts = ConvNeXtParts()
    for (name, shape) in names {
      guard let inside = place.inside(name) else {
        parts.outer.append((name, shape))
        continue
      }
      guard let canonical = naming.canonical(inside) else {
        parts.inner.append((name, shape))
        continue
      }
      try parts.tensors.add(
        Source(original: name, shape: Self.modelShape(canonical, shape)), as: canonical)
    }
    parts.sortOut(
      naming, shapes: Dictionary(names.map { ($0.name, $0.shape) }) { first, _ in first })
    tensors = parts.tensors
    config = try ConvNeXtGeometry(
      tensors: parts.tensors, naming: naming, description: description
    ).config(normBeforePool: parts.normsMap)
    try takeHead(parts, place, activation)
    let geometry = try ConvNeXtGeometry(
      tensors: tensors, naming: naming, description: description)
    try geometry.checkAgainstDescription(config)
    assumedSteps = try DINOv3Steps.assumed(naming, names, description)
    try checkBias(place, isStated: geometry.isStated)
    let used = Set(tensors.values.map(\.original))
    unused = names.map(\.name).filter { !used.contains($0) }
  }

  /// What stands on the trunk: its own classifier, or whatever was put in its place or on top.
  private mutating func takeHead(
    _ parts: ConvNeXtParts, _ place: ConvNeXtLocation, _ activation: HeadActivationOption?
  ) throws(ModelError) {
    let prefix = place.prefix.split(separator: ".")
    var search = HeadSearch(
      inner: HeadModule.modules(of: parts.inner),
      outer: HeadModule.modules(of: parts.outer.filter { !place.isOfTexts($0.name) }),
      prefix: prefix, option: activation)
    search.innerComesFirst = naming == .openCLIP
    leaveDecoder(&search)
    if naming == .torchvision { search.firstEpsilon = ConvNeXtConfig.defaultEpsilon }
    let channels = config.featureChannels
    // fastai's body is child 0 of a Sequential, its head child 1, which begins with both poolings.
    let isFastAI =
      prefix.first == "0"
      && search.outer.contains { module in
        guard module.path.first == "1", case .batchNorm = module.kind else { return false }
        return true
      } && search.outer.allSatisfy { $0.path.first == "1" }
    if isFastAI {
      search.usual = .relu
      // Its body ends with the feature map, whatever else the model has.
      search.inner = []
      tensors = tensors.filter { !$0.key.hasPrefix("head.norm.") }
      config.head.normAfterPool = false
    }
    switch search.run(isFastAI ? [2 * channels, channels] : [channels]) {
    case .nothing: break
    case .fault(let fault): headFault = fault
    case .found(let found):
      let own = Set(search.inner.map(\.path))
      let isJoint =
        naming == .openCLIP
        && found.modules.allSatisfy { module in
          module.map { own.contains($0.path) } ?? true
        }
      take(found, isJoint ? .embedding : .classes)
    }
    try config.validate()
  }

  /// The classifiers of all these libraries have a bias: timm and torchvision load no file that lacks
  /// it, and transformers takes zeros with a warning.
  ///
  /// - Parameter isStated: whether a description says which model it is. A file without one may have
  ///   another classifier in that place.
  private mutating func checkBias(
    _ place: ConvNeXtLocation, isStated: Bool
  ) throws(ModelError) {
    guard let output = config.head.output, output.meaning == .classes, !output.bias,
      let name = tensors["head.fc.weight"]?.original,
      place.inside(name).flatMap(naming.canonical) == "head.fc.weight"
    else { return }
    guard !isStated else { throw ModelError(.missingTensor("head.fc.bias", beside: name)) }
    notes.append(
      "the classifier '\(name)' has no bias, unlike those of timm, torchvision and transformers")
  }

  private mutating func take(
    _ found: HeadSearch.Found, _ meaning: ConvNeXtConfig.Head.Meaning
  ) {
    var names: [String] = []
    let layers = found.layers
    if layers.count == 1, case .linear(let outputs, let bias) = layers[0] {
      config.head.output = .init(count: outputs, bias: bias, meaning: meaning)
      names = ["head.fc"]
    } else if layers.count == 3, case .linear(let width, let hasBias) = layers[0],
      layers[1] == .activation(.gelu), case .linear(let outputs, let bias) = layers[2]
    {
      (config.head.hidden, config.head.hiddenBias) = (width, hasBias)
      config.head.output = .init(count: outputs, bias: bias, meaning: meaning)
      names = ["head.pre_logits.fc", "", "head.fc"]
    } else {
      config.head.layers = layers
      config.head.output = .init(
        count: layers.outputs(inputs: found.inputs), bias: false, meaning: meaning)
      names = layers.indices.map { "head.layers.\($0)" }
    }
    if found.inputs != config.featureChannels { config.head.pooling = .maxMean }
    for (name, source) in found.sources {
      guard let dot = name.firstIndex(of: "."), let index = Int(name[..<dot]) else { continue }
      tensors[names[index] + name[dot...]] = source
    }
    hasOpenHead = found.isOpen
    notes += found.notes
  }

  /// What pretraining of ConvNeXt V2 (FCMAE) has behind its encoder, and needs alone.
  private mutating func leaveDecoder(_ search: inout HeadSearch) {
    let all = search.inner + search.outer
    guard all.contains(where: { $0.names.contains { $0.hasSuffix("mask_token") } }) else { return }
    let parts: Set<Substring> = ["decoder", "proj", "pred", ""]
    let outside = search.prefix.last == "encoder" ? Array(search.prefix.dropLast()) : search.prefix
    let isDecoder = { (module: HeadModule) in parts.contains(module.root(besides: outside)) }
    search.inner.removeAll(where: isDecoder)
    search.outer.removeAll(where: isDecoder)
    notes.append(
      "pretraining of ConvNeXt V2 (FCMAE): the encoder gives features; the decoder (mask_token, "
        + "proj, decoder, pred) is left out")
  }

  /// - Throws: `ModelError` for kernels of MinkowskiEngine's.
  private static func refuseSparse(_ names: [CheckpointFacts.Name]) throws(ModelError) {
    guard let kernel = names.first(where: { $0.name.hasSuffix(".dwconv.kernel") }) else { return }
    throw ModelError(
      .configuration(
        field: "tensor '\(kernel.name.escapedForDisplay())'",
        found: "MinkowskiEngine's names, as pretraining of ConvNeXt V2 (FCMAE) saves them",
        expected:
          "those of the dense model; run remap_checkpoint_keys of ConvNeXt-V2's utils.py on "
          + "the checkpoint, torch.save what it returns, and convert that"))
  }

  package var model: ModelCheckpoint {
    var result = ModelCheckpoint(
      description: ModelDescription(ConvNeXtFamily.self, config), naming: naming.rawValue,
      tensors: tensors, unused: unused,
      notes: notes)
    (result.headFault, result.hasOpenHead) = (headFault, hasOpenHead)
    result.assumedSteps = assumedSteps
    return result
  }

  /// The same as the tower of a language model: its trunk alone. Norm and head on top of it, which
  /// some files have and some lack, are left out.
  ///
  /// - Parameter selectLayer: LLaVA's `mm_vision_select_layer`: -1 for all of the trunk, -2 for all
  ///   but the last stage's last block.
  /// - Throws: `ModelError` for another layer.
  package func tower(selectLayer: Int) throws(ModelError) -> ConvNeXtCheckpoint {
    guard selectLayer == -1 || selectLayer == -2, let last = config.stages.indices.last else {
      throw ModelError(
        .configuration(
          field: "mm_vision_select_layer", found: "\(selectLayer)", expected: "-1 or -2"))
    }
    var result = self
    result.config.head = .none
    result.tensors = tensors.filter { name, _ in
      !name.hasPrefix("head.") && !name.hasPrefix("norm_pre.")
    }
    guard selectLayer == -2 else { return result }
    let depth = config.stages[last].depth
    guard depth > 0 else {
      throw ModelError(
        .configuration(
          field: "mm_vision_select_layer", found: "-2", expected: "-1, as the last stage is empty"))
    }
    let block = "stages.\(last).blocks.\(depth - 1)."
    result.config.stages[last].depth = depth - 1
    result.tensors = result.tensors.filter { name, _ in !name.hasPrefix(block) }
    return result
  }

  /// The shape without the unit axes that some codes keep: 1×1 convolutions are matrices, and
  /// GRN and layer-scale parameters are vectors.
  private static func modelShape(_ name: String, _ shape: [Int]) -> [Int] {
    let isVector =
      name.hasSuffix("gamma") || name.hasSuffix(".bias") || name.contains(".grn.")
      || name.contains("norm")
    if isVector {
      let extents = shape.filter { $0 != 1 }
      return extents.count <= 1 && !shape.isEmpty ? [extents.first ?? 1] : shape
    }
    let isMatrix = name.contains(".fc1.") || name.contains(".fc2.") || name.contains(".fc.")
    if isMatrix, shape.count == 4, shape[2] == 1, shape[3] == 1 { return [shape[0], shape[1]] }
    return shape
  }
}

/// A checkpoint's tensors, sorted into those of the trunk and those that may be a head.
private struct ConvNeXtParts {
  /// Of the trunk and the norms around pooling, by our name.
  var tensors: [String: ConvNeXtCheckpoint.Source] = [:]
  /// Others of the same model, and those beside it.
  var inner: [CheckpointFacts.Name] = []
  var outer: [CheckpointFacts.Name] = []
  /// Whether the last norm is one over the map, as backbones of detectors have it.
  var normsMap = false

  /// Moves what is no part of the trunk to `inner`, and gives the last stage's norm its place.
  mutating func sortOut(_ naming: ConvNeXtNaming, shapes: [String: [Int]]) {
    var moved: [(name: String, source: ConvNeXtCheckpoint.Source)] = []
    let norm = tensors["head.norm.weight"]
    // A matrix, or what has statistics, is a layer that was put in the norm's place.
    let isNorm =
      norm.map { shapes[$0.original]?.filter { $0 != 1 }.count ?? 0 <= 1 } ?? false
      && tensors["head.norm.running_mean"] == nil
    for (name, source) in tensors where name.hasPrefix("head.") {
      if name.hasPrefix("head.norm."), isNorm { continue }
      moved.append((name, source))
    }
    for (name, source) in moved.sorted(by: { $0.source.original < $1.source.original }) {
      tensors[name] = nil
      inner.append((source.original, shapes[source.original] ?? source.shape))
    }
    let stages = tensors.keys.compactMap { name in
      name.dropping("stages.").flatMap { Int($0.prefix { $0 != "." }) }
    }
    let norms = tensors.filter { $0.key.hasPrefix(ConvNeXtNaming.outputNorm) }
    for name in norms.keys { tensors[name] = nil }
    guard let last = stages.max(), !norms.isEmpty, tensors["head.norm.weight"] == nil else {
      return
    }
    let own = "\(ConvNeXtNaming.outputNorm)\(last)."
    // mmpretrain norms after pooling where it classifies, which has one such norm.
    normsMap = naming == .huggingFace || norms.keys.contains { !$0.hasPrefix(own) }
    let scope = normsMap ? "norm_pre." : "head.norm."
    for (name, source) in norms {
      if let leaf = name.dropping(own) { tensors[scope + leaf] = source }
    }
  }
}

/// Works out a configuration from tensor shapes and, where shapes cannot tell, a description.
private struct ConvNeXtGeometry {
  private let tensors: [String: ConvNeXtCheckpoint.Source]
  private let naming: ConvNeXtNaming
  private let description: ConfigFields
  /// timm's `model_args`, empty in the files of its released models.
  private let arguments: ConfigFields
  /// The model's name in timm, by any of the files that state it.
  private let architecture: String?

  /// - Throws: `ModelError` for what is no description.
  init(
    tensors: [String: ConvNeXtCheckpoint.Source], naming: ConvNeXtNaming, description: JSONValue?
  ) throws(ModelError) {
    (self.tensors, self.naming) = (tensors, naming)
    let whole = try ConfigFields(stated: description, path: "config.json")
    self.description = whole
    arguments =
      try whole.statedObject("model_args") ?? ConfigFields(.null, path: "model_args")
    let vision = try whole.statedObject("model_cfg")?.statedObject("vision_cfg")
    let named = try vision?.statedString("timm_model_name")
    architecture = try whole.statedString("architecture") ?? named
  }

  /// Whether the description says which model it is.
  var isStated: Bool { architecture != nil || description.isTyped }

  /// Everything but what stands on the trunk and its norms.
  ///
  /// - Parameter normBeforePool: whether `norm_pre` is a backbone's, not a head's.
  func config(normBeforePool isBackbone: Bool) throws(ModelError) -> ConvNeXtConfig {
    if naming.isTransformers { try description.check(.convNeXt) }
    try arguments.check(.timm)
    let (stem, inputChannels) = try stem()
    let stemChannels = try stemChannels(stem)
    let stages = try stages(stem: stem, inputs: stemChannels)
    let epsilon = try epsilon(stages)
    var headEpsilon = epsilon
    if naming == .huggingFace, !isBackbone {
      headEpsilon = try description.statedEpsilon("layer_norm_eps") ?? 1e-12
    }
    let config = ConvNeXtConfig(
      inputChannels: inputChannels, stem: stem, stemChannels: stemChannels, stages: stages,
      usesLayerScale: tensors.keys.contains { $0.hasSuffix(".gamma") },
      usesGRN: tensors.keys.contains { $0.hasSuffix(".mlp.grn.weight") },
      convolutionBias: tensors["stem.0.bias"] != nil, activation: try activation(),
      norm: try norm(), epsilon: epsilon, headEpsilon: headEpsilon,
      head: .init(
        normBeforePool: tensors["norm_pre.weight"] != nil,
        normAfterPool: tensors["head.norm.weight"] != nil, hidden: nil, hiddenBias: false,
        output: nil))
    try config.validate()
    return config
  }

  private func shape(_ name: String, rank: Int) throws(ModelError) -> [Int] {
    guard let source = tensors[name] else {
      throw ModelError(.missingTensor(name, beside: tensors.neighbour(of: name)))
    }
    guard source.shape.count == rank else {
      throw ModelError(
        .shape(
          source.original, found: source.shape, expected: Array(repeating: -1, count: rank)))
    }
    return source.shape
  }

  private func stem() throws(ModelError) -> (ConvNeXtConfig.Stem, inputChannels: Int) {
    let first = try shape("stem.0.weight", rank: 4)
    if tensors["stem.1.weight"]?.shape.count == 4 {
      return (.overlap(middle: first[0], activated: false), first[1])
    }
    if tensors["stem.1.weight"] == nil, tensors["stem.2.weight"]?.shape.count == 4 {
      return (.overlap(middle: first[0], activated: true), first[1])
    }
    return (.patch(size: first[2]), first[1])
  }

  private func stemChannels(_ stem: ConvNeXtConfig.Stem) throws(ModelError) -> Int {
    guard case .overlap(_, let activated) = stem else {
      return try shape("stem.0.weight", rank: 4)[0]
    }
    return try shape(activated ? "stem.2.weight" : "stem.1.weight", rank: 4)[0]
  }

  private func stages(
    stem: ConvNeXtConfig.Stem, inputs: Int
  ) throws(ModelError) -> [ConvNeXtConfig.Stage] {
    var depths: [Int: Int] = [:]
    for name in tensors.keys where name.hasPrefix("stages.") {
      let part = name.split(separator: ".")
      guard part.count > 2, let stage = Int(part[1]), (0..<16).contains(stage) else { continue }
      var depth = depths[stage] ?? 0
      if part[2] == "blocks", part.count > 3, let block = Int(part[3]), (0..<1000).contains(block) {
        depth = max(depth, block + 1)
      }
      depths[stage] = depth
    }
    var stride = 4
    if case .patch(let size) = stem { stride = size }
    // Others than timm have no such limit: ConvLLaVA's fifth stage halves the map once more.
    let limit = try arguments.statedInt("output_stride") ?? 32
    guard [8, 16, 32].contains(limit) else {
      throw arguments.refusal("output_stride", found: "\(limit)", expected: "8, 16 or 32")
    }
    let outputStride = naming == .timm || naming == .openCLIP ? limit : Int.max
    var dilation = 1
    var stages: [ConvNeXtConfig.Stage] = []
    var channels = inputs
    for index in 0..<((depths.keys.max() ?? -1) + 1) {
      // The rule of timm's ConvNeXt for strides and dilation under `output_stride`.
      var step = index > 0 || stride == 2 ? 2 : 1
      if stride >= outputStride, step > 1 {
        dilation *= step
        step = 1
      }
      stride *= step
      let scope = "stages.\(index)"
      var downsample: PatchGeometry?
      if tensors["\(scope).downsample.1.weight"] != nil {
        let weight = try shape("\(scope).downsample.1.weight", rank: 4)
        channels = weight[0]
        let firstDilation = dilation <= 2 ? 1 : 2
        let span = dilation > 1 ? firstDilation * (weight[2] - 1) : 0
        downsample = PatchGeometry(
          kernel: weight[2], stride: step, dilation: firstDilation, padding: span / 2,
          trailingPadding: span - span / 2)
      }
      let depth = depths[index] ?? 0
      var stage = ConvNeXtConfig.Stage(
        depth: depth, channels: channels, hidden: 4 * channels, kernel: 7, dilation: dilation,
        downsample: downsample)
      if depth > 0 {
        stage.kernel = try shape("\(scope).blocks.0.conv_dw.weight", rank: 4)[2]
        stage.hidden = try shape("\(scope).blocks.0.mlp.fc1.weight", rank: 2)[0]
      }
      stages.append(stage)
    }
    return stages
  }

  private func epsilon(_ stages: [ConvNeXtConfig.Stage]) throws(ModelError) -> Float {
    if naming == .huggingFace { return ConvNeXtConfig.defaultEpsilon }
    if naming == .dinov3, let value = try description.statedEpsilon("layer_norm_eps") {
      return value
    }
    if let value = try arguments.statedEpsilon("norm_eps") { return value }
    if let architecture {
      let special = architecture.contains("xxlarge") || architecture.hasPrefix("test_convnext")
      return special ? ConvNeXtConfig.xxlargeEpsilon : ConvNeXtConfig.defaultEpsilon
    }
    let isXXLarge =
      stages.map(\.depth) == [3, 4, 30, 3] && stages.map(\.channels) == [384, 768, 1536, 3072]
    return isXXLarge ? ConvNeXtConfig.xxlargeEpsilon : ConvNeXtConfig.defaultEpsilon
  }

  private func activation() throws(ModelError) -> Activation {
    let names: KeyValuePairs<String, Activation> = [
      "gelu": .gelu, "gelu_python": .gelu, "relu": .relu, "silu": .silu, "swish": .silu,
      "gelu_tanh": .geluTanh, "gelu_new": .geluTanh, "gelu_fast": .geluTanh,
      "gelu_pytorch_tanh": .geluTanh, "quick_gelu": .quickGELU,
    ]
    let stated =
      naming.isTransformers
      ? try description.statedChoice("hidden_act", names)
      : try arguments.statedChoice("act_layer", names)
    if let stated { return stated }
    // timm's small models for its own tests.
    switch architecture {
    case "test_convnext", "test_convnext2": return .geluTanh
    case "test_convnext3": return .silu
    default: return .gelu
    }
  }

  /// timm's names for the kinds of norm. Files of its released models state none: there the model's
  /// name has to say what the tensors, which have no biases, do not.
  private func norm() throws(ModelError) -> NormKind {
    let stated = arguments.has("norm_layer") ? arguments.value["norm_layer"] : nil
    let hasBias = tensors.keys.contains { $0.hasPrefix("stages.") && $0.hasSuffix(".norm.bias") }
    let kind: NormKind?
    switch stated?.stringValue {
    case "layernorm", "layernorm2d": kind = .layer
    case "rmsnorm", "rmsnorm2d": kind = .rms
    case "simplenorm", "simplenorm2d": kind = .simple
    case nil where stated == nil:
      if hasBias || !tensors.keys.contains(where: { $0.hasSuffix(".norm.weight") }) {
        kind = .layer
      } else if architecture?.contains("zepto_rms") == true {
        kind = .simple
      } else {
        kind = architecture?.contains("atto_rms") == true ? .rms : nil
      }
    default: kind = nil
    }
    guard let kind, hasBias == (kind == .layer) || stated == nil else {
      let kinds = "layernorm, rmsnorm or simplenorm"
      throw arguments.refusal(
        "norm_layer", found: stated?.serialized() ?? "nothing",
        expected: hasBias
          ? "layernorm, as the norms have biases"
          : stated == nil ? "\(kinds), as the norms have no biases" : kinds)
    }
    return kind
  }

  func checkAgainstDescription(_ config: ConvNeXtConfig) throws(ModelError) {
    let fields = naming.isTransformers ? description : arguments
    let widths = naming.isTransformers ? "hidden_sizes" : "dims"
    for (key, found) in [
      ("depths", config.stages.map(\.depth)), (widths, config.stages.map(\.channels)),
    ] {
      guard let stated = try fields.statedInts(key), stated != found else { continue }
      throw fields.refusal(
        key, found: "\(stated)", expected: "\(found), which the tensors have")
    }
    try fields.check(
      naming.isTransformers ? "num_channels" : "in_chans", is: config.inputChannels)
    if case .patch(let size) = config.stem { try fields.check("patch_size", is: size) }
    // Without pooling a classifier gives a map of classes.
    let hasClasses = naming == .timm && config.head.output != nil
    let known = ["avg", "fast", "fastavg"] + (hasClasses ? [] : [""])
    for part in [description, arguments] {
      guard let pool = try part.statedString("global_pool"), !known.contains(pool) else { continue }
      throw part.refusal("global_pool", found: "'\(pool)'", expected: "'avg'")
    }
  }
}
