import Foundation
import Testing
import VLMCheckpoint
import VLMConversion
import VLMFoundation
import VLMTensor
import VLMTestSupport

/// What training's first stage leaves, a projector alone: the rest lies where it was trained from.
/// Whole checkpoints are taken apart and must come out as they were.
struct ProjectorCheckpointTests {
  static let whole = TestFiles.golden("llava-hr-frozen/hf-safetensors")
  private static let tower = "model.vision_tower."

  /// The tensors of `path` that `name` has a name for, as one file.
  private static func write(
    _ file: String, from path: String, _ name: (String) -> String?
  ) throws {
    var entries: [SafetensorsWriter.Entry] = []
    for tensor in try Checkpoint.read(path: path).tensors {
      guard let name = name(tensor.name) else { continue }
      entries.append(.init(name: name, shape: tensor.shape, floats: try tensor.floats()))
    }
    try SafetensorsWriter.write(path: file, overwrite: true, tensors: entries)
  }

  private static func dropping(_ prefix: String) -> (String) -> String? {
    { $0.hasPrefix(prefix) ? String($0.dropFirst(prefix.count)) : nil }
  }

  private static func isLanguage(_ name: String) -> String? {
    name.contains("mm_projector") || name.hasPrefix(tower) ? nil : name
  }

  private static func makeFolder(_ parent: TemporaryFolder, _ name: String) throws -> String {
    try FileManager.default.createDirectory(
      atPath: parent.path(name), withIntermediateDirectories: true)
    return parent.path(name)
  }

  /// The folder of the language model: its weights, and all that lies beside them.
  private static func writeBase(_ parent: TemporaryFolder, from path: String) throws -> String {
    let base = try makeFolder(parent, "vicuna")
    try write(base + "/model.safetensors", from: path, isLanguage)
    for name in ["tokenizer.model", "tokenizer_config.json", "generation_config.json"] {
      try FileManager.default.copyItem(atPath: path + "/" + name, toPath: base + "/" + name)
    }
    return base
  }

  /// The golden of a frozen tower in four folders: projector, CLIP, ConvNeXt, language model.
  private struct Parts {
    let folder: TemporaryFolder
    let projector, clip, slow, base: String

    init() throws {
      folder = try TemporaryFolder()
      projector = try makeFolder(folder, "pretrain")
      clip = try makeFolder(folder, "clip")
      slow = try makeFolder(folder, "convnext")
      base = try writeBase(folder, from: whole)
      for name in ["config.json", "mm_projector.bin"] {
        try FileManager.default.copyItem(
          atPath: whole + "/" + name, toPath: projector + "/" + name)
      }
      try FileManager.default.copyItem(
        atPath: whole + "/openai/clip-vit-large-patch14-336/config.json",
        toPath: clip + "/config.json")
      try write(
        clip + "/model.safetensors", from: whole,
        dropping(tower + "fast_vision_tower.vision_tower."))
      // timm's own name for what LLaVA-HR calls a block's weight.
      let slowName = dropping(tower + "slow_vision_tower.vision_tower.")
      try write(slow + "/model.safetensors", from: whole) { name in
        slowName(name).map { inner in
          let part = inner.split(separator: ".")
          let isScale = part.count == 5 && part[2] == "blocks"
          return isScale ? inner.replacingOccurrences(of: ".weight", with: ".gamma") : inner
        }
      }
    }
  }

  /// Whether both are the same model: geometry, every weight, tokenizer, preprocessing.
  private func expectSame(_ found: SourceModel, _ wanted: SourceModel) throws {
    #expect(found.description == wanted.description)
    #expect(found.preprocessing == wanted.preprocessing)
    #expect(found.sections == wanted.sections)
    let manifest = try wanted.description.manifest().map(\.path)
    #expect(Set(found.checkpoint.tensors.keys).isSuperset(of: manifest))
    for path in manifest {
      let (one, other) = (found.checkpoint.tensors[path], wanted.checkpoint.tensors[path])
      let values = try found.catalog[try #require(one).original]?.floats()
      let expected = try wanted.catalog[try #require(other).original]?.floats()
      #expect(values != nil && values == expected, "\(path)")
    }
  }

  @Test("LLaVA-HR's projector with towers and language model from their folders is the whole model")
  func multiResolution() throws {
    let parts = try Parts()
    let wanted = try SourceModel.open(path: Self.whole)
    for input in [parts.projector, parts.projector + "/mm_projector.bin"] {
      let found = try SourceModel.open(
        path: input,
        parts: GivenParts(
          visionTower: parts.clip, visionTowerSlow: parts.slow, modelBase: parts.base))
      try expectSame(found, wanted)
    }
  }

  @Test("each part that is missing is an error that says what to name")
  func missing() throws {
    let parts = try Parts()
    let noBase = thrownError(ConversionError.self) { try SourceModel.open(path: parts.projector) }
    #expect(noBase?.problem == .languageModel(stated: "vicuna-7b-v1.5"))
    #expect(noBase?.description.contains("name the folder of the language model") == true)
    let noClip = thrownError(ConversionError.self) {
      try SourceModel.open(
        path: parts.projector,
        parts: GivenParts(visionTowerSlow: parts.slow, modelBase: parts.base))
    }
    #expect(noClip?.problem == .visionTower(stated: "openai/clip-vit-large-patch14-336"))
    let noSlow = thrownError(ConversionError.self) {
      try SourceModel.open(
        path: parts.projector, parts: GivenParts(visionTower: parts.clip, modelBase: parts.base))
    }
    #expect(noSlow?.problem == .slowTower(stated: "convnext_large_mlp.clip_laion2b_ft_320"))
    #expect(noSlow?.description.contains("download timm's and name its folder") == true)
    let twice = thrownError(ConversionError.self) {
      try SourceModel.open(path: Self.whole, parts: GivenParts(modelBase: parts.base))
    }
    #expect(twice?.exitStatus == .usage)
    let nowhere = thrownError(ConversionError.self) {
      try SourceModel.open(path: parts.projector, parts: GivenParts(modelBase: parts.base + "/no"))
    }
    #expect(nowhere?.exitStatus == .usage)
  }

  @Test(
    "LLaVA-1.5's projector with CLIP and the language model from their folders is the whole model")
  func llava15() throws {
    let (source, folder) = (try TemporaryFolder(), try TemporaryFolder())
    let clip = TestFiles.golden(LLaVA15Tests.clip)
    try LLaVA15Tests.write(source, withTower: false)
    let language = TestFiles.golden("llava-hr/hf-bin")
    let base = try Self.writeBase(folder, from: language)
    for name in ["tokenizer.model", "tokenizer_config.json", "generation_config.json"] {
      try FileManager.default.copyItem(
        atPath: language + "/" + name, toPath: source.path(name))
    }
    let wanted = try SourceModel.open(path: source.url.path, parts: GivenParts(visionTower: clip))
    let projector = try Self.makeFolder(folder, "pretrain")
    try FileManager.default.copyItem(
      atPath: source.path("config.json"), toPath: projector + "/config.json")
    try Self.write(projector + "/model.safetensors", from: source.url.path) {
      $0.contains("mm_projector") ? $0 : nil
    }
    let found = try SourceModel.open(
      path: projector, parts: GivenParts(visionTower: clip, modelBase: base))
    try expectSame(found, wanted)
  }
}
