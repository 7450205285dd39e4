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

/// Tiny models that torchvision and transformers saved, against what their code makes of them;
/// `scripts/make-upstream-fixtures` made both.
struct UpstreamFixtureTests {
  static let tolerance: Float = 1e-4
  static func path(_ name: String) -> String { TestFiles.fixture("upstream/" + name) }

  /// The file that the tensor `name` is in.
  static func expected(_ name: String) throws -> Expected {
    try Expected(
      path(name.hasPrefix("timm-") ? "expected-timm.safetensors" : "expected.safetensors"))
  }

  static func check(_ found: [Float]?, _ name: String) throws {
    let expected = try expected(name)
    let want = try #require(expected.tensor(name), "\(name)")
    let difference = maxAbsDifference(try #require(found, "\(name)"), want.values)
    #expect(difference <= tolerance * want.scale, "\(name): differs by \(difference)")
  }

  static func pixels(_ name: String) throws -> PixelTensor {
    let expected = try expected(name)
    let pixels = try #require(expected.tensor(name))
    return PixelTensor(
      height: pixels.shape[2], width: pixels.shape[3], channels: pixels.shape[1],
      channelsFirst: pixels.values)
  }

  @Test("torchvision's ConvNeXt gives its logits")
  func torchvision() throws {
    let folder = try TemporaryFolder()
    let session = try convertedSession(Self.path("torchvision.pth"), .f32, in: folder)
    let result = try session.run([try Self.pixels("convnext.pixel_values")])
    try Self.check(result[0].logits, "torchvision.logits")
  }

  @Test("an input that is no square, in a border, gives timm's pixels and logits")
  func wide() throws {
    let folder = try TemporaryFolder()
    let session = try convertedSession(Self.path("timm-wide"), .f32, in: folder)
    let expected = try Expected(Self.path("expected-wide.safetensors"))
    let want = try #require(expected.tensor("picture"))
    let picture = try ImageDecoder.open(
      path: TestFiles.root.path + "/docs/images/horse.png", policy: .pillow)
    let steps = try #require(try SourceModel.open(path: Self.path("timm-wide")).preprocessing)
    let pixels = try steps.apply(picture, name: "horse.png")
    #expect(pixels.channelsFirst() == want.values)
    #expect(pixels.height == 48 && pixels.width == 80)
    let logits = try #require(try session.run([pixels])[0].logits)
    let scores = try #require(expected.tensor("logits"))
    #expect(maxAbsDifference(logits, scores.values) <= Self.tolerance * scores.scale)
  }

  @Test("DINOv3's ConvNeXt of transformers gives its pooled output, with its own epsilon")
  func dinov3() throws {
    let folder = try TemporaryFolder()
    let session = try convertedSession(Self.path("dinov3"), .f32, in: folder)
    let result = try session.run([try Self.pixels("convnext.pixel_values")])
    #expect(result[0].logits == nil)
    try Self.check(result[0].embedding, "dinov3.pooler_output")
  }

  @Test("a CLIP tower without 'vision_model.' before its names gives its pooled output")
  func clip() throws {
    let folder = try TemporaryFolder()
    let session = try convertedSession(Self.path("clip"), .f32, in: folder)
    let result = try session.run([try Self.pixels("clip.pixel_values")])
    try Self.check(result[0].embedding, "clip.pooler_output")
  }

  @Test(
    "transformers' own LLaVA gives its visual tokens and logits, in the names of files and modules",
    arguments: ["llava", "llava-current"])
  func llava(_ name: String) throws {
    let folder = try TemporaryFolder()
    let session = try conversation(Self.path(name), .f32, in: folder)
    let picture = try session.encode(try Self.pixels("clip.pixel_values"))
    try Self.check(picture.rows.array(), "llava.projector")
    let ids: [Int] = [1, 5, 7, ImagePrompt.sentinel, 11, 13]
    var logits: [Float]?
    try session.inspect(ids, images: [picture]) { name, _, values in
      if name == "logits" { logits = values }
    }
    try Self.check(logits, "llava.logits")
  }

  @Test(
    "a picture's steps are found in transformers 5's processor_config.json, else CLIP's are taken")
  func preprocessing() throws {
    let folder = try TemporaryFolder()
    for name in ["config.json", "model.safetensors"] {
      try FileManager.default.copyItem(
        atPath: Self.path("clip/" + name), toPath: folder.path(name))
    }
    let guessed = try SourceModel.open(path: folder.url.path)
    #expect(guessed.preprocessing?.normalization == .clip)
    #expect(guessed.preprocessing?.fixedSize?.width == 28)
    #expect(guessed.notes.contains { $0.contains("assuming CLIP's, at a side of 28") })
    let part = #"{"image_processor": {"image_processor_type": "CLIPImageProcessor", "#
    let rest = #""size": {"shortest_edge": 42}, "crop_size": {"height": 35, "width": 35}}}"#
    try Data((part + rest).utf8).write(
      to: URL(fileURLWithPath: folder.path("processor_config.json")))
    let stated = try SourceModel.open(path: folder.url.path)
    #expect(stated.preprocessing?.resize == .shortestEdge(42))
    #expect(stated.preprocessing?.fixedSize?.width == 35)
    #expect(stated.files.contains { $0.hasSuffix("/processor_config.json") })
  }

  static let refused: [(String, JSONValue)] = [
    ("model_type", "llava_next"), ("projector_hidden_act", "relu"), ("text_config", .null),
    ("vision_feature_layer", [-2, -1]), ("vision_feature_select_strategy", "some"),
    ("vision_config", ["model_type": "siglip_vision_model"]),
  ]

  @Test("a LLaVA of transformers that asks for something else is refused", arguments: refused)
  func refuses(_ key: String, _ value: JSONValue) throws {
    let catalog = try Checkpoint.read(path: Self.path("llava"))
    let json = try TestFiles.json(Self.path("llava/config.json"))
    var description = try #require(json.objectValue)
    let names = catalog.tensors.map { (name: $0.name, shape: $0.shape) }
    let sound = CheckpointFacts(names: names, description: .object(description))
    #expect(try ModelCheckpoint.recognise(sound) != nil)
    description.set(key, value)
    let facts = CheckpointFacts(names: names, description: .object(description))
    let error = thrownError(ModelError.self) { try ModelCheckpoint.recognise(facts) }
    #expect(error != nil, "\(key)")
  }
}
