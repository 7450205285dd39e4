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

/// The layouts in which LLaVA-NeXT and LLaVA-OneVision are released, and what is refused of them.
@Suite("Layouts of LLaVAs that see in tiles")
struct TiledLLaVALayoutTests {
  let source: TemporaryFolder
  let folder: TemporaryFolder

  init() throws { (source, folder) = (try TemporaryFolder(), try TemporaryFolder()) }

  /// What the model of `source` makes of a picture.
  private func check(_ golden: TiledLLaVA, _ picture: String = "odd") throws {
    let session = try conversation(source.url.path, .f32, in: folder)
    let tokens = try session.encode(session.prepare(golden.image(picture), name: picture))
    try golden.check(tokens.rows.array(), picture + ".merged")
    var logits: [Float] = []
    try session.inspect(golden.ids(picture), images: [tokens]) { name, _, values in
      if name == "logits" { logits = values }
    }
    try golden.check(logits, picture + ".logits")
  }

  static let prefixes: [[(String, String)]] = [
    // transformers 4.52 and later, and its modules as they are called.
    [
      ("language_model.model.", "model.language_model."), ("language_model.lm_head.", "lm_head."),
      ("vision_tower.", "model.vision_tower.vision_model."),
      ("multi_modal_projector.", "model.multi_modal_projector."),
      ("image_newline", "model.image_newline"),
    ],
    // Files that 5 saved of models that were loaded in other ways.
    [
      ("language_model.model.", "model.language_model.model."),
      ("vision_tower.", "vision_tower.vision_model."), ("image_newline", "model.image_newline"),
    ],
  ]

  @Test("every generation of transformers' names is read", arguments: TiledLLaVA.names, [0, 1])
  func names(_ name: String, _ index: Int) throws {
    let golden = try TiledLLaVA(name)
    try golden.copy(to: source) { $0.replacing(Self.prefixes[index]) }
    try check(golden)
  }

  /// `config.json` of LLaVA's own code: the language model's fields beside its own.
  private func upstreamConfig(
    _ golden: TiledLLaVA, _ changes: [(String, JSONValue)]
  ) throws -> JSONObject {
    let json = try TestFiles.json(golden.path + "/config.json")
    var object = try #require(json["text_config"]?.objectValue)
    let sizes = try #require(json["image_grid_pinpoints"]?.arrayValue).map { pair in
      JSONValue.array((pair.arrayValue ?? []).reversed())
    }
    object.set("image_grid_pinpoints", .array(sizes))
    object.set("mm_patch_merge_type", "spatial_unpad")
    object.set("mm_projector_type", "mlp2x_gelu")
    object.set("mm_hidden_size", 24)
    object.set("mm_vision_select_layer", -2)
    object.set("mm_vision_select_feature", "patch")
    object.set("mm_vision_tower", "vision_tower")
    object.set("model_type", "llava")
    for (key, value) in changes { object.set(key, value) }
    return object
  }

  private static let upstream = [
    ("language_model.model.", "model."), ("language_model.lm_head.", "lm_head."),
    ("vision_tower.", "model.vision_tower.vision_tower.vision_model."),
    ("multi_modal_projector.linear_1.", "model.mm_projector.0."),
    ("multi_modal_projector.linear_2.", "model.mm_projector.2."),
    ("image_newline", "model.image_newline"),
  ]

  private func write(_ object: JSONObject, _ name: String) throws {
    let path = source.path(name)
    try FileManager.default.createDirectory(
      atPath: String(path.prefix(upTo: path.lastIndex(of: "/") ?? path.endIndex)),
      withIntermediateDirectories: true)
    try Data(JSONValue.object(object).serialized().utf8).write(to: URL(fileURLWithPath: path))
  }

  /// Writes a checkpoint as LLaVA's own code has it, with the tower's description in a folder.
  private func writeUpstream(
    _ golden: TiledLLaVA, _ changes: [(String, JSONValue)], processor: JSONValue
  ) throws {
    try golden.copy(to: source, without: ["processor_config.json"]) {
      $0.replacing(Self.upstream)
    }
    try write(try upstreamConfig(golden, changes), "config.json")
    let json = try TestFiles.json(golden.path + "/config.json")
    try write(try #require(json["vision_config"]?.objectValue), "vision_tower/config.json")
    try write(
      try #require(processor.objectValue), "vision_tower/preprocessor_config.json")
  }

  private static let clip: JSONValue = [
    "image_processor_type": "CLIPImageProcessor", "size": ["shortest_edge": 21],
    "crop_size": ["height": 21, "width": 21],
  ]
  private static let sigLIP: JSONValue = [
    "image_processor_type": "SiglipImageProcessor", "size": ["height": 21, "width": 21],
    "resample": 3,
  ]

  @Test("LLaVA-NeXT as its authors store it makes the same rows and logits")
  func upstreamNext() throws {
    let golden = try TiledLLaVA("next")
    try writeUpstream(
      golden,
      [
        ("architectures", ["LlavaMistralForCausalLM"]), ("model_type", "llava_mistral"),
        ("image_aspect_ratio", "anyres"), ("image_crop_resolution", 224),
      ], processor: Self.clip)
    try check(golden)
    try check(golden, "tall")
  }

  @Test("LLaVA-OneVision as its authors store it makes the same rows and logits")
  func upstreamOneVision() throws {
    let golden = try TiledLLaVA("onevision")
    try writeUpstream(
      golden,
      [
        ("architectures", ["LlavaQwenForCausalLM"]), ("image_aspect_ratio", "anyres_max_2"),
        ("mm_newline_position", "grid"), ("mm_spatial_pool_mode", "bilinear"),
        ("mm_spatial_pool_stride", 2), ("image_grid_pinpoints", "(1x1),...,(3x3)"),
      ], processor: Self.sigLIP)
    try check(golden)
    try check(golden, "wide")
  }

  static let refused: [(String, JSONValue)] = [
    ("vision_feature_select_strategy", "full"), ("vision_feature_layer", [-2, -1]),
    ("image_grid_pinpoints", [[21, 42]]), ("image_grid_pinpoints", [[22, 42]]),
    ("image_grid_pinpoints", [[21, 42, 21]]), ("image_grid_pinpoints", 21),
    ("image_grid_pinpoints", [[21, -42]]), ("model_type", "llava_onevision"),
    ("projector_hidden_act", "relu"), ("multimodal_projector_bias", false),
    ("use_image_newline_parameter", false),
  ]

  @Test("a LLaVA-NeXT that asks for something else is refused", arguments: refused)
  func refuses(_ key: String, _ value: JSONValue) throws {
    try TiledLLaVA("next").copy(to: source, config: [(key, value)])
    let error = TiledLLaVA.refusal { try SourceModel.open(path: source.url.path) }
    #expect(error != nil, "\(key)")
  }

  @Test("a OneVision whose maximum is none is refused, and so is a model without its newline")
  func refusesOthers() throws {
    let golden = try TiledLLaVA("onevision")
    for ratio: JSONValue in ["anyres_max_x", "anyres_max_0", "anyres_max_100000", "pad", 9] {
      let source = try TemporaryFolder()
      try golden.copy(to: source, config: [("vision_aspect_ratio", ratio)])
      let error = TiledLLaVA.refusal { try SourceModel.open(path: source.url.path) }
      #expect(error is ModelError, "\(ratio)")
    }
    try golden.copy(to: source) { $0 == "image_newline" ? "image_old_line" : $0 }
    let error = TiledLLaVA.refusal { try conversation(source.url.path, .f32, in: folder) }
    #expect(error != nil)
  }
}
