import VLMFoundation
import VLMTensor

/// A FastViT found among a checkpoint's tensors.
struct FastViTCheckpoint: FoundTower {
  var config: FastViTConfig
  let naming: FastViTNaming
  let tensors: [String: ModelCheckpoint.Source]
  private(set) var unused: [String] = []
  private(set) var unexpected: [String] = []
  private(set) var notes: [Note] = []

  /// What is wanted of the tower.
  enum Purpose: Equatable {
    /// A vector for the picture, or its classes where there is a classifier.
    case image
    /// The last map, for a language model.
    case map
    /// A vector in a space that texts have theirs in too.
    case embedding
  }

  /// - Parameters:
  ///   - names: tensors with their shapes; of the tower's own everything, and what is beside it.
  ///   - description: `config.json`, if there.
  ///   - place: what the description is called in messages.
  /// - Returns: nil when there is no FastViT.
  /// - Throws: `ModelError` when the tensors contradict each other or the description.
  init?(
    _ names: [CheckpointFacts.Name], _ description: JSONValue?, place: String = "config.json",
    _ purpose: Purpose
  ) throws(ModelError) {
    guard let (naming, prefix) = FastViTNaming.find(Set(names.map(\.name))) else { return nil }
    let facts = try FastViTDescription(description, place)
    if let name = facts.name, !name.hasPrefix("fastvit_") { return nil }
    var inside: [CheckpointFacts.Name] = []
    for name in names {
      if name.name.hasPrefix(prefix) { inside.append(name) } else { unused.append(name.name) }
    }
    let outside = names.filter { !$0.name.hasPrefix(prefix) }
    let timm = naming.timm(inside.map { String($0.name.dropFirst(prefix.count)) })
    var tensors = try ConvolutionTensors(Array(zip(timm, inside)).map { ($0, $1) })
    var config = try Self.config(&tensors, facts)
    self.naming = naming
    switch purpose {
    case .map: config.feature = .map
    case .image, .embedding:
      config.feature = .pooled
      if tensors.has("head.fc.weight") {
        let shape = try tensors.shape("head.fc.weight", rank: 2)
        let hasBias =
          purpose == .image
          ? try tensors.classifierHasBias("head.fc", isStated: facts.name != nil)
          : tensors.has("head.fc.bias")
        config.head = (purpose == .image ? .classes : .embedding, shape[0], hasBias)
        try tensors.take("head.fc.weight", "head.0.weight")
        if hasBias { try tensors.take("head.fc.bias", "head.0.bias") }
        if purpose == .image { try facts.timm.checkClasses(shape[0]) }
      } else if purpose == .image {
        try facts.timm.checkClasses(0)
      }
    }
    try config.validate()
    try facts.check(config)
    self.config = config
    self.tensors = tensors.found
    for name in tensors.unread {
      unused.append(name.name)
      // A head is no part of what a language model reads; the rest may be another model's.
      let isHead = name.name.dropping(prefix)?.hasPrefix("head.") ?? false
      if !HeadModule.isInert(name), !(isHead && purpose == .map) { unexpected.append(name.name) }
    }
    if purpose == .image {
      unexpected += outside.filter { !HeadModule.isInert($0) }.map(\.name)
    }
    if let note = facts.assumption(config) { notes.append(note) }
    notes += tensors.notes
  }

  private static func config(
    _ tensors: inout ConvolutionTensors, _ facts: FastViTDescription
  ) throws(ModelError) -> FastViTConfig {
    for index in 0..<3 { _ = try tensors.convolution("stem.\(index)", "stem.\(index)") }
    var channels = tensors.found["stem.0.weight"]?.shape.first ?? 0
    var stages: [FastViTConfig.Stage] = []
    var (mixerKernel, downsampleKernel) = (3, 7)
    let count = try tensors.count("stages", limit: FastViTConfig.maximumStages)
    for index in 0..<count {
      let (name, depth) = (
        "stages.\(index)", try tensors.count("stages.\(index).blocks", limit: 1000)
      )
      let first = name + ".blocks.0"
      var stage = FastViTConfig.Stage(
        channels: channels, depth: depth,
        hidden: try tensors.shape(first + ".mlp.fc1.weight", rank: 4)[0],
        mixer: tensors.has(first + ".token_mixer.qkv.weight") ? .attention : .convolution,
        downsamples: tensors.hasModule(name + ".downsample"),
        hasPositions: tensors.hasModule(name + ".pos_emb"))
      if stage.downsamples {
        let proj = name + ".downsample.proj"
        let kernel = try tensors.convolution(proj + ".0", name + ".downsample.0")
        downsampleKernel = kernel[3]
        stage.channels = kernel[0]
        stage.squeeze = try squeeze(&tensors, proj + ".0.se", name + ".downsample.se")
        _ = try tensors.convolution(proj + ".1", name + ".downsample.1")
      }
      if stage.hasPositions { try tensors.positions(name + ".pos_emb", name + ".positions") }
      channels = stage.channels
      stages.append(stage)
    }
    let attention = stages.firstIndex { $0.mixer == .attention }
    let isBatch =
      attention.map { tensors.has("stages.\($0).blocks.0.norm.running_mean") } ?? false
    let scales = ["layer_scale", "layer_scale_1"].map { "stages.0.blocks.0.\($0).gamma" }
    let usesLayerScale = scales.contains { tensors.has($0) }
    for (index, stage) in stages.enumerated() {
      for block in 0..<stage.depth {
        let name = "stages.\(index).blocks.\(block)"
        let isAttention = stage.mixer == .attention
        if isAttention {
          try attentionMixer(&tensors, name, isBatch: isBatch, usesLayerScale: usesLayerScale)
        } else {
          mixerKernel = try tensors.mixer(name + ".token_mixer", name + ".mixer")[3]
        }
        try tensors.normed(name + ".mlp.conv", name + ".mlp.conv")
        try tensors.matrix(name + ".mlp.fc1", name + ".mlp.fc1")
        try tensors.matrix(name + ".mlp.fc2", name + ".mlp.fc2")
        if usesLayerScale {
          let scale = name + (isAttention ? ".layer_scale_2" : ".layer_scale") + ".gamma"
          try tensors.take(scale, name + ".mlp.gamma", flattened: true)
        }
      }
    }
    let outputs = try tensors.convolution("final_conv", "final_conv")[0]
    guard let hidden = try squeeze(&tensors, "final_conv.se", "final_conv.se") else {
      throw ModelError(.missingTensor("final_conv.se.fc1.weight"))
    }
    var config = FastViTConfig(
      stages: stages, norm: isBatch ? .batch : .layer,
      activatesDownsampling: facts.activatesDownsampling ?? assumedActivation(stages),
      usesLayerScale: usesLayerScale, mixerKernel: mixerKernel, downsampleKernel: downsampleKernel,
      outputs: outputs, squeeze: hidden, feature: .map)
    config.imageSize = facts.imageSize
    return config
  }

  private static func attentionMixer(
    _ tensors: inout ConvolutionTensors, _ name: String, isBatch: Bool, usesLayerScale: Bool
  ) throws(ModelError) {
    if isBatch {
      try tensors.scaleAndShift(name + ".norm", name + ".norm")
    } else {
      try tensors.take(name + ".norm.weight", name + ".norm.weight")
      try tensors.take(name + ".norm.bias", name + ".norm.bias")
    }
    try tensors.matrix(name + ".token_mixer.qkv", name + ".attention.qkv", bias: false)
    try tensors.matrix(name + ".token_mixer.proj", name + ".attention.out")
    if usesLayerScale {
      try tensors.take(
        name + ".layer_scale_1.gamma", name + ".attention.gamma", flattened: true)
    }
  }

  /// The inner width of a squeeze-excite; nil for none.
  private static func squeeze(
    _ tensors: inout ConvolutionTensors, _ name: String, _ ours: String
  ) throws(ModelError) -> Int? {
    guard tensors.hasModule(name) else { return nil }
    let width = try tensors.shape(name + ".fc1.weight", rank: 4)[0]
    try tensors.matrix(name + ".fc1", ours + ".fc1")
    try tensors.matrix(name + ".fc2", ours + ".fc2")
    return width
  }

  /// The towers of MobileCLIP and FastVLM have a GELU there; they alone have five stages, or
  /// squeeze-excites between their stages.
  static func assumedActivation(_ stages: [FastViTConfig.Stage]) -> Bool {
    stages.count == 5 || stages.contains { $0.squeeze != nil }
  }
}
