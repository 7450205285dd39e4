import Foundation
import VLMContainer
import VLMConversion
import VLMFoundation
import VLMModels
import VLMTensor
import VLMTestSupport
import VLMZ

/// A container of a small model whose parts can be made to contradict each other.
///
/// The parts are those of the fuzz corpus: `Tests/Fuzz/corpus/session/NAME`.
struct SmallModel {
  /// `config`, `preprocess`, `labels`, `generation` and `template`, by these names.
  var parts: JSONValue
  var tensors: [TensorSpec]
  var tokenizer: [UInt8]?
  /// What the tensors of these names are filled with; all others are zeros.
  var fillings: [String: Float] = [:]

  init(_ name: String) throws {
    let path = TestFiles.root.appendingPathComponent("Tests/Fuzz/corpus/session/\(name)").path
    parts = try TestFiles.json(path)
    tensors = try ModelDescription(json: parts["config"] ?? .null).manifest()
  }

  /// Puts `value` where `path` leads; nothing else changes, the tensors neither.
  func with(_ path: String, _ value: JSONValue) -> SmallModel {
    var copy = self
    copy.parts = Self.setting(parts, path.split(separator: ".")[...], value)
    return copy
  }

  private static func setting(
    _ json: JSONValue, _ path: ArraySlice<Substring>, _ value: JSONValue
  ) -> JSONValue {
    guard let first = path.first else { return value }
    if let index = Int(first), var array = json.arrayValue {
      array[index] = setting(array[index], path.dropFirst(), value)
      return .array(array)
    }
    var object = json.objectValue ?? JSONObject()
    object.set(String(first), setting(object[String(first)] ?? .null, path.dropFirst(), value))
    return .object(object)
  }

  /// Writes it in f32, whatever its parts say of each other.
  func write(_ path: String) throws {
    let writer = try ContainerWriter(path: path, overwrite: true)
    let plan = ConversionPlan(manifest: tensors, policy: QuantizationPolicy(scheme: .f32))
    for item in plan.items {
      let spec = item.spec
      try writer.beginTensor(
        name: spec.path, format: item.format, role: spec.role, shape: spec.shape)
      if let value = fillings[spec.path] {
        let values = [Float](repeating: value, count: item.byteCount / 4)
        try values.withUnsafeBytes { try writer.write(Array($0)) }
      } else {
        try writer.write([UInt8](repeating: 0, count: item.byteCount))
      }
      try writer.endTensor()
    }
    for (key, kind) in [
      ("config", SectionKind.config), ("preprocess", .preprocess), ("labels", .labels),
      ("generation", .generationConfig), ("template", .chatTemplate),
    ] {
      guard let json = parts[key] else { continue }
      // A text stands for bytes that are no JSON of ours.
      let text = json.stringValue ?? json.serialized()
      try writer.add(section: kind, Array(text.utf8))
    }
    if let tokenizer { try writer.add(section: .tokenizer, tokenizer) }
    _ = try writer.finish()
  }
}
