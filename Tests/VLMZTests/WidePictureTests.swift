import Foundation
import Testing
import VLMConversion
import VLMFoundation
import VLMImages
import VLMModels
import VLMTensor
import VLMTestSupport
import VLMZ

/// ViTs with a position table for pictures that are no squares, against transformers and timm;
/// `scripts/make-dinov2-fixtures` made both.
struct WidePictureTests {
  private static func path(_ name: String) -> String { TestFiles.fixture("wide/" + name) }

  private static func pixels(_ name: String) throws -> PixelTensor {
    let pixels = try #require(try Expected(path("expected.safetensors")).tensor(name))
    return PixelTensor(
      height: pixels.shape[2], width: pixels.shape[3], channelsFirst: pixels.values)
  }

  private static func check(_ name: String, on pixels: String, _ place: String) throws {
    let found = try PlainViTGoldenTests.run(name, .f32, try Self.pixels(pixels), in: "wide")
    try PlainViTGoldenTests.check(
      found.shown["last_hidden_state"], place + ".last_hidden_state", in: "wide")
    try PlainViTGoldenTests.check(found.embedding, place + ".pooler_output", in: "wide")
    if name.hasPrefix("timm") {
      try PlainViTGoldenTests.check(found.logits, place + ".logits", in: "wide")
    }
  }

  /// The patches of the long ones are as many as those of a square.
  @Test(
    "tables of pictures that are no squares agree with transformers and timm",
    arguments: ["vit", "vit-long", "timm-vit", "timm-vit-long", "timm-distilled", "timm-siglip"])
  func own(_ name: String) throws {
    try Self.check(name, on: name.hasSuffix("-long") ? "pixel_values-long" : "pixel_values", name)
  }

  @Test(
    "and are resampled as timm resamples them",
    arguments: ["timm-vit", "timm-vit-long", "timm-distilled", "timm-siglip"])
  func larger(_ name: String) throws {
    try Self.check(name, on: "larger.pixel_values", name + ".larger")
  }

  @Test("pictures are made to fit the table, which a container keeps")
  func steps() throws {
    for name in ["vit", "timm-vit", "timm-siglip"] {
      let source = try SourceModel.open(path: Self.path(name))
      let size = source.preprocessing?.fixedSize
      #expect(size?.height == 18 && size?.width == 30, "\(name)")
      let isAssumed = source.notes.contains { $0.contains("assuming ViT's, at 30×18") }
      #expect(isAssumed == (name == "vit"))
      let folder = try TemporaryFolder()
      _ = try convertedSession(Self.path(name), .f32, in: folder)
      let again = try SourceModel.open(path: folder.path("model.vlmz"))
      #expect(again.description == source.description)
      #expect(again.preprocessing == source.preprocessing)
    }
  }

  /// timm's `resolve_model_data_config` of these files, by timm 1.0.31, which refuses the model the
  /// pictures of the last; its table is for 30×18.
  @Test(
    "of two sizes that timm's file states the picture has that which timm takes, with a note",
    arguments: [
      (true, #""dynamic_img_size": false"#, "30×18"), (true, #""dynamic_img_size": true"#, "60×36"),
      (false, #""dynamic_img_size": false"#, "60×36"),
    ])
  func sizes(_ isFixed: Bool, _ argument: String, _ shown: String) throws {
    let folder = try TemporaryFolder()
    try FileManager.default.copyItem(
      atPath: Self.path("timm-vit") + "/model.safetensors",
      toPath: folder.path("model.safetensors"))
    let config = try String(
      contentsOfFile: Self.path("timm-vit") + "/config.json", encoding: .utf8)
    var object = try #require(JSONValue.parse(config).objectValue)
    var inner = try #require(object["pretrained_cfg"]?.objectValue)
    inner.set("input_size", [3, 36, 60])
    inner.set("fixed_input_size", .bool(isFixed))
    object.set("pretrained_cfg", .object(inner))
    let text = JSONValue.object(object).serialized().replacingOccurrences(
      of: #""img_size""#, with: argument + #","img_size""#)
    _ = try folder.write("config.json", Array(text.utf8))
    let source = try SourceModel.open(path: folder.url.path)
    let size = try #require(source.preprocessing?.fixedSize)
    #expect("\(size.width)×\(size.height)" == shown)
    let note =
      "config.json: model_args.img_size is [18,30], and pretrained_cfg.input_size [3,36,60]: "
      + "pictures are shown at \(shown)"
    #expect(source.notes.contains { $0.contains(note) }, "\(source.notes)")
    let plain = try SourceModel.open(path: Self.path("timm-vit"))
    #expect(!plain.notes.contains { $0.contains("img_size") })
  }

  /// The refusal of a copy of a model with another description.
  private static func refusal(_ name: String, _ config: String) throws -> String {
    let folder = try TemporaryFolder()
    try FileManager.default.copyItem(
      atPath: path(name) + "/model.safetensors", toPath: folder.path("model.safetensors"))
    _ = try folder.write("config.json", Array(config.utf8))
    let error = thrownError(ModelError.self) { try SourceModel.open(path: folder.url.path) }
    return error?.description ?? "none"
  }

  @Test("a table of no square that no file explains is refused with the key that would")
  func refused() throws {
    for (name, architecture, rows) in [
      ("timm-distilled", "deit_tiny_distilled_patch16_224", 17),
      ("timm-siglip", "vit_base_patch16_siglip_224", 15),
    ] {
      let bare = try Self.refusal(name, #"{"architecture": "\#(architecture)"}"#)
      #expect(bare.contains("position_embedding: found \(rows) rows"), "\(bare)")
      #expect(
        bare.contains("a height and a width of as many patches in model_args.img_size"), "\(bare)")
    }
    let vit = #"{"model_type": "vit", "num_attention_heads": 3, "image_size": "#
    let other = try Self.refusal("vit", vit + "[18, 36]}")
    #expect(other.contains("of as many patches in config.json.image_size"), "\(other)")
    let long = try Self.refusal("vit-long", vit + "[48, 18]}")
    #expect(long.contains("image_size: found [48, 18], expected 24"), "\(long)")
    let none = try Self.refusal("vit-long", vit + "[48, 0]}")
    #expect(none.contains("image_size: found [48,0], expected 1 to 16384"), "\(none)")
  }

  @Test("transformers' DINOv2 takes its table for one of a square, and so is asked for")
  func dinov2() throws {
    let folder = try TemporaryFolder()
    let model = TestFiles.fixture("dinov2/model")
    try FileManager.default.copyItem(
      atPath: model + "/model.safetensors", toPath: folder.path("model.safetensors"))
    var object = try #require(TestFiles.json(model + "/config.json").objectValue)
    object.set("image_size", [30, 42])
    _ = try folder.write("config.json", Array(JSONValue.object(object).serialized().utf8))
    let error = thrownError(ModelError.self) { try SourceModel.open(path: folder.url.path) }
    let text = error?.description ?? "none"
    #expect(text.contains("image_size: found [30, 42], expected a square"), "\(text)")
  }

  /// Of a ConvNeXt, as of the ViTs; `preprocessor_config.json` comes first.
  @Test("a bare DINOv3 ConvNeXt of transformers is shown what transformers shows it")
  func convNeXt() throws {
    let model = TestFiles.fixture("upstream/dinov3")
    let source = try SourceModel.open(path: model)
    #expect(source.notes.contains { $0.contains("assuming DINOv3's, at a side of 224") })
    let stated = try JSONValue.parse(
      """
      {"image_processor_type": "DINOv3ViTImageProcessorFast", "size": {"height": 224, "width": 224}}
      """)
    #expect(try source.preprocessing == Preprocessing(checkpointConfig: stated, name: "dinov3"))
    let folder = try TemporaryFolder()
    try FileManager.default.copyItem(
      atPath: model + "/model.safetensors", toPath: folder.path("model.safetensors"))
    var object = try #require(TestFiles.json(model + "/config.json").objectValue)
    for (size, height, width) in [(JSONValue.int(256), 256, 256), ([96, 160], 96, 160)] {
      object.set("image_size", size)
      _ = try folder.write("config.json", Array(JSONValue.object(object).serialized().utf8))
      let other = try SourceModel.open(path: folder.url.path).preprocessing?.fixedSize
      #expect(other?.height == height && other?.width == width)
    }
    object.set("image_size", "224")
    _ = try folder.write("config.json", Array(JSONValue.object(object).serialized().utf8))
    let error = thrownError(ModelError.self) { try SourceModel.open(path: folder.url.path) }
    #expect(error?.description.contains("image_size") == true)
  }
}
