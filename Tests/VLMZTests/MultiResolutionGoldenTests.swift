import Foundation
import Testing
import VLMCheckpoint
import VLMFoundation
import VLMImages
import VLMModels
import VLMTensor
import VLMTestSupport
import VLMText

/// LLaVA-HR's tower, checkpoint → weights → tokens, against what upstream's own code computed.
struct MultiResolutionGoldenTests {
  static let tolerance: Float = 2e-4

  static let cases = [
    "llava-hr/hf-bin", "llava-hr-x/hf-safetensors", "llava-hr-frozen/hf-safetensors",
  ]

  static func tower(_ path: String) throws -> (TensorCatalog, MultiResolutionCheckpoint) {
    let folder = TestFiles.golden(path)
    let catalog = try Checkpoint.read(path: folder)
    let facts = try MultiResolutionCheckpoint.Facts(
      llava: try json(folder + "/config.json"),
      clip: try json(folder + "/openai/clip-vit-large-patch14-336/config.json"))
    let prefix = "model.vision_tower."
    let names = catalog.tensors.filter { $0.name.hasPrefix(prefix) }.map {
      (name: String($0.name.dropFirst(prefix.count)), shape: $0.shape)
    }
    return (catalog, try MultiResolutionCheckpoint(names: names, facts: facts, prefix: prefix))
  }

  static func json(_ path: String) throws -> JSONValue {
    try JSONValue.parse([UInt8](Data(contentsOf: URL(fileURLWithPath: path))), limits: JSONLimits())
  }

  static func image(_ path: String, side: Int) throws -> PixelTensor {
    let preprocessing = Preprocessing(
      resize: .shortestEdge(side),
      crop: .init(width: side, height: side, rounding: .floor), normalization: .clip
    ).paddedWithMean()
    let image = try ImageDecoder.decode(
      path: TestFiles.golden(path), policy: .pillow, limits: ImageLimits())
    return try preprocessing.apply(image, name: path)
  }

  /// What the tower shows: `[height, width, channels]`, and its values.
  typealias Shown = [String: (shape: FeatureShape, values: [Float])]

  static func run(
    _ path: String, image: String, _ scheme: Scheme, threads: Int = 2
  ) throws -> (MultiResolutionConfig, Shown) {
    let (catalog, checkpoint) = try tower(path)
    let folder = try TemporaryFolder()
    let source = try CheckpointWeights(
      catalog, names: checkpoint.tensors.mapValues(\.original), scheme: scheme, in: folder
    ) { _ = try MultiResolutionTower($0, checkpoint.config) }
    try OpenBLAS.load()
    let kernels = try KernelSet.selected()
    let pool = WorkerPool(threadCount: threads)
    let tower = try MultiResolutionTower(Weights(source, kernels: kernels), checkpoint.config)
    let side = checkpoint.config.imageSize
    let context = try MultiResolutionContext(
      checkpoint.config, height: side, width: side, format: tower.keyValueFormat, pool: pool,
      kernels: kernels)
    var shown: Shown = [:]
    let pixels = try Self.image(image, side: side)
    shown["pixel_values"] = (
      FeatureShape(batch: 1, height: side, width: side, channels: 3), pixels.values
    )
    context.pixels.assign(pixels.values)
    _ = try tower(context) { shown[$0.name] = ($0.shape, $0.value.array()) }
    // A second pass gives the same: nothing is left over from the first.
    context.pixels.assign(pixels.values)
    let again = try tower(context)
    #expect(again.array() == shown["visual_tokens"]?.values)
    return (checkpoint.config, shown)
  }

  @Test(
    "f32 agrees with upstream at every stage",
    arguments: cases)
  func agrees(_ path: String) throws {
    let name = String(path.split(separator: "/")[0])
    let (config, shown) = try Self.run(path, image: name + "/input.png", .f32)
    let expected = try TokenGolden(TestFiles.golden(name + "/expected.safetensors"))
    for name in ["pixel_values", "fast.pixel_in"] {
      try expected.compareMap(name, try #require(shown[name]), Self.tolerance)
    }
    for part in ["stem", "stage0", "stage1", "stage2", "stage3"] {
      try expected.compareMap("slow.\(part)", try #require(shown["slow.\(part)"]), Self.tolerance)
    }
    let embeddings = try #require(shown["fast.embeddings"])
    // Upstream's has the class token in front.
    try expected.compareTokens(
      "fast.embeddings_with_cls", embeddings.values, embeddings.shape, Self.tolerance, first: 1)
    func tokens(_ name: String) throws {
      let (shape, values) = try #require(shown[name], "\(name)")
      try expected.compareTokens(name, values, shape, Self.tolerance)
    }
    try tokens("fast.pre_layernorm")
    for layer in 0..<config.fast.encoder.layers where expected.has("fast.layer\(layer)") {
      try tokens("fast.layer\(layer)")
    }
    for adapter in 0..<(config.usesAdapters ? 3 : 0) {
      let scope = "adapter\(adapter)"
      for name in ["\(scope).slow_proj", "\(scope).fast_proj"] {
        try expected.compareMap(name, try #require(shown[name]), Self.tolerance)
      }
      for name in ["in_fast", "out", "gate_pre_tanh"] { try tokens("\(scope).\(name)") }
    }
    for name in ["align.in_fast", "align.fast_proj", "align.slow_proj", "visual_tokens"] {
      try tokens(name)
    }
  }

  @Test(
    "quantized weights keep the direction of the tokens",
    arguments: cases, [(Scheme.f16, 0.9999), (.bf16, 0.999), (.q8, 0.999), (.q4, 0.99)])
  func quantized(_ path: String, _ bound: (scheme: Scheme, cosine: Double)) throws {
    let name = String(path.split(separator: "/")[0])
    let (_, whole) = try Self.run(path, image: name + "/input.png", .f32)
    let (_, found) = try Self.run(path, image: name + "/input.png", bound.scheme)
    let alike = cosine(
      try #require(whole["visual_tokens"]).values, try #require(found["visual_tokens"]).values)
    #expect(alike >= bound.cosine)
  }
}

/// Expected values in transformers' order of tokens, some of them only every K-th token.
struct TokenGolden {
  private let expected: Expected

  init(_ path: String) throws { expected = try Expected(path) }

  func has(_ name: String) -> Bool {
    expected.names.contains { $0 == name || $0.hasPrefix(name + "__") }
  }

  /// - Parameter first: tokens that come before ours.
  func compareTokens(
    _ name: String, _ values: [Float], _ shape: FeatureShape, _ tolerance: Float, first: Int = 0
  ) throws {
    let full = try #require(
      expected.names.first { $0 == name || $0.hasPrefix(name + "__tokstride") }, "\(name)")
    let want = try #require(expected.tensor(full))
    let step = full == name ? 1 : Int(full.dropFirst(name.count + 11)) ?? 1
    let (rows, channels) = (shape.rows, shape.channels)
    var found: [Float] = []
    var wanted: [Float] = []
    for index in 0..<want.values.count / channels {
      let row = index * step - first
      guard row >= 0 else { continue }
      try #require(row < rows, "\(name) has more tokens")
      found += values[row * channels..<(row + 1) * channels]
      wanted += want.values[index * channels..<(index + 1) * channels]
    }
    let difference = maxAbsDifference(found, wanted)
    #expect(difference <= tolerance * want.scale, "\(name): differs by \(difference)")
  }

  func compareMap(
    _ name: String, _ shown: (shape: FeatureShape, values: [Float]), _ tolerance: Float
  ) throws {
    let (shape, area) = (shown.shape, shown.shape.height * shown.shape.width)
    var planar = [Float](repeating: 0, count: shown.values.count)
    for pixel in 0..<area {
      for channel in 0..<shape.channels {
        planar[channel * area + pixel] = shown.values[pixel * shape.channels + channel]
      }
    }
    let (want, got) = try #require(
      expected.match(name, shape: [1, shape.channels, shape.height, shape.width], values: planar),
      "\(name)")
    let difference = maxAbsDifference(got, want.values)
    #expect(difference <= tolerance * want.scale, "\(name): differs by \(difference)")
  }
}
