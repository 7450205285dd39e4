import VLMContainer
import VLMFoundation
import VLMTensor

/// Where a container comes from, and what that means for it.
extension Conversion {
  /// What a person should know before weights are rounded a second time, or take more room than
  /// what they still say.
  package var notes: [Note] {
    var counts: [(from: Scheme, to: Scheme, count: Int)] = []
    for item in plan.items {
      guard let from = (try? source.tensor(item.spec.path))?.container?.format.scheme,
        from.codeBits <= 8, from != item.format.scheme
      else { continue }
      let to = item.format.scheme
      if let place = counts.firstIndex(where: { $0.from == from && $0.to == to }) {
        counts[place].count += 1
      } else {
        counts.append((from, to, 1))
      }
    }
    guard !counts.isEmpty else { return [] }
    let list = counts.map { from, to, count in
      // Measured, docs/conversion.md.
      let cost =
        to.codeBits < from.codeBits
        ? "some 1 % more error than from the checkpoint" : "no more exact than \(from.name) is"
      return "\(counted(count, "tensor")) from \(from.name) to \(to.name) (\(cost))"
    }
    return [
      "rounded before: \(list.joined(separator: ", ")); the original checkpoint gives the better model"
    ]
  }

  /// Where the container came from: file names without folders, their sizes and hashes, the
  /// names that its tensors had there, and the flags. Nothing of the machine or the time: the same
  /// input gives the same bytes.
  func provenance(
    _ digests: [String: UInt64], _ statistics: (any TensorStatistics)?
  ) throws -> JSONValue {
    var files: [JSONValue] = []
    for path in source.files {
      let name = path.split(separator: "/").last.map(String.init) ?? path
      // Those of tensors are mapped already: a second time may be more than the limits allow.
      let mapped = source.catalog.sources.first { $0.path == path }
      let file = try mapped ?? MappedFile(path: path)
      let digest = digests[path] ?? file.withBytes(0..<file.count) { XXH64.hash($0) }
      files.append([
        "name": .string(name), "bytes": .int(file.count),
        "xxh64": .string(hexadecimalText(digest)),
      ])
    }
    var result = JSONObject()
    result.set("tool", "vlm-convert")
    result.set("version", .string(ConversionReport.toolVersion))
    result.set("scheme", .string(label))
    result.set(
      "tensor_types", .array(overrides.map { .string("\($0.pattern)=\($0.scheme.name)") }))
    if let statistics { result.set("calibration", statistics.provenance) }
    let rescaled = rescaling.kinds
    if !rescaled.isEmpty { result.set("rescaled", .array(rescaled.map { .string($0) })) }
    if let license = source.license { result.set("license", .string(license)) }
    if let type = source.modelType { result.set("model_type", .string(type)) }
    result.set("naming", .string(source.checkpoint.naming))
    result.set("names", .object(try originalNames()))
    result.set("files", .array(files))
    if let origin = source.origin { result.set("made_from", .array(Self.chain(origin))) }
    return .object(result)
  }

  /// The name that each tensor had in the checkpoint. A container's own are none.
  private func originalNames() throws -> JSONObject {
    var names = JSONObject()
    if source.container != nil {
      let known = source.origin?["names"]?.objectValue
      for item in plan.items {
        guard let name = known?[item.spec.path]?.stringValue else { continue }
        names.set(item.spec.path, .string(name))
      }
      return names
    }
    // A tensor whose rows or values are others is not what that name stands for.
    let isRenamed = source.checkpoint.tensors.values.allSatisfy(\.isAsStored)
    for item in isRenamed ? plan.items : [] {
      names.set(item.spec.path, .string(try source.tensor(item.spec.path).name))
    }
    return names
  }

  /// The conversions that made the source, the latest first: their provenance without names.
  private static func chain(_ origin: JSONValue) -> [JSONValue] {
    var latest = JSONObject()
    for member in origin.objectValue?.members ?? []
    where member.key != "names" && member.key != "made_from" {
      latest.set(member.key, member.value)
    }
    return [.object(latest)] + (origin["made_from"]?.arrayValue ?? [])
  }
}

extension SourceModel {
  /// Longer statements of a licence are its text, not its name.
  private static let longestLicense = 256

  /// The licence that the checkpoint says it is under, in its own words; nil where it says nothing.
  var license: String? {
    let stated =
      catalog.gguf?["general.license"]?.stringValue ?? origin?["license"]?.stringValue ?? ""
    return (1...Self.longestLicense).contains(stated.utf8.count) ? stated : nil
  }
}
