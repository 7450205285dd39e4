import VLMContainer
import VLMFoundation
import VLMTensor

/// What a container is made of, from what it says itself: its sources with their hashes, the recipe,
/// the licence if one is known, and what identifies the file.
///
/// Nothing is added that the file does not have: no time, no chance. The same file gives the same
/// document, and what is not known is said to be so.
package struct BillOfMaterials {
  /// A file that a conversion read.
  struct Source: Equatable {
    let name: String
    let byteCount: Int?
    /// 16 hexadecimal digits.
    let xxh64: String?
  }

  /// One conversion: the container's own, or an earlier one that its source came from.
  struct Step: Equatable {
    let tool: String?
    let version: String?
    /// What was asked for: "q4".
    let scheme: String?
    let sources: [Source]
    /// The other members of the provenance, as they are.
    let details: [JSONObject.Member]
  }

  /// The file's name without its folder.
  let name: String
  let byteCount: Int
  /// Of the whole file.
  let sha256: [UInt8]
  let rootHash: [UInt8]
  let architecture: String?
  /// As the source stated it.
  let license: String?
  /// The latest first; empty for a file without provenance.
  let steps: [Step]
  let tensorCount: Int
  /// Values of all tensors.
  let parameterCount: Int
  /// How many tensors have each scheme, by the schemes' names.
  let schemes: [(name: String, tensors: Int)]
}

extension BillOfMaterials {
  /// Reads all of the file, for its SHA-256.
  ///
  /// - Throws: `ConversionError` for a config or a provenance that is no JSON, `ContainerError`,
  ///   `FileError`.
  package init(_ container: Container, pool: WorkerPool) throws {
    func json(_ kind: SectionKind) throws -> JSONValue? {
      guard let bytes = try container.section(kind) else { return nil }
      do throws(JSONError) {
        return try JSONValue.parse(bytes, limits: JSONLimits(maximumBytes: bytes.count))
      } catch { throw ConversionError(path: container.path, .section("\(kind)", "JSON")) }
    }
    let provenance = try json(.provenance)
    name = container.path.splitAtLastSlash.name
    byteCount = container.file.count
    sha256 = try FileDigest(container.file, pool: pool).sha256
    rootHash = container.rootHash
    architecture = try json(.config)?["architecture"]?.stringValue
    license = provenance?["license"]?.stringValue
    let earlier = provenance?["made_from"]?.arrayValue ?? []
    steps = ([provenance].compactMap { $0 } + earlier).map { Step($0) }
    tensorCount = container.tensors.count
    parameterCount = container.tensors.reduce(0) { sum, tensor in
      let count = tensor.shape.reduce((1, false)) { product, extent in
        let (next, overflow) = product.0.multipliedReportingOverflow(by: extent)
        return (next, product.1 || overflow)
      }
      let (next, overflow) = sum.addingReportingOverflow(count.0)
      return overflow || count.1 ? sum : next
    }
    schemes = Dictionary(grouping: container.tensors) { $0.format.scheme.name }
      .map { (name: $0.key, tensors: $0.value.count) }.sorted { $0.name < $1.name }
    try container.checkUnchanged()
  }

  /// The number of a document about this content: an RFC 9562 UUID of version 8, made of the root
  /// hash, and so the same for the same content.
  var uuid: String {
    var bytes = Array(rootHash.prefix(16))
    bytes[6] = bytes[6] & 0x0f | 0x80
    bytes[8] = bytes[8] & 0x3f | 0x80
    let digits = Array(hexadecimal(bytes))
    return [0..<8, 8..<12, 12..<16, 16..<20, 20..<32].map { String(digits[$0]) }
      .joined(separator: "-")
  }

  /// One sentence: "vlm-convert 0.2.0 converted model.safetensors to q4".
  var recipe: String {
    guard !steps.isEmpty else { return "the file does not say what it was made from" }
    return steps.map { step in
      let tool = [step.tool, step.version].compactMap { $0 }.joined(separator: " ")
      let sources = step.sources.map(\.name).joined(separator: ", ")
      return "\(tool.isEmpty ? "an unknown tool" : tool) converted "
        + "\(sources.isEmpty ? "unnamed files" : sources)"
        + (step.scheme.map { " to \($0)" } ?? "")
    }.joined(separator: "; before that ")
  }
}

extension BillOfMaterials.Step {
  /// The members that have a place of their own, and the names of tensors, which are no recipe.
  private static let known: Set<String> = [
    "tool", "version", "scheme", "files", "names", "made_from", "license",
  ]

  init(_ json: JSONValue) {
    tool = json["tool"]?.stringValue
    version = json["version"]?.stringValue
    scheme = json["scheme"]?.stringValue
    sources = (json["files"]?.arrayValue ?? []).map { file in
      BillOfMaterials.Source(
        name: file["name"]?.stringValue ?? "NOASSERTION", byteCount: file["bytes"]?.intValue,
        xxh64: file["xxh64"]?.stringValue)
    }
    details = (json.objectValue?.members ?? []).filter { !Self.known.contains($0.key) }
  }
}
