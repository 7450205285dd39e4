import Testing
import VLMCheckpoint
import VLMFoundation
import VLMModels
import VLMTensor
import VLMTestSupport

/// CLIP's vision transformer against transformers', at the size of its positions and at others.
struct CLIPViTGoldenTests {
  static let tolerance: Float = 2e-4

  struct Tower {
    let catalog: TensorCatalog
    let names: [String: String]
    let config: ViTConfig

    init(_ checkpoint: String, feature: ViTConfig.Feature, layer: Int = -1) throws {
      catalog = try Checkpoint.read(path: TestFiles.golden(checkpoint))
      var names: [String: String] = [:]
      var shapes: [String: [Int]] = [:]
      for tensor in catalog.tensors {
        guard let ours = ViTNaming.canonical(tensor.name) else { continue }
        names[ours] = tensor.name
        shapes[ours] = tensor.shape
      }
      self.names = names
      config = try ViTGeometry(
        shapes: shapes,
        description: MultiResolutionGoldenTests.json(TestFiles.golden("clip-vit/hf/config.json"))
      ).config(feature: feature, selectLayers: [layer])
    }

    /// Every intermediate by name, with the tower's feature.
    func run(_ pixels: ExpectedTensor, _ scheme: Scheme) throws -> [String: [Float]] {
      let folder = try TemporaryFolder()
      let source = try CheckpointWeights(catalog, names: names, scheme: scheme, in: folder) {
        _ = try ViT($0, config)
      }
      try OpenBLAS.load()
      let kernels = try KernelSet.selected()
      let model = try ViT(Weights(source, kernels: kernels), config)
      let (height, width) = (pixels.shape[2], pixels.shape[3])
      let input = FeatureShape(batch: 1, height: height, width: width, channels: 3)
      let context = try #require(
        try model.context(
          input, pool: WorkerPool(threadCount: 2), kernels: kernels) as? PatchContext)
      var planes = [Float](repeating: 0, count: pixels.values.count)
      for pixel in 0..<height * width {
        for channel in 0..<3 {
          planes[pixel * 3 + channel] = pixels.values[channel * height * width + pixel]
        }
      }
      context.pixels.assign(planes)
      var shown: [String: [Float]] = [:]
      let tokens = try model(context) { shown[$0.name] = $0.value.array() }
      shown["feature"] = model.feature(tokens, context).array()
      return shown
    }
  }

  static func check(
    _ found: [Float]?, _ name: String, _ expected: Expected, tolerance: Float = tolerance
  ) throws {
    let want = try #require(expected.tensor(name), "\(name)")
    let difference = maxAbsDifference(try #require(found, "\(name)"), want.values)
    #expect(difference <= tolerance * want.scale, "\(name): differs by \(difference)")
  }

  @Test("f32 agrees with transformers after every layer")
  func agrees() throws {
    let expected = try Expected(TestFiles.golden("clip-vit/expected.safetensors"))
    let pixels = try #require(expected.tensor("pixel_values"))
    let shown = try Tower("clip-vit/hf", feature: .pooled).run(pixels, .f32)
    for layer in 0...4 { try Self.check(shown["hidden.\(layer)"], "hidden.\(layer)", expected) }
    try Self.check(shown["feature"], "pooler_output", expected)
    let patches = try Tower("clip-vit/hf", feature: .patches, layer: -2).run(pixels, .f32)
    try Self.check(patches["feature"], "select_layer_-2_patch", expected)
  }

  @Test("positions are resampled for other sizes of image")
  func otherSizes() throws {
    let expected = try Expected(TestFiles.golden("clip-vit/expected.safetensors"))
    let tower = try Tower("clip-vit/hf", feature: .patches, layer: -2)
    let pixels = try #require(expected.tensor("s84.pixel_values"))
    let shown = try tower.run(pixels, .f32)
    try Self.check(
      shown["position_embedding"], "s84.position_embedding", expected, tolerance: 1e-6)
    try Self.check(shown["hidden.0"], "s84.hidden.0", expected)
    try Self.check(shown["feature"], "s84.select_layer_-2_patch", expected)
    // Of the larger input only every third pixel is there; its positions are all there.
    let zeros = ExpectedTensor(
      shape: [1, 3, 168, 168], values: [Float](repeating: 0, count: 3 * 168 * 168))
    let larger = try tower.run(zeros, .f32)
    try Self.check(
      larger["position_embedding"], "s168.position_embedding", expected, tolerance: 1e-6)
  }

  @Test("a tower inside a whole CLIP in half precision is the same tower")
  func insideCLIP() throws {
    let expected = try Expected(TestFiles.golden("clip-vit/expected.safetensors"))
    let pixels = try #require(expected.tensor("pixel_values"))
    let tower = try Tower("clip-vit/clip-model-with-text.bin", feature: .pooled)
    #expect(tower.catalog.tensors.count > tower.names.count)
    let found = try tower.run(pixels, .f32)["feature"]
    let want = try #require(expected.tensor("pooler_output"))
    // Its weights are rounded to f16.
    #expect(cosine(try #require(found), want.values) > 0.9999)
  }

  @Test(
    "quantized weights keep the direction of the features",
    arguments: [(Scheme.f16, 0.9999), (.bf16, 0.999), (.q8, 0.999), (.q4, 0.99)])
  func quantized(_ bound: (scheme: Scheme, cosine: Double)) throws {
    let expected = try Expected(TestFiles.golden("clip-vit/expected.safetensors"))
    let pixels = try #require(expected.tensor("pixel_values"))
    let want = try #require(expected.tensor("select_layer_-2_patch"))
    let found = try Tower("clip-vit/hf", feature: .patches, layer: -2)
      .run(pixels, bound.scheme)["feature"]
    #expect(cosine(try #require(found), want.values) >= bound.cosine)
  }
}
