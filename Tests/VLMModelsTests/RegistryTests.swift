import Testing
import VLMFoundation
import VLMModels
import VLMTensor
import VLMTestSupport

/// The one list of families.
struct RegistryTests {
  private static let encoder = TransformerConfig(
    width: 8, layers: 4, heads: 2, hidden: 16, activation: .quickGELU)

  private static func vit(_ feature: ViTConfig.Feature) -> ViTConfig {
    ViTConfig(imageSize: 336, patchSize: 14, encoder: encoder, feature: feature)
  }

  private static func trunk() throws -> ConvNeXtConfig {
    try ConvNeXtConfig(
      json: VisionTowerConfigTests.convNeXt(head: [
        "norm_before_pool": false, "norm_after_pool": false,
      ]))
  }

  private static let fastViT = FastViTConfig(
    stages: [
      .init(channels: 8, depth: 1, hidden: 16, mixer: .convolution, downsamples: false),
      .init(
        channels: 32, depth: 2, hidden: 40, mixer: .attention, downsamples: true, squeeze: 4,
        hasPositions: true),
    ], norm: .batch, activatesDownsampling: true, outputs: 64, squeeze: 4, feature: .pooled)

  private static let mobileNet = MobileNetConfig(
    stem: [
      .bottleneck(
        .init(
          [.init(kernel: 3, stride: 2, outputs: 8, activation: .hardSwish)], isResidual: false))
    ],
    stages: [
      [
        .bottleneck(
          .init(
            [
              .init(kernel: 1, outputs: 16, activation: .relu), .init(kernel: 5, outputs: nil),
              .init(kernel: 1, outputs: 8),
            ], isResidual: true, hasScale: true)),
        .linearMixer(.init(heads: 3, dimension: 4, kernels: [5])),
        .sharedMixer(.init(heads: 2, dimension: 6, reduction: 3, hasScale: true)),
      ]
    ], final: .init(kernel: 1, outputs: 12, activation: .gelu),
    head: [.linear(outputs: 7, bias: false), .linear(outputs: 3, bias: true)], isClassifier: true)

  private static let language = LLaMAConfig(
    vocabulary: 100, hidden: 32, layers: 1, heads: 4, keyValueHeads: 2, headDimension: 8,
    feedForward: 48, epsilon: 1e-5, tiedEmbeddings: true, contextLength: 512)

  /// A model of every family that fills a file.
  private static func models() throws -> [ModelDescription] {
    var joint = vit(.pooled)
    joint.projection = 6
    let text = TextTowerConfig(vocabulary: 50, contextLength: 9, encoder: encoder, embedding: 6)
    let tower = vit(.patches)
    return [
      ModelDescription(
        LLaVAFamily.self,
        LLaVAConfig(
          tower: tower, projector: ProjectorConfig(layers: 2, inputs: 8, outputs: 32),
          language: language, promptLimit: nil)),
      ModelDescription(
        SigLIPFamily.self,
        SigLIPConfig(imageSize: 224, patchSize: 16, encoder: encoder, feature: .attentionPooled)),
      ModelDescription(CLIPFamily.self, CLIPConfig(image: joint, text: text)),
      ModelDescription(ViTFamily.self, vit(.pooled)),
      ModelDescription(FastViTFamily.self, fastViT),
      ModelDescription(MobileNetFamily.self, mobileNet),
      ModelDescription(
        PlainViTFamily.self,
        PlainViTConfig(imageSize: 518, patchSize: 14, encoder: encoder)),
      ModelDescription(ConvNeXtFamily.self, try trunk()),
      ModelDescription(LLaMAFamily.self, language),
      ModelDescription(
        SmolVLMFamily.self,
        SmolVLMConfig(
          vision: SmolVLMVisionConfig(imageSize: 64, patchSize: 8, encoder: encoder, shuffle: 2),
          language: language)),
    ]
  }

  @Test("every family has a name of its own, and no class or type belongs to two")
  func unique() {
    let names = Registry.families.map { $0.name }
    #expect(Set(names).count == names.count)
    let classes = Registry.families.flatMap { Array($0.stated.classes) }
    #expect(Set(classes).count == classes.count)
    let types = Registry.families.flatMap { Array($0.stated.types) }
    #expect(Set(types).count == types.count)
    // What is not listed would be found by nobody.
    #expect(
      Registry.families.allSatisfy {
        $0 is any ModelFamily.Type || $0 is any VisionTowerFamily.Type
      })
  }

  @Test("a family stands before those that its models have as their parts")
  func precedence() throws {
    let names = Registry.families.map { $0.name }
    func place(_ family: any Family.Type) throws -> Int {
      try #require(names.firstIndex(of: family.name), "\(family.name)")
    }
    let pairs: [(any Family.Type, any Family.Type)] = [
      (LLaVAFamily.self, LLaMAFamily.self), (LLaVAFamily.self, CLIPFamily.self),
      (LLaVAFamily.self, ViTFamily.self), (LLaVAFamily.self, ConvNeXtFamily.self),
      (LLaVAFamily.self, SigLIPFamily.self), (LLaVAFamily.self, FastViTFamily.self),
      (SmolVLMFamily.self, SigLIPFamily.self),
      (SmolVLMFamily.self, LLaMAFamily.self),
      // Both have a vision half in GGUF, which SmolVLM's says of itself.
      (SmolVLMFamily.self, LLaVAFamily.self),
      // transformers names the parts of both alike, and of timm's only one has its own.
      (SigLIPFamily.self, CLIPFamily.self), (SigLIPFamily.self, ViTFamily.self),
      (CLIPFamily.self, ViTFamily.self), (CLIPFamily.self, ConvNeXtFamily.self),
      (MultiResolutionFamily.self, ViTFamily.self),
      (MultiResolutionFamily.self, ConvNeXtFamily.self),
    ]
    for (whole, part) in pairs {
      let (first, second) = (try place(whole), try place(part))
      #expect(first < second, "\(whole.name), \(part.name)")
    }
  }

  @Test("a model of each of these families is what was written of it")
  func roundTrip() throws {
    for model in try Self.models() {
      let text = model.json.serialized()
      let read = try ModelDescription(json: try JSONValue.parse(Array(text.utf8)))
      #expect(read == model, "\(model.architecture)")
      #expect(read.json == model.json)
      #expect(model.json["architecture"]?.stringValue == model.architecture)
      let specs = try model.manifest()
      #expect(!specs.isEmpty && Set(specs.map(\.path)).count == specs.count)
    }
  }

  @Test("what a description says follows from the parts of its model")
  func facts() throws {
    let models = try Self.models()
    #expect(
      models.map(\.seesPictures) == [true] + Array(repeating: false, count: 8) + [true])
    #expect(
      models.map { $0.language != nil } == [true] + Array(repeating: false, count: 7) + [
        true, true,
      ])
    #expect(models.map(\.tokenRows) == [100, nil, 50, nil, nil, nil, nil, nil, 100, 100])
    #expect(models.map(\.trainedSide) == [nil, 224, 336, 336, nil, nil, 518, nil, nil, nil])
    #expect(
      models.map { $0.config.image != nil }
        == [false, true, true, true, true, true, true, true, false, false])
  }

  @Test("an unknown architecture is answered with every name that is known")
  func unknown() throws {
    let error = thrownError(ModelError.self) {
      try ModelDescription(json: ["architecture": "perceptron"])
    }
    let text = try #require(error).description
    for family in Registry.models { #expect(text.contains("'\(family.name)'"), "\(text)") }
  }

  @Test("what a checkpoint may be is listed in the families' order")
  func summary() throws {
    var rest = Substring(Registry.summary)
    for summary in Registry.families.compactMap({ $0.summary }) {
      let place = try #require(rest.range(of: summary), "\(summary) in \(Registry.summary)")
      rest = rest[place.upperBound...]
    }
  }

  @Test("the class that config.json states is known by its family")
  func stated() {
    for family in Registry.families {
      for name in family.stated.classes {
        #expect(Registry.unknownClass(in: ["architectures": [.string(name)]]) == nil)
      }
      for type in family.stated.types {
        #expect(Registry.unknownClass(in: ["model_type": .string(type)]) == nil)
      }
    }
    #expect(Registry.unknownClass(in: ["architectures": ["BertModel"]]) == "BertModel")
    #expect(Registry.unknownClass(in: ["model_type": "bert"]) == "bert")
    #expect(Registry.unknownClass(in: nil) == nil)
  }

  @Test("an intermediate is called as dump files have it, alone and under a language model")
  func names() {
    let points: [(any ObservationPoint, String, String)] = [
      (ConvNeXtPoint.stem, "stem", "tower.embeddings"),
      (ConvNeXtPoint.stage(2), "stage2", "tower.stage2"),
      (ViTPoint.hidden(3), "hidden.3", "tower.hidden.3"),
      (ViTPoint.features, "features", "tower.features"),
      (MultiResolutionPoint.fast(ViTPoint.hidden(0)), "fast.pre_layernorm", "fast.pre_layernorm"),
      (MultiResolutionPoint.fast(ViTPoint.hidden(4)), "fast.layer3", "fast.layer3"),
      (MultiResolutionPoint.slow(ConvNeXtPoint.stem), "slow.stem", "slow.stem"),
      (
        MultiResolutionPoint.adapter(1, .gate), "adapter1.gate_pre_tanh",
        "adapter1.gate_pre_tanh"
      ),
      (MultiResolutionPoint.features, "features", "tower.features"),
    ]
    for (point, alone, under) in points {
      #expect(point.name == alone)
      #expect(LLaVAPoint.tower(point).name == under)
    }
    #expect(MultiResolutionPoint.adapter(1, .gate).role == .gate(1))
  }
}
