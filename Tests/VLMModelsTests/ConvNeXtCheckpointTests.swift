import Testing
import VLMFoundation
import VLMTensor
import VLMTestSupport

@testable import VLMModels

/// Every released size and naming, from names and shapes alone.
struct ConvNeXtCheckpointTests {
  struct Size: Sendable, CustomTestStringConvertible {
    let name: String
    let depths: [Int]
    let dims: [Int]
    var v2 = false
    var convolutional = false
    var overlap: Int?
    var headHidden: Int?
    /// Parameters with 1000 classes (timm 0.9.11).
    let parameters: Int

    var testDescription: String { name }
  }

  static let sizes: [Size] = [
    Size(
      name: "convnext_atto", depths: [2, 2, 6, 2], dims: [40, 80, 160, 320], convolutional: true,
      parameters: 3_695_520),
    Size(
      name: "convnext_atto_ols", depths: [2, 2, 6, 2], dims: [40, 80, 160, 320],
      convolutional: true, overlap: 24, parameters: 3_702_912),
    Size(
      name: "convnext_femto_ols", depths: [2, 2, 6, 2], dims: [48, 96, 192, 384],
      convolutional: true, overlap: 24, parameters: 5_226_520),
    Size(
      name: "convnext_pico", depths: [2, 2, 6, 2], dims: [64, 128, 256, 512], convolutional: true,
      parameters: 9_045_672),
    Size(
      name: "convnext_nano_ols", depths: [2, 2, 8, 2], dims: [80, 160, 320, 640],
      convolutional: true, overlap: 80, parameters: 15_649_560),
    Size(
      name: "convnext_tiny", depths: [3, 3, 9, 3], dims: [96, 192, 384, 768],
      parameters: 28_589_128),
    Size(
      name: "convnext_small", depths: [3, 3, 27, 3], dims: [96, 192, 384, 768],
      parameters: 50_223_688),
    Size(
      name: "convnext_base", depths: [3, 3, 27, 3], dims: [128, 256, 512, 1024],
      parameters: 88_591_464),
    Size(
      name: "convnext_large", depths: [3, 3, 27, 3], dims: [192, 384, 768, 1536],
      parameters: 197_767_336),
    Size(
      name: "convnext_large_mlp", depths: [3, 3, 27, 3], dims: [192, 384, 768, 1536],
      headHidden: 1536, parameters: 200_128_168),
    Size(
      name: "convnext_xlarge", depths: [3, 3, 27, 3], dims: [256, 512, 1024, 2048],
      parameters: 350_196_968),
    Size(
      name: "convnext_xxlarge", depths: [3, 4, 30, 3], dims: [384, 768, 1536, 3072],
      parameters: 846_471_016),
    Size(
      name: "convnextv2_atto", depths: [2, 2, 6, 2], dims: [40, 80, 160, 320], v2: true,
      convolutional: true, parameters: 3_708_400),
    Size(
      name: "convnextv2_tiny", depths: [3, 3, 9, 3], dims: [96, 192, 384, 768], v2: true,
      parameters: 28_635_496),
    Size(
      name: "convnextv2_huge", depths: [3, 3, 27, 3], dims: [352, 704, 1408, 2816], v2: true,
      parameters: 660_289_640),
  ]

  /// The configuration that `size` has, written down from the table, not found from tensors.
  static func config(_ size: Size) -> ConvNeXtConfig {
    let epsilon: Float = size.name.hasSuffix("xxlarge") ? 1e-5 : 1e-6
    return ConvNeXtConfig(
      inputChannels: 3,
      stem: size.overlap.map { .overlap(middle: $0, activated: false) } ?? .patch(size: 4),
      stemChannels: size.dims[0],
      stages: zip(size.depths, size.dims).enumerated().map { index, stage in
        .init(
          depth: stage.0, channels: stage.1, hidden: 4 * stage.1, kernel: 7, dilation: 1,
          downsample: index > 0 ? PatchGeometry(kernel: 2, stride: 2) : nil)
      },
      usesLayerScale: !size.v2, usesGRN: size.v2, convolutionBias: true, activation: .gelu,
      epsilon: epsilon, headEpsilon: epsilon,
      head: .init(
        normBeforePool: false, normAfterPool: true, hidden: size.headHidden,
        hiddenBias: size.headHidden != nil,
        output: .init(count: 1000, bias: true, meaning: .classes)))
  }

  /// Names and shapes as a checkpoint of `naming` would have them.
  static func names(
    _ config: ConvNeXtConfig, _ naming: ConvNeXtNaming, convolutional: Bool
  ) throws -> [(name: String, shape: [Int])] {
    try ModelDescription(ConvNeXtFamily.self, config).manifest().map { spec in
      var shape = spec.shape
      if convolutional, spec.path.contains(".mlp.fc"), shape.count == 2 { shape += [1, 1] }
      if spec.path.contains(".grn."), naming != .timm { shape = [1, 1, 1] + shape }
      return (try checkpointName(spec.path, naming), shape)
    }
  }

  /// The inverse of `ConvNeXtNaming.canonical`, written independently from the models' own code.
  private static func checkpointName(_ name: String, _ naming: ConvNeXtNaming) throws -> String {
    let part = name.split(separator: ".").map(String.init)
    switch (naming, part[0]) {
    case (.timm, _): return name
    case (.openCLIP, "head") where part[1] == "fc": return "visual.head.mlp.fc2." + part[2]
    case (.openCLIP, "head") where part[1] == "pre_logits": return "visual.head.mlp.fc1." + part[3]
    case (.openCLIP, _): return "visual.trunk." + name
    case (.facebook, "stem"): return "downsample_layers.0.\(part[1]).\(part[2])"
    case (.facebook, "head"):
      return part[1] == "fc" ? "head.\(part[2])" : "norm.\(part[2])"
    case (.facebook, _) where part[2] == "downsample":
      return "downsample_layers.\(part[1]).\(part[3]).\(part[4])"
    case (.facebook, _):
      let inner = part[4...].joined(separator: ".")
        .replacingPrefix("conv_dw", "dwconv").replacingPrefix("mlp.fc1", "pwconv1")
        .replacingPrefix("mlp.fc2", "pwconv2")
        .replacingPrefix("mlp.grn.weight", "grn.gamma").replacingPrefix("mlp.grn.bias", "grn.beta")
      return "stages.\(part[1]).\(part[3]).\(inner)"
    case (.huggingFace, "stem"):
      return "convnext.embeddings.\(part[1] == "0" ? "patch_embeddings" : "layernorm").\(part[2])"
    case (.huggingFace, "head"):
      return part[1] == "fc" ? "classifier.\(part[2])" : "convnext.layernorm.\(part[2])"
    case (.huggingFace, _) where part[2] == "downsample":
      return "convnext.encoder.stages.\(part[1]).downsampling_layer.\(part[3]).\(part[4])"
    case (.huggingFace, _):
      let inner = part[4...].joined(separator: ".")
        .replacingPrefix("conv_dw", "dwconv").replacingPrefix("norm", "layernorm")
        .replacingPrefix("mlp.fc1", "pwconv1").replacingPrefix("mlp.fc2", "pwconv2")
        .replacingPrefix("mlp.grn", "grn").replacingPrefix("gamma", "layer_scale_parameter")
      return "convnext.encoder.stages.\(part[1]).layers.\(part[3]).\(inner)"
    case (.openMMLab, "head"):
      return part[1] == "fc" ? "head.fc.\(part[2])" : "backbone.norm3.\(part[2])"
    case (.openMMLab, _):
      let facebook = try checkpointName(name, .facebook)
        .replacing("dwconv", with: "depthwise_conv").replacing("pwconv", with: "pointwise_conv")
      return "backbone." + facebook
    case (.torchvision, "stem"): return "features.0.\(part[1]).\(part[2])"
    case (.torchvision, "head"):
      return part[1] == "fc" ? "classifier.2.\(part[2])" : "classifier.0.\(part[2])"
    case (.torchvision, _):
      let place = 2 * (Int(part[1]) ?? 0)
      if part[2] == "downsample" { return "features.\(place).\(part[3]).\(part[4])" }
      let inner = part[4...].joined(separator: ".")
        .replacingPrefix("conv_dw", "block.0").replacingPrefix("norm", "block.2")
        .replacingPrefix("mlp.fc1", "block.3").replacingPrefix("mlp.fc2", "block.5")
        .replacingPrefix("gamma", "layer_scale")
      return "features.\(place + 1).\(part[3]).\(inner)"
    case (.dinov3, "stem"): return "model.stages.0.downsample_layers.\(part[1]).\(part[2])"
    case (.dinov3, "head"): return part[1] == "fc" ? name : "layer_norm.\(part[2])"
    case (.dinov3, _) where part[2] == "downsample":
      return "model.stages.\(part[1]).downsample_layers.\(part[3]).\(part[4])"
    case (.dinov3, _):
      let inner = part[4...].joined(separator: ".")
        .replacingPrefix("conv_dw", "depthwise_conv").replacingPrefix("norm", "layer_norm")
        .replacingPrefix("mlp.fc1", "pointwise_conv1")
        .replacingPrefix("mlp.fc2", "pointwise_conv2")
      return "model.stages.\(part[1]).layers.\(part[3]).\(inner)"
    }
  }

  @Test("the manifest has the published number of parameters", arguments: sizes)
  func parameterCount(_ size: Size) throws {
    let manifest = try ModelDescription(ConvNeXtFamily.self, Self.config(size)).manifest()
    #expect(manifest.reduce(0) { $0 + $1.shape.reduce(1, *) } == size.parameters)
  }

  @Test("the geometry is found again from timm's names and shapes", arguments: sizes)
  func timm(_ size: Size) throws {
    let names = try Self.names(Self.config(size), .timm, convolutional: size.convolutional)
    let found = try #require(try ConvNeXtCheckpoint(names: names, description: nil))
    #expect(found.naming == .timm)
    #expect(found.config == Self.config(size))
    #expect(found.unused.isEmpty)
  }

  @Test(
    "every naming leads to the same tensors",
    arguments: [ConvNeXtNaming.facebook, .huggingFace, .openCLIP], [sizes[5], sizes[9], sizes[13]])
  func namings(_ naming: ConvNeXtNaming, _ size: Size) throws {
    // Only timm and open_clip have a hidden layer in the head.
    if size.headHidden != nil, naming != .openCLIP { return }
    var config = Self.config(size)
    let names = try Self.names(config, naming, convolutional: false)
    let extra = naming == .openCLIP ? [(name: "logit_scale", shape: [Int]())] : []
    let found = try #require(try ConvNeXtCheckpoint(names: names + extra, description: nil))
    #expect(found.naming == naming)
    if naming == .huggingFace { config.headEpsilon = 1e-12 }
    if naming == .openCLIP { config.head.output?.meaning = .embedding }
    #expect(found.config == config)
    #expect(found.unused == extra.map(\.name))
    let manifest = try ModelDescription(ConvNeXtFamily.self, config).manifest()
    #expect(Set(found.tensors.keys) == Set(manifest.map(\.path)))
    for spec in manifest { #expect(found.tensors[spec.path]?.shape == spec.shape) }
  }

  @Test(
    "torchvision's and DINOv3's names lead to the same tensors",
    arguments: [ConvNeXtNaming.torchvision, .dinov3])
  func laterNamings(_ naming: ConvNeXtNaming) throws {
    var config = Self.config(Self.sizes[5])
    if naming == .dinov3 { config.head.output = nil }
    let names = try Self.names(config, naming, convolutional: false).map { name, shape in
      (name: name, shape: name.hasSuffix(".layer_scale") ? shape + [1, 1] : shape)
    }
    let found = try #require(try ConvNeXtCheckpoint(names: names, description: nil))
    #expect(found.naming == naming && found.config == config && found.unused.isEmpty)
    let manifest = try ModelDescription(ConvNeXtFamily.self, config).manifest()
    #expect(Set(found.tensors.keys) == Set(manifest.map(\.path)))
  }

  @Test(
    "a ConvNeXt that is most of a training module is found under any name",
    arguments: [ConvNeXtNaming.timm, .facebook, .torchvision])
  func partOfModule(_ naming: ConvNeXtNaming) throws {
    let config = Self.config(Self.sizes[5])
    let names = try Self.names(config, naming, convolutional: false).map { name, shape in
      (name: "net.encoder." + name, shape: shape)
    }
    let others: [(name: String, shape: [Int])] = [
      ("criterion.weight", [1000]), ("steps", []),
    ]
    let found = try #require(try ConvNeXtCheckpoint(names: names + others, description: nil))
    #expect(found.config == config && found.unused == others.map(\.name))
    #expect(found.headFault == nil)
    let many = (0..<names.count).map { (name: "language.\($0)", shape: [1]) }
    #expect(try ConvNeXtCheckpoint(names: names + many, description: nil) == nil)
  }

  @Test("LLaVA-HR's layer scale called 'weight', and wrappers before all names, are understood")
  func oddNames() throws {
    let config = Self.config(Self.sizes[5])
    let names = try Self.names(config, .timm, convolutional: false).map { name, shape in
      ("module.model." + name.replacing(".gamma", with: ".weight"), shape)
    }
    let found = try #require(try ConvNeXtCheckpoint(names: names, description: nil))
    #expect(found.config == config)
  }

  @Test(
    "OpenMMLab's names and those of FCMAE pretraining lead to the same tensors")
  func trainers() throws {
    var config = Self.config(Self.sizes[13])
    let names = try Self.names(config, .openMMLab, convolutional: false)
    let found = try #require(try ConvNeXtCheckpoint(names: names, description: nil))
    #expect(found.naming == .openMMLab && found.config == config && found.unused.isEmpty)

    config.head = .none
    let encoder = try Self.names(config, .facebook, convolutional: false)
    let decoder: [(name: String, shape: [Int])] = [
      ("mask_token", [1, 512, 1, 1]), ("proj.weight", [512, 768, 1, 1]), ("proj.bias", [512]),
      ("decoder.0.dwconv.weight", [512, 1, 7, 7]), ("pred.weight", [3072, 512, 1, 1]),
    ]
    let dense = try #require(try ConvNeXtCheckpoint(names: encoder + decoder, description: nil))
    #expect(dense.naming == .facebook && dense.config == config)
    #expect(dense.unused == decoder.map(\.name) && dense.headFault == nil)
    #expect(dense.notes.count == 1 && dense.notes.allSatisfy { $0.contains("FCMAE") })
    let kernel: [(name: String, shape: [Int])] = [("encoder.stages.0.0.dwconv.kernel", [49, 96])]
    let error = thrownError(ModelError.self) {
      try ConvNeXtCheckpoint(names: kernel + decoder, description: nil)
    }
    guard case .configuration(let field, _, let expected)? = error?.problem else {
      Issue.record("\(String(describing: error))")
      return
    }
    #expect(field.contains(kernel[0].name) && expected.contains("remap_checkpoint_keys"))
  }

  @Test("tensors of another model are no ConvNeXt")
  func otherModel() throws {
    let names = [
      ("model.layers.0.self_attn.q_proj.weight", [64, 64]), ("lm_head.weight", [9, 64]),
    ]
    #expect(try ConvNeXtCheckpoint(names: names, description: nil) == nil)
  }

  @Test("a configuration that contradicts the tensors is refused, with both")
  func contradiction() throws {
    let names = try Self.names(Self.config(Self.sizes[5]), .timm, convolutional: false)
    let description: JSONValue = ["model_args": ["depths": [3, 3, 27, 3]]]
    #expect(
      throws: ModelError(
        .configuration(
          field: "model_args.depths", found: "[3, 3, 27, 3]",
          expected: "[3, 3, 9, 3], which the tensors have"))
    ) {
      try ConvNeXtCheckpoint(names: names, description: description)
    }
  }

  @Test("a released timm config without arguments still gives xxlarge its epsilon")
  func epsilonByName() throws {
    var size = Self.sizes[5]
    size = Size(
      name: "x", depths: size.depths, dims: size.dims, parameters: size.parameters)
    let names = try Self.names(Self.config(size), .timm, convolutional: false)
    let xxlarge: JSONValue = ["architecture": "convnext_xxlarge"]
    #expect(try ConvNeXtCheckpoint(names: names, description: xxlarge)?.config.epsilon == 1e-5)
    #expect(try ConvNeXtCheckpoint(names: names, description: nil)?.config.epsilon == 1e-6)
  }
}

extension String {
  fileprivate func replacingPrefix(_ prefix: String, _ other: String) -> String {
    hasPrefix(prefix) ? other + dropFirst(prefix.count) : self
  }

  fileprivate func replacing(_ part: String, with other: String) -> String {
    split(separator: part, omittingEmptySubsequences: false).joined(separator: other)
  }
}

struct ConvNeXtConfigTests {
  @Test(
    "the container's JSON gives the configuration back", arguments: ConvNeXtCheckpointTests.sizes)
  func roundTrip(_ size: ConvNeXtCheckpointTests.Size) throws {
    var config = ConvNeXtCheckpointTests.config(size)
    config.stages[3].downsample = PatchGeometry(
      kernel: 2, stride: 1, dilation: 1, padding: 0, trailingPadding: 1)
    let text = ModelDescription(ConvNeXtFamily.self, config).json.serialized()
    let parsed = try ModelDescription(json: try JSONValue.parse(Array(text.utf8)))
    #expect(parsed == ModelDescription(ConvNeXtFamily.self, config))
  }

  /// V43: numbers that no model has.
  @Test(
    "V43 absurd numbers are refused, naming the field",
    arguments: [
      ("\"depth\":3", "\"depth\":2147483648"), ("\"channels\":96", "\"channels\":0"),
      ("\"kernel\":7", "\"kernel\":8"), ("\"epsilon\":1e-06", "\"epsilon\":0"),
      ("\"size\":4", "\"size\":-4"), ("\"outputs\":1000", "\"outputs\":0"),
      ("\"dilation\":1", "\"dilation\":1.5"), ("\"grn\":false", "\"grn\":\"no\""),
    ])
  func absurd(_ found: String, _ replacement: String) throws {
    let config = ConvNeXtCheckpointTests.config(ConvNeXtCheckpointTests.sizes[5])
    let text = ModelDescription(ConvNeXtFamily.self, config).json.serialized()
    #expect(text.contains(found))
    let broken = text.replacing(found, with: replacement)
    #expect(throws: ModelError.self) {
      try ModelDescription(json: try JSONValue.parse(Array(broken.utf8)))
    }
  }
}
