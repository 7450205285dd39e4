import VLMCheckpoint
import VLMConversion
import VLMFoundation
import VLMImages
import VLMModels
import VLMTensor
import VLMText

/// The metadata of a file that `extract` wrote.
///
/// The input is `{"config": …, "preprocess": …, "labels": …, "chat_template": …,
/// "generation_config": …, "tokenizer": …, "provenance": …, "tensors": {NAME: SHAPE}}`: each of the
/// first as text or as what the text is JSON of. Without tensors there are those that the
/// configuration asks for, so that what is tried is the rest.
package enum ExtractedTarget {
  private static let maximumTensors = 400
  private static let maximumBytes = 1 << 19

  /// - Returns: whether it is a whole model.
  @discardableResult
  package static func run(_ bytes: UnsafeRawBufferPointer) -> Bool {
    guard let value = TextTargets.parsed(bytes), let object = value.objectValue else {
      return false
    }
    var metadata: [(key: String, value: String)] = []
    for member in object.members where member.key != "tensors" {
      metadata.append(("vlmz." + member.key, member.value.stringValue ?? member.value.serialized()))
    }
    var isModel = false
    ModelTargets.attempt {
      guard let tensors = try tensors(value) else { return }
      let file = try self.file(metadata, tensors)
      isModel = try read(try SafetensorsFile.read(file))
    }
    return isModel
  }

  /// - Returns: nil for more than is tried.
  private static func tensors(_ value: JSONValue) throws -> [(String, [Int])]? {
    let tensors: [(String, [Int])]
    if let members = value["tensors"]?.objectValue?.members {
      tensors = members.map { ($0.key, ($0.value.arrayValue ?? []).compactMap(\.intValue)) }
    } else {
      let description = try ModelDescription(json: value["config"] ?? .null)
      tensors = try description.manifest().map { ($0.path, $0.shape) }
    }
    var total = 0
    for (_, shape) in tensors {
      guard shape.allSatisfy({ $0 >= 0 }), let size = DType.f32.byteCount(shape: shape),
        size <= maximumBytes
      else { return nil }
      total += size
    }
    return tensors.count <= maximumTensors && total <= maximumBytes ? tensors : nil
  }

  private static func file(
    _ metadata: [(key: String, value: String)], _ tensors: [(String, [Int])]
  ) throws -> MappedFile {
    var header = JSONObject()
    var texts = JSONObject()
    for (key, value) in metadata { texts.set(key, .string(value)) }
    header.set("__metadata__", .object(texts))
    var end = 0
    for (name, shape) in tensors where name != "__metadata__" {
      let start = end
      end += DType.f32.byteCount(shape: shape) ?? 0
      let isNew = header.insert(
        name,
        [
          "dtype": "F32", "shape": .array(shape.map { .int($0) }),
          "data_offsets": [.int(start), .int(end)],
        ])
      if !isNew { end = start }
    }
    let text = Array(JSONValue.object(header).serialized().utf8)
    let bytes =
      withUnsafeBytes(of: UInt64(text.count).littleEndian) { Array($0) } + text
      + [UInt8](repeating: 0, count: end)
    return bytes.withUnsafeBytes { MappedFile(name: "fuzzed.safetensors", copying: $0) }
  }

  private static func read(_ catalog: TensorCatalog) throws -> Bool {
    guard let model = try ExtractedModel(catalog) else { return false }
    let checkpoint = model.checkpoint
    for spec in try checkpoint.description.manifest() {
      guard let source = checkpoint.tensors[spec.path], let tensor = catalog[source.original] else {
        preconditionFailure("every tensor of the model is there")
      }
      precondition(tensor.shape == source.shape, "a tensor has its own shape")
    }
    precondition(
      checkpoint.unused.allSatisfy { catalog[$0] != nil }, "what is left over is the file's")
    if let preprocessing = model.preprocessing {
      let again = try Preprocessing(json: preprocessing.json(), name: "again")
      precondition(again == preprocessing, "a configuration survives being written")
    }
    if let bytes = model.sections[.tokenizer] {
      TokenizerTargets.exercise(try Tokenizer(container: bytes, file: "f"))
    }
    if let bytes = model.sections[.generationConfig] {
      _ = try GenerationDefaults(json: try JSONValue.parse(bytes))
    }
    return true
  }
}
