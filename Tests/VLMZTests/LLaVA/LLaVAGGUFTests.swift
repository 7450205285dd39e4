import Foundation
import Testing
import VLMCheckpoint
import VLMContainer
import VLMConversion
import VLMFoundation
import VLMImages
import VLMModels
import VLMTensor
import VLMTestSupport
import VLMText
import VLMZ

/// LLaVA-1.5 in two GGUF files, which `scripts/make-gguf-fixtures` made of what transformers saved.
@Suite("LLaVA in GGUF")
struct LLaVAGGUFTests {
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  static func path(_ name: String) -> String { TestFiles.fixture("llava-gguf/" + name) }

  /// The fixture's folder has both halves; so has this one, without those of other tests.
  private func pair(_ vision: String = "mmproj.gguf") throws -> String {
    for (from, to) in [("model.gguf", "a.gguf"), (vision, "b.gguf")] {
      try FileManager.default.copyItem(atPath: Self.path(from), toPath: folder.path(to))
    }
    return folder.url.path
  }

  @discardableResult
  private func convert(
    _ source: SourceModel, _ name: String, _ scheme: Scheme
  ) throws -> Container {
    let conversion = try Conversion(
      source: source, policy: QuantizationPolicy(scheme: scheme), ignoreUnexpected: false,
      pool: WorkerPool(threadCount: 2))
    _ = try conversion.run(to: folder.path(name), overwrite: true) { _, _, _ in }
    return try Container.open(path: folder.path(name))
  }

  private func session(_ container: Container) throws -> LoadedModel {
    try LoadedModel(
      container, kernels: try KernelSet.selected(), threads: 2, contextLength: 64,
      keyValueFormat: .f32)
  }

  private func check(
    _ found: [Float]?, _ expected: Expected, _ name: String
  ) throws {
    let want = try #require(expected.tensor(name))
    let difference = maxAbsDifference(try #require(found), want.values)
    #expect(difference <= 1e-4 * want.scale, "\(name): differs by \(difference)")
  }

  @Test(
    "the halves of both generations of converters make the container of transformers' layout",
    arguments: ["mmproj.gguf", "current/mmproj.gguf"])
  func sameBytes(vision: String) throws {
    for scheme in [Scheme.f32, .q8, .q4] {
      let source = try SourceModel.open(
        path: Self.path("model.gguf"), parts: GivenParts(mmproj: Self.path(vision)))
      let found = try convert(source, "found.vlmz", scheme)
      let wanted = try convert(
        try SourceModel.open(path: TestFiles.fixture("upstream/llava")), "wanted.vlmz", scheme)
      #expect(try found.section(.config) == wanted.section(.config))
      try #require(found.tensors.map(\.name) == wanted.tensors.map(\.name))
      for (a, b) in zip(found.tensors, wanted.tensors) {
        #expect(a.format == b.format)
        #expect(a.shape == b.shape)
        #expect(a.checksum == b.checksum, "\(a.name) as \(scheme.name)")
      }
    }
  }

  @Test("visual tokens and logits are those of transformers")
  func answers() throws {
    let source = try SourceModel.open(
      path: Self.path("model.gguf"), parts: GivenParts(mmproj: Self.path("mmproj.gguf")))
    let session = try session(try convert(source, "model.vlmz", .f32))
    let picture = try session.encode(try UpstreamFixtureTests.pixels("clip.pixel_values"))
    try UpstreamFixtureTests.check(picture.rows.array(), "llava.projector")
    var logits: [Float]?
    try session.inspect([1, 5, 7, ImagePrompt.sentinel, 11, 13], images: [picture]) {
      name, _, values in
      if name == "logits" { logits = values }
    }
    try UpstreamFixtureTests.check(logits, "llava.logits")
  }

  @Test("quantized halves stand for the numbers that transformers computes with")
  func quantized() throws {
    let source = try SourceModel.open(path: Self.path("quantized"))
    let session = try session(try convert(source, "model.vlmz", .f32))
    let expected = try Expected(Self.path("expected.safetensors"))
    let pixels = try #require(expected.tensor("pixel_values"))
    let picture = try session.encode(
      PixelTensor(height: 14, width: 14, channels: 3, channelsFirst: pixels.values))
    try check(picture.rows.array(), expected, "projector")
    var logits: [Float]?
    try session.inspect([1, 5, 7, ImagePrompt.sentinel, 11, 13], images: [picture]) {
      name, _, values in
      if name == "logits" { logits = values }
    }
    try check(logits, expected, "logits")
  }

  @Test("a folder with both is found by what the files say of themselves, and it is said")
  func folders() throws {
    let source = try SourceModel.open(path: try pair())
    #expect(source.description.architecture == "llava")
    #expect(source.notes.contains { $0.contains("a.gguf' and") && $0.contains("b.gguf' are read") })
    #expect(source.files.map { $0.suffix(6) } == ["a.gguf", "b.gguf"])
    // A vision half that is named takes the place of the folder's.
    let other = Self.path("current/mmproj.gguf")
    let named = try SourceModel.open(path: folder.url.path, parts: GivenParts(mmproj: other))
    #expect(named.files.last == other)
    #expect(!named.notes.contains { $0.contains("are read together") })
  }

  @Test("several vision halves in a folder are an error that names two")
  func choice() throws {
    let path = try pair()
    try FileManager.default.copyItem(
      atPath: Self.path("current/mmproj.gguf"), toPath: folder.path("c.gguf"))
    let error = thrownError(CheckpointError.self) { try SourceModel.open(path: path) }
    #expect(
      error?.problem
        == .gguf(
          .halves(1, 2, language: path + "/a.gguf", vision: path + "/b.gguf")))
    #expect(error?.description.hasSuffix("'\(path)/a.gguf' and '\(path)/b.gguf'") == true)
    let named = try SourceModel.open(path: path, parts: GivenParts(mmproj: path + "/c.gguf"))
    #expect(named.description.architecture == "llava")
  }

  @Test("a language half alone is a language model, and a vision half beside it is said")
  func alone() throws {
    let path = folder.path("model.gguf")
    try FileManager.default.copyItem(atPath: Self.path("model.gguf"), toPath: path)
    let quiet = try SourceModel.open(path: path)
    #expect(quiet.description.architecture == "llama")
    #expect(!quiet.notes.contains { $0.contains("vision half") })
    let vision = folder.path("tiny-MMPROJ-f16.gguf")
    try FileManager.default.copyItem(atPath: Self.path("mmproj.gguf"), toPath: vision)
    let source = try SourceModel.open(path: path)
    #expect(source.description.architecture == "llama")
    #expect(
      source.notes.contains(
        Note("'\(vision)' beside it is the vision half of a model", .visionHalf(vision)))
    )
  }

  @Test("a picture is padded in the mean colour unless the file says otherwise")
  func padding() throws {
    let old = try SourceModel.open(
      path: Self.path("model.gguf"), parts: GivenParts(mmproj: Self.path("mmproj.gguf")))
    #expect(old.preprocessing?.padding != nil)
    #expect(old.preprocessing?.resize == .shortestEdge(28))
    #expect(old.preprocessing?.normalization == .clip)
    #expect(old.notes.contains { $0.contains("padded, as LLaVA-1.5 does") })
    #expect(old.notes.contains { $0.contains("that of block 0, its last") })
    let stated = try SourceModel.open(
      path: Self.path("model.gguf"), parts: GivenParts(mmproj: Self.path("current/mmproj.gguf")))
    #expect(stated.preprocessing?.padding == nil)
    #expect(stated.notes == [])
  }

  @Test("halves that are none, or the wrong way around, are refused with what is expected")
  func wrongHalves() throws {
    let (model, vision) = (Self.path("model.gguf"), Self.path("mmproj.gguf"))
    let swapped = thrownError(ConversionError.self) {
      try SourceModel.open(path: vision, parts: GivenParts(mmproj: model))
    }
    #expect(swapped == ConversionError(path: vision, .visionHalf))
    #expect(
      thrownError(ConversionError.self) { try SourceModel.open(path: vision) }
        == ConversionError(path: vision, .visionHalf))
    #expect(
      thrownError(CheckpointError.self) {
        try SourceModel.open(path: model, parts: GivenParts(mmproj: model))
      }
        == CheckpointError(path: model, problem: .gguf(.visionExpected(found: "'llama'"))))
    let other = TestFiles.fixture("upstream/llava")
    #expect(
      thrownError(CheckpointError.self) {
        try SourceModel.open(path: other, parts: GivenParts(mmproj: vision))
      }?
      .problem == .gguf(.languageExpected("safetensors")))
    let tensors = other + "/model.safetensors"
    #expect(
      thrownError(CheckpointError.self) {
        try SourceModel.open(path: model, parts: GivenParts(mmproj: tensors))
      }
        == CheckpointError(path: tensors, problem: .gguf(.visionExpected(found: "safetensors"))))
  }

  @Test("blocks that are not decoded are named before anything is written")
  func unreadable() throws {
    let name = "output_norm.weight"
    var bytes = try Array(Data(contentsOf: URL(fileURLWithPath: Self.path("quantized/model.gguf"))))
    let place = try #require(
      bytes.indices.first { bytes[$0...].starts(with: Array(name.utf8)) })
    // Behind the name: the number of extents, the one there is, the type. MXFP4 takes fewer bytes.
    bytes[place + name.utf8.count + 12] = 39
    let path = try folder.write("model.gguf", bytes)
    let source = try SourceModel.open(path: path)
    let error = thrownError(ConversionError.self) {
      try Conversion(
        source: source, policy: QuantizationPolicy(scheme: .q8), ignoreUnexpected: false,
        pool: WorkerPool(threadCount: 1))
    }
    #expect(error == ConversionError(path: path, .notReadable(tensor: name, type: "MXFP4")))
    #expect(error?.description.contains("llama-quantize --allow-requantize") == true)
  }

  // MARK: - What the metadata may say

  /// The facts of the fixture's pair with other metadata and tensors of the vision half.
  private func facts(
    _ changes: [String: JSONValue], without: String? = nil, adding: [CheckpointFacts.Name] = []
  ) throws -> CheckpointFacts {
    let catalog = try Checkpoint.read(
      path: Self.path("model.gguf"), mmproj: Self.path("mmproj.gguf"))
    var vision = try #require(catalog.vision?.metadata.description.objectValue)
    for (key, value) in changes { vision.set(key, value) }
    let names = catalog.tensors.map { (name: $0.name, shape: $0.shape) }
    return CheckpointFacts(
      names: names.filter { $0.name != without } + adding,
      description: try catalog.ggufDescription(factors: LLaMAConfig.ggufFactors),
      towerDescription: .object(vision), towerFile: "vision.gguf")
  }

  static let refused: [(String, JSONValue)] = [
    ("clip.projector_type", "ldp"), ("clip.projector_type", "ldpv2"),
    ("clip.projector_type", "resampler"), ("clip.projector_type", "qwen2vl_merger"),
    ("clip.projector_type", "gemma3"), ("clip.projector_type", "pixtral"),
    ("clip.projector_type", 3), ("clip.vision.projector_type", "pixtral"),
    ("clip.has_minicpmv_projector", true), ("clip.has_audio_encoder", true),
    ("clip.has_vision_encoder", false), ("clip.has_llava_projector", false),
    ("clip.use_silu", true), ("clip.vision.image_grid_pinpoints", [336, 672]),
    ("clip.vision.mm_patch_merge_type", "spatial_unpad"),
    ("clip.vision.image_aspect_ratio", "anyres"), ("clip.vision.feature_layer", [0, 1]),
    ("clip.vision.feature_layer", 2), ("clip.vision.block_count", 0),
    ("clip.vision.image_size", 0), ("clip.vision.attention.head_count", .null),
  ]

  @Test("vision halves of other models are refused by the key that says so", arguments: refused)
  func refuses(_ key: String, _ value: JSONValue) throws {
    let facts = try facts([key: value])
    let error = thrownError(ModelError.self) { try ModelCheckpoint.recognise(facts) }
    #expect(error?.file == "vision.gguf")
    #expect(error?.description.contains(key) == true, "\(error?.description ?? "nothing")")
    if let kind = value.stringValue { #expect(error?.description.contains(kind) == true) }
  }

  @Test("tensors of other models, and missing ones, are refused by their names in the file")
  func refusesTensors() throws {
    for name in ["model.image_newline", "mm.3.weight", "v.patch_embd.bias"] {
      let facts = try facts([:], adding: [(name, [16])])
      let error = thrownError(ModelError.self) { try ModelCheckpoint.recognise(facts) }
      #expect(error?.description.contains("'\(name)'") == true)
    }
    for name in ["mm.0.weight", "v.class_embd", "v.blk.0.ffn_up.bias", "v.pre_ln.weight"] {
      let facts = try facts([:], without: name)
      #expect(
        thrownError(ModelError.self) { try ModelCheckpoint.recognise(facts) }
          == ModelError(file: "vision.gguf", .missingTensor(name)))
    }
  }

  @Test("the layer that is read is the stated one, or the one that LLaVA-1.5 reads")
  func layers() throws {
    func layers(_ changes: [String: JSONValue], _ more: [CheckpointFacts.Name]) throws -> Int {
      let found = try ModelCheckpoint.recognise(try facts(changes, adding: more))
      guard let config = found?.description.config as? LLaVAConfig,
        let tower = config.tower as? ViTConfig
      else { return 0 }
      return tower.encoder.layers
    }
    let block = try facts([:]).names.compactMap { name, shape in
      name.hasPrefix("v.blk.0.") ? ("v.blk.1." + name.dropFirst(8), shape) : nil
    }
    let norm = [(name: "v.post_ln.weight", shape: [16]), (name: "v.post_ln.bias", shape: [16])]
    #expect(try layers([:], []) == 1)
    #expect(try layers(["clip.vision.feature_layer": [1]], block) == 1)
    #expect(try layers(["clip.vision.feature_layer": 2], block) == 2)
    // A count of one less than there are: the last is not run.
    #expect(try layers([:], block + norm) == 1)
    #expect(try layers(["clip.vision.block_count": 2], block) == 2)
    #expect(try layers(["clip.vision.block_count": 2], block + norm) == 1)
  }
}
