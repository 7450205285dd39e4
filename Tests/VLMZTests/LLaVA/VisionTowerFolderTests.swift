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

/// Where a ConvLLaVA's tower may lie.
struct VisionTowerFolderTests {
  static let original = TestFiles.golden("convllava-trained/hf-A-safetensors")

  /// The trained model, to be taken apart.
  private struct Copy {
    let folder: TemporaryFolder

    init() throws {
      folder = try TemporaryFolder()
      for name in try FileManager.default.contentsOfDirectory(atPath: original) {
        try FileManager.default.copyItem(
          atPath: original + "/" + name, toPath: folder.path(name))
      }
    }

    var path: String { folder.url.path }

    func move(_ name: String, to place: String) throws {
      try FileManager.default.moveItem(atPath: folder.path(name), toPath: place)
    }

    /// Sets members of a JSON file.
    func change(_ file: String, _ members: [(String, JSONValue)]) throws {
      var object = try #require(try TestFiles.json(folder.path(file)).objectValue)
      for (key, value) in members { object.set(key, value) }
      try folder.write(file, Array(JSONValue.object(object).serialized().utf8))
    }
  }

  private func isWhole(_ source: SourceModel) throws -> Bool {
    let manifest = try source.description.manifest()
    return Set(source.checkpoint.tensors.keys) == Set(manifest.map(\.path))
  }

  @Test("a relative path counts from the model")
  func relative() throws {
    let source = try SourceModel.open(path: Self.original)
    #expect(try isWhole(source))
    #expect(source.preprocessing?.padding == RGB(122, 116, 104))
    #expect(source.preprocessing?.fixedSize?.width == 192)
    #expect(source.files.contains { $0.hasSuffix("vision_tower/pytorch_model.bin") })
    #expect(source.files.contains { $0.hasSuffix("vision_tower/preprocessor_config.json") })
  }

  @Test("an absolute path is where it says")
  func absolute() throws {
    let (copy, elsewhere) = (try Copy(), try TemporaryFolder())
    try copy.move("vision_tower", to: elsewhere.path("tower"))
    try copy.change("config.json", [("mm_vision_tower", .string(elsewhere.path("tower")))])
    #expect(try isWhole(try SourceModel.open(path: copy.path)))
  }

  @Test("a path of the machine that trained the model gives way to the folder beside it")
  func trainer() throws {
    let copy = try Copy()
    try copy.change("config.json", [("mm_vision_tower", "/mnt/train/output/vision_tower")])
    #expect(try isWhole(try SourceModel.open(path: copy.path)))
  }

  @Test("a tower that is nowhere is an error that says how to get it")
  func hub() throws {
    let (copy, elsewhere) = (try Copy(), try TemporaryFolder())
    try copy.move("vision_tower", to: elsewhere.path("tower"))
    let name = "ConvLLaVA/ConvLLaVA-ConvNeXt-1536"
    try copy.change("config.json", [("mm_vision_tower", .string(name))])
    let error = thrownError(ConversionError.self) { try SourceModel.open(path: copy.path) }
    #expect(error?.problem == .visionTower(stated: name))
    #expect(error?.exitStatus == .badData)
    let text = error?.description ?? ""
    #expect(text.contains(name) && text.contains("download that and name its folder"))

    let given = try SourceModel.open(
      path: copy.path, parts: GivenParts(visionTower: elsewhere.path("tower")))
    #expect(try isWhole(given))
    let wrong = thrownError(ConversionError.self) {
      try SourceModel.open(
        path: copy.path, parts: GivenParts(visionTower: elsewhere.path("nothing")))
    }
    #expect(wrong?.exitStatus == .usage)
  }

  @Test("a tower's folder may hold safetensors")
  func safetensors() throws {
    let copy = try Copy()
    let tower = try Checkpoint.read(path: copy.folder.path("vision_tower"))
    try SafetensorsWriter.write(
      path: copy.folder.path("vision_tower/model.safetensors"), overwrite: false,
      tensors: try tower.tensors.map {
        .init(name: $0.name, shape: $0.shape, floats: try $0.floats())
      })
    try FileManager.default.removeItem(atPath: copy.folder.path("vision_tower/pytorch_model.bin"))
    #expect(try isWhole(try SourceModel.open(path: copy.path)))
  }

  @Test("the tower's processor may lie beside the model, and CLIP's stands in for none")
  func processor() throws {
    let copy = try Copy()
    try copy.move(
      "vision_tower/preprocessor_config.json", to: copy.folder.path("preprocessor_config.json"))
    let beside = try SourceModel.open(path: copy.path)
    let usual = try SourceModel.open(path: Self.original)
    #expect(beside.preprocessing == usual.preprocessing)

    try FileManager.default.removeItem(atPath: copy.folder.path("preprocessor_config.json"))
    let assumed = try SourceModel.open(path: copy.path)
    let side = try TestFiles.json(copy.folder.path("vision_tower/config.json"))["image_size"]
    #expect(assumed.preprocessing?.fixedSize?.width == side?.intValue)
    #expect(assumed.notes.contains { $0.contains("preprocessor_config.json") })

    try copy.change("vision_tower/config.json", [("image_size", .null)])
    #expect(throws: ConversionError.self) { try SourceModel.open(path: copy.path) }
    let named = try SourceModel.open(
      path: copy.path, preprocessor: Self.original + "/vision_tower/preprocessor_config.json")
    #expect(named.preprocessing == usual.preprocessing)
  }

  @Test("image_aspect_ratio decides between padding and cropping; nothing else is known")
  func aspect() throws {
    let copy = try Copy()
    for value: JSONValue in ["square", .null] {
      try copy.change("config.json", [("image_aspect_ratio", value)])
      #expect(try SourceModel.open(path: copy.path).preprocessing?.padding == nil)
    }
    try copy.change("config.json", [("image_aspect_ratio", "anyres")])
    let error = thrownError(ModelError.self) { try SourceModel.open(path: copy.path) }
    #expect(error?.description.contains("image_aspect_ratio") ?? false)
  }

  @Test("a checkpoint that has names of a tower's folder is refused, not a trap")
  func strangeName() throws {
    let copy = try Copy()
    let shard = copy.folder.path("model-00003-of-00003.safetensors")
    let tensors = try SafetensorsFile.read(path: shard).tensors
    try SafetensorsWriter.write(
      path: shard, overwrite: true,
      tensors: tensors.map { SafetensorsWriter.Entry($0) }
        + [.init(name: "vision_tower/embeddings.layernorm.weight", shape: [1], floats: [1])])
    let error = thrownError(ConversionError.self) { try SourceModel.open(path: copy.path) }
    #expect(error?.problem == .unexpected(["vision_tower/embeddings.layernorm.weight"]))
  }
}
