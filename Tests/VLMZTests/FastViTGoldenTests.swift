import Testing
import VLMConversion
import VLMFoundation
import VLMImages
import VLMModels
import VLMTensor
import VLMTestSupport
import VLMText
import VLMZ

/// FastViT, checkpoint → container → maps, vectors and answers, against timm and transformers;
/// `scripts/make-fastvit-fixtures` made both.
struct FastViTGoldenTests {
  /// The bound that every model is held to. Folding a norm into a kernel moves the last bits.
  static let tolerance: Float = 1e-4
  static func path(_ name: String) -> String { TestFiles.fixture("fastvit/" + name) }

  static func check(_ found: [Float]?, _ name: String) throws {
    let want = try #require(
      try Expected(path("expected.safetensors")).tensor(name), "\(name)")
    let difference = maxAbsDifference(try #require(found, "\(name)"), want.values)
    #expect(difference <= tolerance * want.scale, "\(name): differs by \(difference)")
  }

  /// The same of a map that is shown as a language model has it, position by position.
  static func checkTokens(_ found: [Float]?, _ name: String) throws {
    let want = try #require(
      try Expected(path("expected.safetensors")).tensor(name), "\(name)")
    let (channels, count) = (want.shape[1], want.shape[2] * want.shape[3])
    let tokens = (0..<want.values.count).map { place in
      want.values[place % channels * count + place / channels]
    }
    let difference = maxAbsDifference(try #require(found, "\(name)"), tokens)
    #expect(difference <= tolerance * want.scale, "\(name): differs by \(difference)")
  }

  static func pixels(_ name: String = "pixel_values") throws -> PixelTensor {
    let pixels = try #require(try Expected(path("expected.safetensors")).tensor(name))
    return PixelTensor(
      height: pixels.shape[2], width: pixels.shape[3], channelsFirst: pixels.values)
  }

  /// Every intermediate of one picture by name, with the embedding and the logits.
  static func run(
    _ checkpoint: String, _ scheme: Scheme = .f32, kernels: KernelSet? = nil,
    wideElements: Int = ConvNeXtContext.defaultWideElements, threads: Int = 2
  ) throws -> (shown: [String: [Float]], embedding: [Float], logits: [Float]?) {
    let folder = try TemporaryFolder()
    let session = try convertedSession(
      path(checkpoint), scheme, in: folder, threads: threads, kernels: kernels,
      wideElements: wideElements)
    var shown: [String: [Float]] = [:]
    let result = try #require(
      try session.run([try pixels()]) { shown[$0.name] = $0.planar.values }.first)
    return (shown, result.embedding, result.logits)
  }

  static let classifiers = ["timm-batch", "timm-repmixer"]

  @Test(
    "f32 agrees with timm after every stage of a model as it is trained", arguments: classifiers)
  func stages(_ name: String) throws {
    let found = try Self.run(name)
    for point in ["stem", "stage0", "stage1", "stage2", "stage3", "features", "logits"] {
      try Self.check(found.shown[point], "\(name).\(point)")
    }
    try Self.check(found.embedding, "\(name).pooled")
    try Self.check(found.logits, "\(name).logits")
  }

  @Test("a model that timm has fused computes the same")
  func fused() throws {
    let found = try Self.run("timm-fused")
    try Self.check(found.logits, "timm-fused.logits")
  }

  @Test(
    "MLPs that run tile by tile compute what those do that run layer by layer", arguments: [1, 3])
  func tiles(_ threads: Int) throws {
    for name in Self.classifiers {
      let found = try Self.run(name, wideElements: 0, threads: threads)
      try Self.check(found.shown["stage2"], "\(name).stage2")
      try Self.check(found.logits, "\(name).logits")
    }
  }

  @Test(
    "quantized weights keep the direction of the vector",
    arguments: [(Scheme.f16, 0.9999), (.bf16, 0.999), (.q8, 0.999), (.q4, 0.97)])
  func quantized(_ bound: (scheme: Scheme, cosine: Double)) throws {
    let want = try #require(
      try Expected(Self.path("expected.safetensors")).tensor("timm-batch.pooled"))
    let found = try Self.run("timm-batch", bound.scheme)
    let similarity = cosine(found.embedding, want.values)
    #expect(similarity >= bound.cosine, "cosine \(similarity)")
  }

  @Test("every instruction set agrees with the scalar kernels", arguments: [Scheme.f32, .q8])
  func instructionSets(_ scheme: Scheme) throws {
    let scalar = try #require(KernelSet(named: "scalar"))
    let reference = try Self.run("timm-batch", scheme, kernels: scalar)
    let scale = reference.embedding.reduce(1) { max($0, abs($1)) }
    for kernels in KernelSet.all where kernels.name != "scalar" {
      let found = try Self.run("timm-batch", scheme, kernels: kernels)
      let difference = maxAbsDifference(found.embedding, reference.embedding)
      #expect(
        difference <= (scheme == .f32 ? 1e-4 : 3e-2) * scale,
        "\(kernels.name): differs by \(difference)")
    }
  }

  // MARK: - MobileCLIP

  @Test("a MobileCLIP embeds pictures and texts as open_clip does, what fills texts up included")
  func mobileCLIP() throws {
    let folder = try TemporaryFolder()
    let session = try convertedSession(Self.path("mobileclip"), .f32, in: folder)
    guard let config = session.description.config as? CLIPConfig else {
      Issue.record("no pair of towers")
      return
    }
    #expect(config.imageTower is FastViTConfig && !config.textTower.isCausal)
    let image = try #require(try session.run([try Self.pixels()]).first)
    try Self.check(image.embedding, "mobileclip.image_embedding")
    let ids = try #require(
      try Expected(Self.path("expected.safetensors")).tensor("mobileclip.text_ids"))
    let rows = (0..<ids.shape[0]).map { row in
      ids.values[row * ids.shape[1]..<(row + 1) * ids.shape[1]].map { Int($0) }
    }
    try Self.check(
      try session.embed(texts: rows).flatMap { $0 }, "mobileclip.text_embedding")
    // The same without the zeros behind the end.
    let short = rows.map { Array($0[...($0.firstIndex(of: 49) ?? 0)]) }
    try Self.check(
      try session.embed(texts: short).flatMap { $0 }, "mobileclip.text_embedding")
  }

  @Test(
    "those that see with a ViT of timm's do so too", arguments: ["mobileclip-b", "mobileclip-l"])
  func mobileCLIPOfViT(_ name: String) throws {
    let folder = try TemporaryFolder()
    let session = try convertedSession(Self.path(name), .f32, in: folder)
    let config = try #require(session.description.config as? CLIPConfig)
    let tower = try #require(config.imageTower as? PlainViTConfig)
    #expect(tower.stem.map(\.kernel) == (name == "mobileclip-b" ? [4, 2, 2] : []))
    #expect(config.textTower.isCausal == (name == "mobileclip-b"))
    let whole = try Self.pixels()
    var values: [Float] = []
    for row in 0..<48 {
      let start = row * whole.width * 3
      values += whole.values[start..<start + 48 * 3]
    }
    let pixels = PixelTensor(height: 48, width: 48, channels: 3, values: values)
    var shown: [String: [Float]] = [:]
    let image = try #require(
      try session.run([pixels]) { shown[$0.name] = $0.planar.values }.first)
    try Self.check(shown["last_hidden_state"], "\(name).last_hidden_state")
    try Self.check(image.embedding, "\(name).image_embedding")
    let ids = try #require(
      try Expected(Self.path("expected.safetensors")).tensor("mobileclip.text_ids"))
    let rows = (0..<ids.shape[0]).map { row in
      ids.values[row * ids.shape[1]..<(row + 1) * ids.shape[1]].map { Int($0) }
    }
    try Self.check(
      try session.embed(texts: rows).flatMap { $0 }, "\(name).text_embedding")
    // A picture one patch high, whose first map has lines longer than there are patches.
    let wide = PixelTensor(
      height: tower.patchSize, width: 5 * tower.patchSize, channels: 3,
      values: [Float](repeating: 0.25, count: 15 * tower.patchSize * tower.patchSize))
    #expect(try session.run([wide]).first?.embedding.count == 6)
    let read = try ModelDescription(json: session.description.json)
    #expect(read == session.description)
  }

  // MARK: - FastVLM

  /// A folder, and whose logits it has.
  static let languageModels = [
    ("fast-vlm", "fast-vlm"), ("fast-vlm-apple", "fast-vlm-apple"), ("apple-fused", "fast-vlm"),
  ]

  @Test(
    "a FastVLM sees as transformers' does, fused and as trained, in its names and in Apple's",
    arguments: languageModels)
  func fastVLM(_ model: (folder: String, expected: String)) throws {
    let folder = try TemporaryFolder()
    let session = try conversation(Self.path(model.folder), .f32, in: folder)
    var shown: [String: [Float]] = [:]
    let picture = try session.encode(try Self.pixels("fast-vlm.pixel_values")) { seen in
      shown[seen.name] = seen.planar.values
    }
    for point in ["stem", "stage0", "stage1", "stage2", "stage3", "stage4"] {
      // What transformers fused was rounded to half precision once more.
      let name = "fast-vlm.\(point)"
      if model.folder == "fast-vlm-apple" { try Self.check(shown["tower.\(point)"], name) }
    }
    if model.folder == "fast-vlm-apple" {
      try Self.checkTokens(shown["tower.features"], "fast-vlm.features")
    }
    try Self.check(picture.rows.array(), "\(model.expected).projector")
    var logits: [Float]?
    try session.inspect([1, 5, 7, ImagePrompt.sentinel, 11, 13], images: [picture]) {
      name, _, values in
      if name == "logits" { logits = values }
    }
    try Self.check(logits, "\(model.expected).logits")
  }

  @Test("pictures of any size and proportions have maps as transformers' code makes them")
  func otherSizes() throws {
    let folder = try TemporaryFolder()
    let session = try conversation(Self.path("fast-vlm-apple"), .f32, in: folder)
    var shown: [String: [Float]] = [:]
    _ = try session.encode(try Self.pixels("fast-vlm.other.pixel_values")) { seen in
      shown[seen.name] = seen.planar.values
    }
    for point in ["stage2", "stage3", "stage4"] {
      try Self.check(shown["tower.\(point)"], "fast-vlm.other.\(point)")
    }
    try Self.checkTokens(shown["tower.features"], "fast-vlm.other.features")
  }

  @Test("pictures are padded to a square and keep their values between 0 and 1")
  func steps() throws {
    for name in ["fast-vlm", "fast-vlm-apple"] {
      let source = try SourceModel.open(path: Self.path(name))
      let steps = try #require(source.preprocessing, "\(name)")
      #expect(steps.padding != nil, "\(name)")
      #expect(steps.fixedSize?.width == 128, "\(name)")
      let normalization = try #require(steps.normalization, "\(name)")
      #expect(normalization.mean == [0, 0, 0] && normalization.deviation == [1, 1, 1])
    }
  }
}
