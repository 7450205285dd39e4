import VLMCheckpoint
import VLMContainer
import VLMKernels
import VLMModels
import VLMNN
import VLMQuantize
import VLMTensor

/// Turns a recognised checkpoint into a container: reads, encodes and writes tensor by tensor, so
/// that memory does not grow with the model.
package struct Converter {
  package let source: SourceModel
  package let plan: ConversionPlan
  private let scheme: Scheme
  private let overrides: [QuantizationPolicy.Override]
  private let pool: WorkerPool

  /// - Throws: `ConversionError` when the checkpoint lacks a tensor of its model, has one of another
  ///   shape, or one that the model does not have.
  package init(
    source: SourceModel, policy: QuantizationPolicy, ignoreUnexpected: Bool, pool: WorkerPool
  ) throws {
    self.source = source
    self.pool = pool
    scheme = policy.scheme
    overrides = policy.overrides
    let manifest = try source.description.manifest()
    try source.requireMatch(manifest, ignoreUnexpected: ignoreUnexpected)
    for override in overrides where !manifest.contains(where: { override.matches($0.path) }) {
      throw ConversionError(
        path: source.catalog.path,
        .option(
          "--tensor-type", found: override.pattern, expected: "a pattern that some tensor matches"))
    }
    plan = ConversionPlan(manifest: manifest, policy: policy)
  }

  /// Writes the container and returns what it cost.
  ///
  /// - Parameter progress: called with source values done, of all, and the tensor's name.
  package func convert(
    to path: String, overwrite: Bool, progress: (Int, Int, String) -> Void
  ) throws -> ConversionReport {
    let writer = try ContainerWriter(path: path, overwrite: overwrite)
    var report = ConversionReport(scheme: scheme)
    let encoder = TensorStream(pool: pool)
    let total = plan.parameterCount
    var done = 0
    for item in plan.items {
      progress(done, total, item.spec.path)
      let tensor = try source.tensor(item.spec.path)
      try writer.beginTensor(
        name: item.spec.path, format: item.format, role: item.spec.role, shape: item.spec.shape)
      let error = try encoder.encode(tensor, item) { bytes in
        try writer.write(bytes)
      }
      try writer.endTensor()
      guard error.notFiniteCount == 0 else {
        throw ConversionError(
          path: source.catalog.path,
          .nonFinite(tensor: tensor.name, count: error.notFiniteCount))
      }
      report.add(item, error)
      done += error.elementCount
    }
    try source.catalog.checkUnchanged()
    try writer.add(section: .config, bytes(source.description.json))
    if let preprocessing = source.preprocessing {
      try writer.add(section: .preprocess, bytes(preprocessing.json()))
    }
    if let labels = source.labels {
      try writer.add(section: .labels, bytes(.array(labels.map { .string($0) })))
    }
    for (kind, content) in source.sections { try writer.add(section: kind, content) }
    try writer.add(section: .provenance, bytes(try provenance()))
    try writer.add(section: .report, bytes(report.json))
    let summary = try writer.finish()
    report.fileByteCount = summary.fileSize
    return report
  }

  private func bytes(_ json: JSONValue) -> [UInt8] { Array(json.serialized().utf8) }

  /// Where the container came from: file names without folders, their sizes and hashes, and the
  /// flags. Nothing of the machine or the time: the same input gives the same bytes.
  private func provenance() throws -> JSONValue {
    var files: [JSONValue] = []
    for path in source.files {
      let name = path.split(separator: "/").last.map(String.init) ?? path
      let file = try MappedFile(path: path)
      files.append([
        "name": .string(name), "bytes": .int(file.count),
        "xxh64": .string(Self.digest(file)),
      ])
    }
    return [
      "tool": "vlm-convert", "version": .string(ConversionReport.toolVersion),
      "scheme": .string(scheme.name),
      "tensor_types": .array(
        overrides.map { .string("\($0.pattern)=\($0.scheme.name)") }),
      "naming": .string(source.checkpoint.naming),
      "files": .array(files),
    ]
  }

  private static func digest(_ file: MappedFile) -> String {
    let value = file.withBytes(0..<file.count) { XXH64.hash($0) }
    let digits = String(value, radix: 16)
    return String(repeating: "0", count: 16 - digits.count) + digits
  }
}
