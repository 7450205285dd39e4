import Foundation
import Testing
import VLMCheckpoint
import VLMConversion
import VLMFoundation
import VLMImages
import VLMModels
import VLMTensor
import VLMTestSupport
import VLMText
import VLMZ

/// Tiny models whose classifier was replaced, or that are a part of another module, against what
/// that computes; `scripts/make-head-fixtures` made both.
struct HeadFixtureTests {
  static func path(_ name: String) -> String {
    let base = TestFiles.fixture("heads/" + name)
    return [".pth", ".safetensors"].map { base + $0 }.first(where: TestFiles.exists) ?? base
  }

  struct Case: Sendable, CustomTestStringConvertible {
    let name: String
    var activation: HeadActivationOption?
    /// Whether an activation is assumed, and said.
    var isOpen = false

    init(_ name: String, _ activation: HeadActivationOption? = nil, isOpen: Bool = false) {
      (self.name, self.activation, self.isOpen) = (name, activation, isOpen || activation != nil)
    }

    var testDescription: String { name }
  }

  static let classifiers: [Case] = [
    Case("torchvision-dropout"), Case("torchvision-mlp", isOpen: true),
    Case("torchvision-relu-norm", .kind(.relu)), Case("torchvision-own-norm", isOpen: true),
    Case("torchvision-linear-pair"), Case("timm-fc"), Case("timm-named", isOpen: true),
    Case("timm-hidden"), Case("timm-head", isOpen: true), Case("timm-long", isOpen: true),
    Case("wrapper-fc"), Case("wrapper-mlp", isOpen: true), Case("wrapper-named", .kind(.relu)),
    Case("wrapper-own-head"), Case("wrapper-on-classes", isOpen: true),
    Case("wrapper-features", isOpen: true), Case("wrapper-children"),
    Case("wrapper-timm-children"), Case("wrapper-transformers"), Case("sequential"),
    Case("fastai-timm", isOpen: true), Case("fastai-torchvision", isOpen: true),
    Case("transformers-sequential", isOpen: true), Case("open-mmlab"),
    Case("clip-classification"), Case("clip-wrapper"), Case("clip-pooled", isOpen: true),
    Case("open-clip-wrapper", isOpen: true),
  ]

  private func pixels(_ name: String) throws -> PixelTensor {
    let expected = try Expected(TestFiles.fixture("heads/expected.safetensors"))
    let pixels = try #require(
      expected.tensor(name.contains("clip") ? "square.pixel_values" : "pixel_values"))
    return PixelTensor(
      height: pixels.shape[2], width: pixels.shape[3], channels: 3, channelsFirst: pixels.values)
  }

  private func check(_ found: [Float]?, _ name: String, tolerance: Float = 1e-4) throws {
    let expected = try Expected(TestFiles.fixture("heads/expected.safetensors"))
    let want = try #require(expected.tensor(name))
    let difference = maxAbsDifference(try #require(found, "\(name)"), want.values)
    #expect(difference <= tolerance * want.scale, "\(name): differs by \(difference)")
  }

  @Test("a replaced classifier gives its module's logits", arguments: classifiers)
  func classifier(_ item: Case) throws {
    let folder = try TemporaryFolder()
    let session = try convertedSession(
      Self.path(item.name), .f32, in: folder, headActivation: item.activation)
    let picture = try pixels(item.name)
    var seen: [String: [Float]] = [:]
    let result = try session.run([picture, picture]) { seen[$0.name] = $0.planar.values }
    for image in result { try check(image.logits, item.name) }
    #expect(session.description.classCount == result[0].logits?.count)
    let logits = try #require(result[0].logits)
    #expect(seen["logits"].map { Array($0.suffix(logits.count)) } == result[1].logits)
    let source = try SourceModel.open(
      path: Self.path(item.name), parts: GivenParts(headActivation: item.activation))
    #expect(source.checkpoint.hasOpenHead == item.isOpen)
    #expect(source.notes.contains { $0.hasSuffix("another can be named, or none") } == item.isOpen)
  }

  @Test(
    "a trunk without a classifier gives its features' mean or embedding",
    arguments: ["features-only", "open-clip-visual", "fcmae", "open-mmlab-backbone"])
  func features(_ name: String) throws {
    let folder = try TemporaryFolder()
    let session = try convertedSession(Self.path(name), .f32, in: folder)
    var joint: [Float]?
    let result = try session.run([try pixels(name)]) { seen in
      if seen.name == "image_embedding_raw" { joint = seen.planar.values }
    }
    #expect(result[0].logits == nil)
    try check(joint ?? result[0].embedding, name)
  }

  @Test("heads of many layers keep their class at 8 and 4 bits", arguments: [Scheme.q8, .q4])
  func quantized(_ scheme: Scheme) throws {
    let folder = try TemporaryFolder()
    for name in ["timm-long", "fastai-timm", "open-clip-wrapper"] {
      let session = try convertedSession(Self.path(name), scheme, in: folder)
      let logits = try session.run([try pixels(name)])[0].logits
      try check(logits, name, tolerance: 0.3)
    }
  }

  @Test("a model with a head is described by its JSON", arguments: ["timm-long", "clip-pooled"])
  func description(_ name: String) throws {
    let description = try SourceModel.open(path: Self.path(name)).description
    let text = description.json.serialized()
    #expect(try ModelDescription(json: try JSONValue.parse(Array(text.utf8))) == description)
    #expect(text.contains(#""type":"linear""#))
  }

  private func converter(
    _ names: [SafetensorsWriter.Entry], _ folder: TemporaryFolder, ignoring: Bool = false
  ) throws -> Conversion {
    let path = folder.path("model.safetensors")
    try SafetensorsWriter.write(path: path, overwrite: true, tensors: names)
    return try Conversion(
      source: try SourceModel.open(path: path), policy: QuantizationPolicy(scheme: .f32),
      ignoreUnexpected: ignoring, pool: WorkerPool(threadCount: 1))
  }

  @Test(
    "a head that cannot be run is an error that names it; it is left out when that is asked for")
  func refused() throws {
    let folder = try TemporaryFolder()
    let entries = try Checkpoint.read(path: Self.path("wrapper-fc")).tensors.map {
      SafetensorsWriter.Entry(name: $0.name, shape: $0.shape, floats: try $0.floats())
    }
    let second = SafetensorsWriter.Entry(
      name: "age.weight", shape: [2, 8], floats: .init(repeating: 1, count: 16))
    let error = thrownError(ConversionError.self) { try converter(entries + [second], folder) }
    guard case .head(let fault)? = error?.problem else {
      Issue.record("\(String(describing: error))")
      return
    }
    #expect(Set(fault.tensors) == ["fc.weight", "fc.bias", "age.weight"])
    let left = try converter(entries + [second], folder, ignoring: true)
    #expect(left.source.description.classCount == nil)
    #expect(Set(left.source.checkpoint.unused).isSuperset(of: fault.tensors))
  }

  @Test("a loose parameter beside a head is a part of it")
  func loose() throws {
    let folder = try TemporaryFolder()
    let entries = try Checkpoint.read(path: Self.path("wrapper-fc")).tensors.map {
      SafetensorsWriter.Entry(name: $0.name, shape: $0.shape, floats: try $0.floats())
    }
    let scale = SafetensorsWriter.Entry(name: "scale", shape: [], floats: [3])
    let error = thrownError(ConversionError.self) { try converter(entries + [scale], folder) }
    let text = error?.description ?? ""
    #expect(text.contains("'scale'") && text.hasSuffix("it can be left out"), "\(text)")
  }

  /// Files whose image model is what is small beside what stands next to it, or has other parts.
  static let decoders: [(String, [(String, [Int])])] = [
    ("features-only", (0..<90).map { ("decode_head.convs.\($0).conv.weight", [2, 2, 3, 3]) }),
    ("open-mmlab-backbone", (0..<90).map { ("neck.fpn_convs.\($0).weight", [2, 2, 3, 3]) }),
    ("wrapper-fc", (0..<90).map { ("decoder.norms.\($0).weight", [2]) }),
    ("clip-wrapper", (0..<120).map { ("decoder.layers.\($0).weight", [2, 2]) }),
    ("clip-classification/model", (0..<60).map { ("decoder.layers.\($0).weight", [2, 2]) }),
    ("clip-classification/model", [("vision_model.encoder.layers.0.adapter.weight", [2, 2])]),
    ("clip-classification/model", [("temperature", [])]),
    ("open-clip-visual", [("attn_pool.query", [2, 2])]),
  ]

  @Test("what stands beside an image model and nothing explains is an error", arguments: decoders)
  func decoder(_ name: String, _ others: [(String, [Int])]) throws {
    let folder = try TemporaryFolder()
    let entries = try Checkpoint.read(path: Self.path(name)).tensors.map {
      SafetensorsWriter.Entry(name: $0.name, shape: $0.shape, floats: try $0.floats())
    }
    let extra = others.map { other, shape in
      SafetensorsWriter.Entry(
        name: other, shape: shape, floats: .init(repeating: 1, count: shape.reduce(1, *)))
    }
    let error = thrownError(ConversionError.self) { try converter(entries + extra, folder) }
    let text = error?.description ?? ""
    #expect(
      text.contains("'\(extra[0].name)'") && text.hasSuffix("can be left out"), "\(text)")
    _ = try converter(entries + extra, folder, ignoring: true)
  }

  @Test("the activation of a head is refused where nothing is left open")
  func unusedOption() throws {
    let path = Self.path("wrapper-fc")
    let error = thrownError(ConversionError.self) {
      try SourceModel.open(path: path, parts: GivenParts(headActivation: .kind(.relu)))
    }
    guard case .setting(.headActivation, "relu", _)? = error?.problem else {
      Issue.record("\(String(describing: error))")
      return
    }
  }

  @Test("a missing tensor is named with one that is there")
  func missing() throws {
    let folder = try TemporaryFolder()
    let entries = try Checkpoint.read(path: Self.path("open-mmlab")).tensors.map {
      SafetensorsWriter.Entry(name: $0.name, shape: $0.shape, floats: try $0.floats())
    }
    let gone = "backbone.stages.2.0.pointwise_conv2.bias"
    let error = thrownError(ConversionError.self) {
      try converter(entries.filter { $0.name != gone }, folder)
    }
    #expect(
      error?.problem
        == .missing(
          ["stages.2.blocks.0.mlp.fc2.bias"], beside: "backbone.stages.2.0.pointwise_conv2.weight"))
    let stem = entries.filter { $0.name != "backbone.downsample_layers.0.0.weight" }
    let found = thrownError(ModelError.self) { try converter(stem, folder) }
    #expect(
      found?.problem
        == .missingTensor("stem.0.weight", beside: "backbone.downsample_layers.0.0.bias"))
  }

  @Test("a model for segmentation with a ConvNeXt inside is refused by its class")
  func segmentation() throws {
    let description: JSONValue = [
      "architectures": ["UperNetForSemanticSegmentation"], "model_type": "upernet",
    ]
    let facts = CheckpointFacts(
      names: [("backbone.embeddings.patch_embeddings.weight", [8, 3, 4, 4])],
      description: description)
    let error = thrownError(ModelError.self) { try ModelCheckpoint.recognise(facts) }
    guard
      case .configuration("architectures", "'UperNetForSemanticSegmentation'", _)? =
        error?.problem
    else {
      Issue.record("\(String(describing: error))")
      return
    }
  }

  static let cases: [(String, String, String)] = [
    ("head-timm-fc-sequential", "model.pth", "logits"),
    ("head-torchvision-dropout", "model.pth", "logits"),
    ("head-torchvision-mlp-wrong-classes", "model.pth", "logits"),
    ("head-wrapper-backbone-fc", "model.pth", "logits"),
    ("clip-image-classification", "", "logits"), ("names-mmpretrain", "mm.pth", "logits"),
  ]

  @Test(
    "cases from the field give their right values",
    .enabled(if: TestFiles.hasCases, Comment(rawValue: TestFiles.casesReason)), arguments: cases)
  func field(_ name: String, _ file: String, _ value: String) throws {
    let folder = try TemporaryFolder()
    let base = TestFiles.checkpointCase(name)
    let expected = try Expected(base + "/expected.safetensors")
    let pixels = try #require(expected.tensor("pixel_values"))
    let want = try #require(expected.tensor(value) ?? expected.tensor("expected"))
    let session = try convertedSession(file.isEmpty ? base : base + "/" + file, .f32, in: folder)
    var found: [Float]?
    _ = try session.run([
      PixelTensor(
        height: pixels.shape[2], width: pixels.shape[3], channels: 3,
        channelsFirst: pixels.values)
    ]) { seen in
      if seen.name == value { found = seen.planar.values }
    }
    let difference = maxAbsDifference(try #require(found), want.values)
    #expect(difference <= 1e-4 * want.scale, "differs by \(difference)")
  }
}
