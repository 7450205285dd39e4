import Foundation
import Testing
import VLMCheckpoint
import VLMConversion
import VLMImages
import VLMModels
import VLMTensor
import VLMTestSupport
import VLMText

/// Checkpoints that are not quite what a model needs.
struct SourceModelTests {
  static let checkpoint = TestFiles.fixture("convnext-cifar10")

  /// The sample's tensors, to be changed and written again.
  private func tensors() throws -> [SafetensorsWriter.Entry] {
    try SafetensorsFile.read(path: Self.checkpoint + "/model.safetensors").tensors.map {
      SafetensorsWriter.Entry($0)
    }
  }

  private func write(
    _ entries: [SafetensorsWriter.Entry], _ folder: TemporaryFolder
  ) throws -> String {
    let path = folder.path("model.safetensors")
    try SafetensorsWriter.write(path: path, overwrite: true, tensors: entries)
    return path
  }

  private func converter(_ path: String, ignoreUnexpected: Bool = false) throws -> Conversion {
    try Conversion(
      source: try SourceModel.open(path: path), policy: QuantizationPolicy(scheme: .q8),
      ignoreUnexpected: ignoreUnexpected, pool: WorkerPool(threadCount: 1))
  }

  @Test("S56 a missing tensor is named")
  func missing() throws {
    let folder = try TemporaryFolder()
    let name = "stages.1.blocks.3.mlp.fc2.bias"
    let path = try write(try tensors().filter { $0.name != name }, folder)
    #expect(throws: ConversionError(path: path, .missing([name]))) { try converter(path) }
  }

  @Test("S56 a tensor of another shape is named, with both shapes")
  func shape() throws {
    let folder = try TemporaryFolder()
    let name = "stages.1.blocks.0.norm.weight"
    var entries = try tensors().filter { $0.name != name }
    entries.append(.init(name: name, shape: [95], floats: .init(repeating: 1, count: 95)))
    let path = try write(entries, folder)
    #expect(
      throws: ConversionError(path: path, .shape(tensor: name, found: [95], expected: [96]))
    ) { try converter(path) }
  }

  @Test("tensors of no model are told by what the description says of them")
  func describedOthers() throws {
    let folder = try TemporaryFolder()
    func text(_ json: String) throws -> String {
      _ = try folder.write("config.json", Array(json.utf8))
      let path = try write(
        [
          .init(name: "bn1.num_batches_tracked", shape: [1], floats: [1]),
          .init(name: "layer1.0.conv1.weight", dtype: .u8, shape: [4], bytes: [1, 2, 3, 4]),
          .init(name: "layer2.0.conv1.weight", shape: [1], floats: [1]),
        ], folder)
      let error = thrownError(ConversionError.self) { try SourceModel.open(path: path) }
      return error?.description ?? "nothing"
    }
    let plain = try text("{}")
    #expect(plain.contains("3 tensors of no model known here, found "))
    #expect(plain.contains("'layer1.0.conv1.weight'"))
    #expect(!plain.contains("num_batches_tracked"))
    #expect(plain.contains("(a ResNet?)") && plain.contains("docs/models.md"), "\(plain)")
    #expect(plain.utf8.count - folder.url.path.utf8.count < 400, "\(plain)")
    #expect(
      try text(#"{"architecture": "resnet18"}"#).contains(
        "config.json says that this is timm's 'resnet18', which is not run here"))
    let quantized = try text(#"{"quantization_config": {"quant_method": "mxfp4"}}"#)
    #expect(quantized.contains("quantized (mxfp4), found tensor 'layer1.0.conv1.weight'"))
    let named = #"{"architectures": ["ResNetModel"], "quantization_config": {"quant_method": "x"}}"#
    #expect(try text(named).contains("'ResNetModel', which is not run"))
  }

  @Test("S56 an extra tensor under the model's names is refused unless it is to be ignored")
  func unexpected() throws {
    let folder = try TemporaryFolder()
    var entries = try tensors()
    entries.append(.init(name: "stages.0.blocks.0.extra", shape: [1], floats: [1]))
    let path = try write(entries, folder)
    #expect(throws: ConversionError(path: path, .unexpected(["stages.0.blocks.0.extra"]))) {
      try converter(path)
    }
    #expect(try converter(path, ignoreUnexpected: true).plan.items.count == 92)
  }

  @Test("a tensor under an unknown name is left out and told about")
  func unused() throws {
    let folder = try TemporaryFolder()
    var entries = try tensors()
    entries.append(.init(name: "optimizer_step", shape: [], floats: [1]))
    let path = try write(entries, folder)
    #expect(try converter(path).source.checkpoint.unused == ["optimizer_step"])
  }

  @Test("S55 weights that are not finite are refused, with tensor and count")
  func notFinite() throws {
    let folder = try TemporaryFolder()
    let name = "stages.1.blocks.1.mlp.fc1.weight"
    var entries = try tensors().filter { $0.name != name }
    var values = [Float](repeating: 0.5, count: 384 * 96)
    values[7] = .nan
    values[99] = .infinity
    entries.append(.init(name: name, shape: [384, 96], floats: values))
    let path = try write(entries, folder)
    let output = folder.path("out.vlmz")
    #expect(throws: ConversionError(path: path, .nonFinite(tensor: name, count: 2))) {
      _ = try converter(path).run(to: output, overwrite: false) { _, _, _ in }
    }
    #expect(!TestFiles.exists(output))
  }

  @Test("integers are no weights")
  func integers() throws {
    let folder = try TemporaryFolder()
    let name = "head.fc.weight"
    var entries = try tensors().filter { $0.name != name }
    entries.append(
      .init(name: name, dtype: .i8, shape: [10, 256], bytes: .init(repeating: 1, count: 2560)))
    let path = try write(entries, folder)
    #expect(throws: ConversionError(path: path, .notFloat(tensor: name, found: "I8"))) {
      try converter(path)
    }
  }

  @Test("tensors of no known model are refused")
  func unknownModel() throws {
    let folder = try TemporaryFolder()
    let path = try write([.init(name: "transformer.wte", shape: [2], floats: [1, 2])], folder)
    #expect(
      throws: ConversionError(
        path: path, .unknownModel(tensorCount: 1, examples: ["transformer.wte"]))
    ) { try SourceModel.open(path: path) }
  }

  @Test("without a description the geometry is the same, and preprocessing is ImageNet's")
  func bareFile() throws {
    let folder = try TemporaryFolder()
    let path = try write(try tensors(), folder)
    let bare = try SourceModel.open(path: path)
    let described = try SourceModel.open(path: Self.checkpoint)
    #expect(bare.description == described.description)
    #expect(bare.labels == nil)
    #expect(bare.preprocessing == .timmDefault)
    #expect(bare.notes.count == 1)
    #expect(described.labels?.count == 10)
    #expect(described.preprocessing?.fixedSize?.width == 64)
  }

  @Test("--tensor-type takes the last pattern that matches")
  func overrides() throws {
    let source = try SourceModel.open(path: Self.checkpoint)
    let policy = QuantizationPolicy(
      scheme: .q4,
      overrides: [
        .init(pattern: "stages.1.*", scheme: .f16),
        .init(pattern: "*blocks.3*fc2.weight", scheme: .f32),
      ])
    let plan = try Conversion(
      source: source, policy: policy, ignoreUnexpected: false, pool: WorkerPool(threadCount: 1)
    ).plan
    func scheme(_ name: String) -> Scheme? {
      plan.items.first { $0.spec.path == name }?.format.scheme
    }
    #expect(scheme("stages.1.blocks.0.mlp.fc1.weight") == .f16)
    #expect(scheme("stages.1.blocks.3.mlp.fc2.weight") == .f32)
    #expect(scheme("stages.1.blocks.3.conv_dw.weight") == .f32)
    #expect(scheme("stages.3.blocks.0.mlp.fc1.weight") == .q4)
    #expect(scheme("head.fc.weight") == .q8)
    #expect(throws: ConversionError.self) {
      try Conversion(
        source: source,
        policy: QuantizationPolicy(
          scheme: .q4, overrides: [.init(pattern: "nothing*", scheme: .q8)]),
        ignoreUnexpected: false, pool: WorkerPool(threadCount: 1))
    }
  }
}
