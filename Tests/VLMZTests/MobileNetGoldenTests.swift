import Testing
import VLMCheckpoint
import VLMConversion
import VLMFoundation
import VLMImages
import VLMModels
import VLMTensor
import VLMTestSupport
import VLMZ

/// MobileNetV4 and EfficientViT, checkpoint → container → maps, vectors and classes, against timm;
/// `scripts/make-mobilenet-fixtures` made both.
struct MobileNetGoldenTests {
  /// The bound that every model is held to. Folding a norm into a kernel moves the last bits.
  static let tolerance: Float = 1e-4
  static func path(_ name: String) -> String { TestFiles.fixture("mobilenet/" + name) }

  static let names = [
    "conv-small", "conv-medium", "hybrid-large", "efficientvit-b", "efficientvit-l", "conv-aa",
    "conv-blur",
  ]

  static func expected(_ name: String) throws -> (values: [Float], scale: Float) {
    let want = try #require(
      try Expected(path("expected.safetensors")).tensor(name), "\(name)")
    return (want.values, want.scale)
  }

  static func check(_ found: [Float]?, _ name: String) throws {
    let want = try expected(name)
    let difference = maxAbsDifference(try #require(found, "\(name)"), want.values)
    #expect(difference <= tolerance * want.scale, "\(name): differs by \(difference)")
  }

  /// Every intermediate of one picture by name, with the embedding and the logits.
  static func run(
    _ checkpoint: String, _ scheme: Scheme = .f32, kernels: KernelSet? = nil, threads: Int = 2
  ) throws -> (shown: [String: [Float]], embedding: [Float], logits: [Float]?) {
    let pixels = try #require(try Expected(path("expected.safetensors")).tensor("pixel_values"))
    let folder = try TemporaryFolder()
    let session = try convertedSession(
      path(checkpoint), scheme, in: folder, threads: threads, kernels: kernels)
    var shown: [String: [Float]] = [:]
    let picture = PixelTensor(
      height: pixels.shape[2], width: pixels.shape[3], channelsFirst: pixels.values)
    let result = try #require(
      try session.run([picture]) { shown[$0.name] = $0.planar.values }.first)
    return (shown, result.embedding, result.logits)
  }

  @Test("f32 agrees with timm after every stage", arguments: names)
  func stages(_ name: String) throws {
    let found = try Self.run(name)
    try Self.check(found.shown["stem"], "\(name).stem")
    let last = name.hasPrefix("efficientvit") ? 3 : 4
    for index in 0...last {
      try Self.check(found.shown["stage\(index)"], "\(name).stage\(index)")
    }
    try Self.check(found.shown["features"], "\(name).stage\(last)")
    try Self.check(found.embedding, "\(name).embedding")
    if name == "conv-medium" {
      #expect(found.logits == nil)
    } else {
      try Self.check(found.logits, "\(name).logits")
    }
  }

  @Test("results have the same bits on any number of threads", arguments: names)
  func threads(_ name: String) throws {
    let one = try Self.run(name, .q8, threads: 1)
    let three = try Self.run(name, .q8, threads: 3)
    #expect(one.embedding == three.embedding)
    #expect(one.logits == three.logits)
  }

  @Test(
    "quantized weights keep the direction of the vector",
    arguments: [(Scheme.f16, 0.9999), (.q8, 0.99), (.q4, 0.97)])
  func quantized(_ bound: (scheme: Scheme, cosine: Double)) throws {
    for name in Self.names {
      let want = try Self.expected("\(name).embedding")
      let found = try Self.run(name, bound.scheme)
      let similarity = cosine(found.embedding, want.values)
      #expect(similarity >= bound.cosine, "\(name): cosine \(similarity)")
    }
  }

  @Test("every instruction set agrees with the scalar kernels", arguments: [Scheme.f32, .q8])
  func instructionSets(_ scheme: Scheme) throws {
    let scalar = try #require(KernelSet(named: "scalar"))
    for name in ["hybrid-large", "efficientvit-b"] {
      let reference = try Self.run(name, scheme, kernels: scalar)
      let scale = reference.embedding.reduce(1) { max($0, abs($1)) }
      for kernels in KernelSet.all where kernels.name != "scalar" {
        let found = try Self.run(name, scheme, kernels: kernels)
        let difference = maxAbsDifference(found.embedding, reference.embedding)
        #expect(
          difference <= (scheme == .f32 ? 1e-4 : 3e-2) * scale,
          "\(name), \(kernels.name): differs by \(difference)")
      }
    }
  }

  @Test("statistics of whole numbers are refused, as they are no norm's")
  func wholeStatistics() throws {
    let folder = try TemporaryFolder()
    let name = "bn1.running_mean"
    let source = try SafetensorsFile.read(path: Self.path("conv-small") + "/model.safetensors")
    let path = folder.path("whole.safetensors")
    try SafetensorsWriter.write(
      path: path, overwrite: false,
      tensors: source.tensors.map { tensor in
        guard tensor.name == name else { return .init(tensor) }
        let bytes = [UInt8](repeating: 1, count: 4 * tensor.elementCount)
        return .init(name: name, dtype: .i32, shape: tensor.shape, bytes: bytes)
      })
    let error = thrownError(ConversionError.self) {
      try convertedSession(path, .f32, in: folder)
    }
    #expect(error?.description.contains(name) == true, "\(error?.description ?? "nothing")")
  }

  @Test("pictures are prepared as the file says")
  func steps() throws {
    let source = try SourceModel.open(path: Self.path("conv-small"))
    let steps = try #require(source.preprocessing)
    let normalization = try #require(steps.normalization)
    #expect(normalization.mean == [0.485, 0.456, 0.406])
    #expect(source.checkpoint.notes.isEmpty)
  }
}
