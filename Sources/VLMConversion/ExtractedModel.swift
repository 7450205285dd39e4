import VLMCheckpoint
import VLMContainer
import VLMFoundation
import VLMImages
import VLMModels
import VLMTensor
import VLMText

/// A container, or a checkpoint that `extract` wrote of one: its sections, or their texts in its
/// metadata, say which model it is and all that there is beside the tensors, so nothing beside the
/// file is read.
package struct ExtractedModel {
  package let checkpoint: ModelCheckpoint
  package let preprocessing: Preprocessing?
  let labels: Labels?
  /// Contents of further sections, as they will be stored.
  package let sections: [SectionKind: [UInt8]]
  /// Where the container came from, its `provenance`.
  let origin: JSONValue?

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

  /// Where a model says what it is.
  private struct Description {
    /// For errors.
    let file: String
    let read: (SectionKind) throws -> [UInt8]?
    let failure: (SectionKind, _ expected: String) -> ConversionError

    func json(_ kind: SectionKind) throws -> JSONValue? {
      guard let bytes = try read(kind) else { return nil }
      do throws(JSONError) {
        return try JSONValue.parse(bytes, limits: JSONLimits(maximumBytes: bytes.count))
      } catch { throw failure(kind, "JSON") }
    }
  }

  /// - Returns: nil for any other checkpoint, and for one that no longer has every tensor of the
  ///   model that its metadata describes.
  /// - Throws: where the metadata cannot be what `extract` wrote, and for a file of codes, which are
  ///   no values.
  package init?(_ catalog: TensorCatalog) throws {
    let texts = Dictionary(
      catalog.metadata.lazy.map { (ExactString($0.key), $0.value) }, uniquingKeysWith: { a, _ in a }
    )
    func failure(_ kind: SectionKind, _ expected: String) -> ConversionError {
      ConversionError(path: catalog.path, .metadata(Self.key(kind), expected))
    }
    guard catalog.gguf == nil else { return nil }
    try self.init(
      catalog,
      Description(
        file: catalog.path + ": metadata",
        read: { kind in
          guard let text = texts[ExactString(Self.key(kind))] else { return nil }
          guard kind == .tokenizer else { return Array(text.utf8) }
          guard let bytes = Base64.decode(text) else { throw failure(kind, "base64") }
          return bytes
        }, failure: failure))
  }

  /// - Parameter catalog: the container's tensors.
  /// - Throws: where a section cannot be read, or a tensor of the model is missing.
  init(_ container: Container, _ catalog: TensorCatalog) throws {
    let description = Description(
      file: container.path, read: { try container.section($0) },
      failure: { ConversionError(path: container.path, .section("\($0)", $1)) })
    guard let model = try ExtractedModel(catalog, description) else {
      let config = try description.json(.config) ?? .null
      let missing = try ModelError.inFile(container.path) {
        try ModelDescription(json: config).manifest().map(\.path)
      }.filter { container.tensor(named: $0) == nil }
      throw ConversionError(path: container.path, .missing(missing))
    }
    self = model
  }

  private init?(_ catalog: TensorCatalog, _ source: Description) throws {
    let file = source.file
    let isContainer = catalog.format == .container
    guard let config = try source.json(.config) else { return nil }
    let (description, manifest) = try ModelError.inFile(file) {
      let description = try ModelDescription(json: config)
      return (description, try description.manifest())
    }

    let provenance = try source.json(.provenance)
    origin = provenance
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
    // A container has its own names, whatever a checkpoint's were.
    let byOriginal = isContainer ? nil : tensors { originals[ExactString($0)] }
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
      naming: (byOriginal == nil && !isContainer ? nil : provenance?["naming"]?.stringValue)
        .map { $0.escapedForDisplay(limit: 40) } ?? "vlmz",
      tensors: tensors,
      unused: catalog.tensors.map(\.name).filter { !known.contains(ExactString($0)) })

    preprocessing = try source.json(.preprocess).map { json throws(PreprocessingError) in
      try Preprocessing(json: json, name: file)
    }
    labels = try source.json(.labels).map { json throws(ConversionError) -> Labels in
      do throws(ModelError) {
        return try Labels(json: json, count: description.classCount)
      } catch {
        throw source.failure(.labels, "a name for each class")
      }
    }
    // What they say is kept as it stands, once it is known to be sound.
    if let json = try source.json(.chatTemplate) {
      _ = try ChatTemplates(json: json, file: file)
    }
    if let json = try source.json(.generationConfig) {
      _ = try ModelError.inFile(file) { try GenerationDefaults(json: json) }
    }
    if let bytes = try source.read(.tokenizer) {
      try Tokenizer(container: bytes, file: file).requireRows(description.tokenRows, file: file)
    }
    var sections: [SectionKind: [UInt8]] = [:]
    for kind in [SectionKind.chatTemplate, .generationConfig, .tokenizer] {
      sections[kind] = try source.read(kind)
    }
    self.sections = sections
  }
}
