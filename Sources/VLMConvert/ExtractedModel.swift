import VLMCheckpoint
import VLMContainer
import VLMInput
import VLMModels
import VLMNN
import VLMTensor

/// A checkpoint that `extract` wrote: its metadata says which model it is and all that the
/// container held beside the tensors, so nothing beside the file is read.
package struct ExtractedModel {
  package let checkpoint: ModelCheckpoint
  package let preprocessing: Preprocessing?
  let labels: Labels?
  /// Contents of further sections, as they will be stored.
  package let sections: [SectionKind: [UInt8]]

  /// The sections that go into the metadata, in its order.
  static let kinds: [SectionKind] = [
    .config, .preprocess, .labels, .chatTemplate, .generationConfig, .tokenizer, .provenance,
  ]

  static func key(_ kind: SectionKind) -> String {
    "vlmz." + kind.description.split(separator: " ").joined(separator: "_")
  }

  /// The section as metadata: its JSON, or base64 of what is none.
  static func text(_ bytes: [UInt8], of kind: SectionKind) -> String {
    kind == .tokenizer ? Base64.encode(bytes) : String(decoding: bytes, as: UTF8.self)
  }

  /// - Returns: nil for any other checkpoint, and for one that no longer has every tensor of the
  ///   model that its metadata describes.
  /// - Throws: where the metadata cannot be what `extract` wrote, and for a file of codes, which are
  ///   no values.
  package init?(_ catalog: TensorCatalog) throws {
    let texts = Dictionary(
      catalog.metadata.lazy.map { (ExactString($0.key), $0.value) }, uniquingKeysWith: { a, _ in a }
    )
    func text(_ kind: SectionKind) -> String? { texts[ExactString(Self.key(kind))] }
    func json(_ kind: SectionKind) throws(ConversionError) -> JSONValue? {
      guard let text = text(kind) else { return nil }
      do throws(JSONError) { return try JSONValue.parse(Array(text.utf8)) } catch {
        throw ConversionError(path: catalog.path, .metadata(Self.key(kind), "JSON"))
      }
    }
    guard catalog.gguf == nil, let config = try json(.config) else { return nil }
    let file = catalog.path + ": metadata"
    let (description, manifest) = try ModelError.inFile(file) {
      let description = try ModelDescription(json: config)
      return (description, try description.manifest())
    }

    let provenance = try? json(.provenance)
    var originals: [ExactString: String] = [:]
    for member in provenance?["names"]?.objectValue?.members ?? [] {
      originals[ExactString(member.key)] = member.value.stringValue
    }
    func tensors(_ name: (String) -> String?) -> [String: ModelCheckpoint.Source]? {
      var found: [String: ModelCheckpoint.Source] = [:]
      for spec in manifest {
        guard let name = name(spec.path), let tensor = catalog[name] else { return nil }
        found[spec.path] = .init(original: name, shape: tensor.shape)
      }
      return found
    }
    let byOriginal = tensors { originals[ExactString($0)] }
    guard let tensors = byOriginal ?? tensors({ $0 }) else {
      let isCoded = manifest.contains { spec in
        [originals[ExactString(spec.path)], spec.path].compactMap { $0 }.contains { name in
          catalog[name + ".codes"] != nil && catalog[name + ".scales"] != nil
        }
      }
      if isCoded { throw ConversionError(path: catalog.path, .codes) }
      return nil
    }
    let known = Set(tensors.values.map { ExactString($0.original) })
    checkpoint = ModelCheckpoint(
      description: description,
      naming: (byOriginal == nil ? nil : provenance?["naming"]?.stringValue)
        .map { $0.escapedForDisplay(limit: 40) } ?? "vlmz",
      tensors: tensors,
      foreign: catalog.tensors.map(\.name).filter { !known.contains(ExactString($0)) })

    preprocessing = try json(.preprocess).map { json throws(PreprocessingError) in
      try Preprocessing(json: json, name: file)
    }
    labels = try json(.labels).map { json in
      try ModelError.inFile(file) { try Labels(json: json, count: description.classCount) }
    }
    var sections: [SectionKind: [UInt8]] = [:]
    if let json = try json(.chatTemplate) {
      _ = try ConversationTemplate(json: json, file: file)
      sections[.chatTemplate] = Array(json.serialized().utf8)
    }
    if let json = try json(.generationConfig) {
      let defaults = try ModelError.inFile(file) { try GenerationDefaults(json: json) }
      sections[.generationConfig] = Array(defaults.json.serialized().utf8)
    }
    if let text = text(.tokenizer) {
      guard let bytes = Base64.decode(text) else {
        throw ConversionError(path: catalog.path, .metadata(Self.key(.tokenizer), "base64"))
      }
      sections[.tokenizer] = try Tokenizer(container: bytes, file: file).serialized()
    }
    self.sections = sections
  }
}
