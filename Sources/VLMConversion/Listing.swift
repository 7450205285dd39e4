import VLMCheckpoint
import VLMContainer
import VLMFoundation
import VLMModels
import VLMTensor

/// What kind of model file a path leads to, by its first bytes.
package enum ModelFileKind: Sendable {
  case container
  /// safetensors, PyTorch or GGUF
  case checkpoint

  /// A file that starts as a container is one; every other is left to the readers of checkpoints,
  /// whose errors name what else it may be.
  package static func of(_ path: String) throws(FileError) -> ModelFileKind {
    if FileSystem.isFolder(path) { return .checkpoint }
    let file = try MappedFile(path: path)
    let magic = Container.magic
    guard file.count >= magic.count else { return .checkpoint }
    return file.withBytes(0..<magic.count) { Array($0) == magic } ? .container : .checkpoint
  }
}

/// The content of a model file, for `inspect`.
package struct Listing {
  package struct Entry {
    package let name: String
    /// The checkpoint's element type, or the container's format.
    package let type: String
    package let shape: [Int]
    package let byteCount: Int
    /// First 16 hexadecimal digits of the SHA-256 of the bytes.
    package let digest: String?
  }

  package let path: String
  package let kind: String
  package let byteCount: Int
  package let tensors: [Entry]
  /// Lines for people, above the tensors.
  package var summary: [Note] { facts.map { Note($0) } + notes }
  private let facts: [String]
  private let notes: [Note]
  private let extra: [(String, JSONValue)]

  /// - Parameter options: what of a PyTorch file to list, and whether to verify its checksums.
  package init(
    path: String, digests: Bool,
    options: PyTorchFile.Options = .init(state: .everything)
  ) throws {
    self.path = path
    let name = path.escapedForDisplay()
    switch try ModelFileKind.of(path) {
    case .container:
      let container = try Container.open(path: path)
      kind = "vlmz"
      byteCount = container.file.count
      tensors = container.tensors.map { entry in
        Entry(
          name: entry.name, type: "\(entry.format)", shape: entry.shape,
          byteCount: entry.range.count,
          digest: digests ? container.file.withBytes(entry.range) { Self.digest($0) } : nil)
      }
      var lines = ["\(name): .vlmz, \(byteText(byteCount)), \(counted(tensors.count, "tensor"))"]
      lines.append("content hash \(hexadecimal(container.rootHash))")
      var extra: [(String, JSONValue)] = [
        ("content_hash", .string(hexadecimal(container.rootHash)))
      ]
      var sections: [JSONValue] = []
      for section in container.sections {
        lines.append(
          "section \(section.kind): \(byteText(section.storedByteCount)) stored, "
            + "\(byteText(section.rawByteCount)) raw, at \(section.offset)")
        sections.append([
          "kind": .string("\(section.kind)"), "offset": .int(section.offset),
          "stored_bytes": .int(section.storedByteCount),
          "raw_bytes": .int(section.rawByteCount),
        ])
      }
      extra.append(("sections", .array(sections)))
      var stated: [SectionKind: JSONValue] = [:]
      for kind in [SectionKind.config, .labels, .preprocess, .provenance] {
        guard let bytes = try container.section(kind) else { continue }
        let json: JSONValue
        do throws(JSONError) {
          json = try JSONValue.parse(bytes, limits: JSONLimits(maximumBytes: bytes.count))
        } catch { throw ConversionError(path: path, .section("\(kind)", "JSON")) }
        extra.append(("\(kind)", json))
        stated[kind] = json
        lines.append("\(kind): \(json.serialized().escapedForDisplay(limit: 2000))")
      }
      if let description = try? ModelDescription(json: stated[.config] ?? .null) {
        let name = description.commonName(provenance: stated[.provenance])
        extra.insert(("architecture", .string(name)), at: 0)
        lines.insert("architecture: \(name)", at: 1)
      }
      (facts, notes) = (lines, [])
      self.extra = extra
      try container.checkUnchanged()
    case .checkpoint:
      let catalog = try Checkpoint.read(path: path, options: options)
      let isPyTorch = catalog.format.isPyTorch
      kind = isPyTorch ? "pytorch" : catalog.format == .gguf ? "gguf" : "safetensors"
      byteCount = try Self.fileBytes(catalog, path)
      tensors = catalog.tensors.map { tensor in
        Entry(
          name: tensor.name, type: isPyTorch ? tensor.dtype.torchName : tensor.typeName,
          shape: tensor.shape, byteCount: tensor.byteCount,
          digest: digests ? tensor.withBytes { Self.digest($0) } : nil)
      }
      var lines = [
        "\(name): \(catalog.format.rawValue), \(byteText(byteCount)), "
          + counted(tensors.count, "tensor")
      ]
      let shownMetadata = catalog.format == .gguf ? 64 : 20
      for (key, value) in catalog.metadata.prefix(shownMetadata) {
        lines.append("metadata \(key.escapedForDisplay()): \(value.escapedForDisplay())")
      }
      facts = lines
      notes = catalog.format == .safetensors ? [] : catalog.warnings.map { $0.following("note: ") }
      var metadata = JSONObject()
      for (key, value) in catalog.metadata {
        metadata.set(key, catalog.gguf?[key]?.json ?? .string(value))
      }
      try catalog.checkUnchanged()
      let format = ("format", JSONValue.string(catalog.format.rawValue))
      extra = [("metadata", .object(metadata))] + (isPyTorch ? [format] : [])
    }
  }

  /// `{"schema", "file", "kind", "bytes", …, "tensors": [{"name", "dtype", "shape", "bytes"}]}`.
  package var json: JSONValue {
    var object = JSONObject()
    object.set("schema", 1)
    object.set("file", .string(path))
    object.set("kind", .string(kind))
    object.set("bytes", .int(byteCount))
    for (key, value) in extra { object.set(key, value) }
    object.set(
      "tensors",
      .array(
        tensors.map { tensor in
          var entry = JSONObject()
          entry.set("name", .string(tensor.name))
          entry.set("dtype", .string(tensor.type))
          entry.set("shape", .array(tensor.shape.map { .int($0) }))
          entry.set("bytes", .int(tensor.byteCount))
          if let digest = tensor.digest { entry.set("digest", .string(digest)) }
          return .object(entry)
        }))
    return .object(object)
  }

  /// Bytes of the file, or of all parts of a split one.
  private static func fileBytes(_ catalog: TensorCatalog, _ path: String) throws -> Int {
    let parts = catalog.sources
    return parts.count > 1 || FileSystem.isFolder(path)
      ? parts.reduce(0) { $0 + $1.count } : try MappedFile(path: path).count
  }

  private static func digest(_ bytes: UnsafeRawBufferPointer) -> String {
    String(hexadecimal(SHA256.hash(bytes)).prefix(16))
  }
}
