import Foundation
import Testing
import VLMCheckpoint
import VLMFoundation
import VLMImages
import VLMModels
import VLMTensor
import VLMTestSupport
import VLMText
import VLMZ

/// A LLaVA-NeXT or a LLaVA-OneVision of `scripts/make-llava-next-fixtures`.
struct TiledLLaVA {
  let name: String
  let expected: Expected
  private let asked: JSONValue

  static func path(_ name: String) -> String { TestFiles.fixture("llava-next/" + name) }
  static let names = ["next", "onevision"]
  /// Pictures that are asked about one by one.
  static let pictures = ["odd", "wide", "tall", "tile", "flat"]

  init(_ name: String) throws {
    self.name = name
    expected = try Expected(Self.path("expected-\(name).safetensors"))
    asked = try TestFiles.json(Self.path("questions.json"))[name] ?? .null
  }

  var path: String { Self.path(name) }
  var question: String { asked["question"]?.stringValue ?? "" }

  func answer(_ picture: String) throws -> String {
    try #require(asked["asked"]?[picture]?["answer"]?.stringValue)
  }

  func prompt(_ picture: String) throws -> String {
    try #require(asked["asked"]?[picture]?["prompt"]?.stringValue)
  }

  func image(_ name: String) throws -> LazyImage {
    try ImageDecoder.open(path: Self.path(name + ".png"))
  }

  /// The ids of a picture's prompt, a sentinel for each picture.
  func ids(_ picture: String) throws -> [Int] {
    let stored = try #require(expected.tensor(picture + ".input_ids")).values.map { Int($0) }
    return stored.map { $0 == 3 ? ImagePrompt.sentinel : $0 }
  }

  func check(_ found: [Float], _ key: String, _ tolerance: Float = 1e-4) throws {
    let want = try #require(expected.tensor(key), "\(key)")
    let difference = maxAbsDifference(found, want.values)
    #expect(difference <= tolerance * want.scale, "\(name) \(key): differs by \(difference)")
  }

  /// What opening or converting something is refused with.
  static func refusal<Result>(_ body: () throws -> Result) -> (any ReportableError)? {
    do {
      _ = try body()
      return nil
    } catch {
      return error as? any ReportableError
    }
  }

  /// A copy of the checkpoint with other names for its tensors, and changes of its description.
  func copy(
    to folder: TemporaryFolder, config: [(String, JSONValue)] = [], without: [String] = [],
    renaming: (String) -> String = { $0 }
  ) throws {
    for file in ["processor_config.json", "tokenizer.json", "tokenizer_config.json"]
    where !without.contains(file) {
      try FileManager.default.copyItem(atPath: path + "/" + file, toPath: folder.path(file))
    }
    var object = try #require(TestFiles.json(path + "/config.json").objectValue)
    for (key, value) in config { object.set(key, value) }
    try Data(JSONValue.object(object).serialized().utf8).write(
      to: URL(fileURLWithPath: folder.path("config.json")))
    let tensors = try Checkpoint.read(path: path).tensors.map { tensor in
      SafetensorsWriter.Entry(
        name: renaming(tensor.name), shape: tensor.shape, floats: try tensor.floats())
    }
    try SafetensorsWriter.write(
      path: folder.path("model.safetensors"), overwrite: true, tensors: tensors)
  }
}

extension String {
  /// The name with the first of these prefixes that it has replaced.
  func replacing(_ prefixes: [(String, String)]) -> String {
    for (old, new) in prefixes where hasPrefix(old) { return new + dropFirst(old.count) }
    return self
  }
}
