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

/// LLaVA-1.5's layouts: the language model and projector of one golden with the CLIP of another,
/// whose tokens of the last layer but one are known.
struct LLaVA15Tests {
  static let clip = "clip-vit/hf"

  /// Writes a checkpoint into `folder`; the tower's tensors among the others, or not at all.
  static func write(_ folder: TemporaryFolder, withTower: Bool, changes: [String: JSONValue] = [:])
    throws
  {
    let language = TestFiles.golden("llava-hr/hf-bin")
    var tensors: [SafetensorsWriter.Entry] = []
    for tensor in try Checkpoint.read(path: language).tensors
    where !tensor.name.hasPrefix("model.vision_tower.") && !tensor.name.contains("inv_freq") {
      tensors.append(
        .init(name: tensor.name, shape: tensor.shape, floats: try tensor.floats()))
    }
    if withTower {
      for tensor in try Checkpoint.read(path: TestFiles.golden(clip)).tensors {
        tensors.append(
          .init(
            name: "model.vision_tower.vision_tower." + tensor.name, shape: tensor.shape,
            floats: try tensor.floats()))
      }
    }
    try SafetensorsWriter.write(
      path: folder.path("model.safetensors"), overwrite: true, tensors: tensors)
    var config = JSONObject()
    let original = try TestFiles.json(language + "/config.json")
    for member in original.objectValue?.members ?? [] { config.set(member.key, member.value) }
    config.set("is_multipath_encoder", false)
    for (key, value) in changes { config.set(key, value) }
    try Data(JSONValue.object(config).serialized().utf8).write(
      to: URL(fileURLWithPath: folder.path("config.json")))
  }

  @Test(
    "the tower's tokens are CLIP's of the last layer but one, from the shards or from its folder",
    arguments: [true, false])
  func tokens(_ withTower: Bool) throws {
    let (source, folder) = (try TemporaryFolder(), try TemporaryFolder())
    try Self.write(source, withTower: withTower)
    let session = try conversation(
      source.url.path, .f32, in: folder, visionTower: TestFiles.golden(Self.clip))
    guard let config = session.tower as? ViTConfig else {
      Issue.record("no CLIP")
      return
    }
    #expect(config.encoder.layers == 3 && config.feature == .patches)
    #expect(session.preprocessing.fixedSize?.width == 112)
    let expected = try Expected(TestFiles.golden("clip-vit/expected.safetensors"))
    let pixels = try #require(expected.tensor("pixel_values"))
    var features: [Float] = []
    let picture = try session.encode(
      PixelTensor(height: 112, width: 112, channelsFirst: pixels.values)
    ) { if $0.name == "tower.features" { features = $0.planar.values } }
    #expect(picture.count == 64)
    try CLIPViTGoldenTests.check(features, "select_layer_-2_patch", expected)
    let options = GenerationOptions(maximumTokens: 4, stopTokens: [])
    let answer = try session.generate(
      [1, 300, ImagePrompt.sentinel, 13], images: [picture], options)
    #expect(answer.tokens.count == 4)
  }

  @Test("a tower that is nowhere, or asked for a layer that it has not, is refused")
  func refused() throws {
    let source = try TemporaryFolder()
    try Self.write(source, withTower: false)
    #expect(throws: ConversionError.self) { try SourceModel.open(path: source.url.path) }
    let tower = TestFiles.golden(Self.clip)
    for (key, value) in [
      ("mm_vision_select_layer", JSONValue.int(-9)), ("mm_vision_select_feature", "everything"),
      ("mm_hidden_size", 65),
    ] {
      try Self.write(source, withTower: false, changes: [key: value])
      #expect(throws: ModelError.self) {
        try SourceModel.open(path: source.url.path, parts: GivenParts(visionTower: tower))
      }
    }
  }
}
