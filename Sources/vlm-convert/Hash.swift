import ArgumentParser
import VLMCheckpoint
import VLMCommandLine
import VLMContainer
import VLMConversion
import VLMFoundation
import VLMTensor
import VLMTransport

struct Hash: ParsableCommand {
  static var configuration: CommandConfiguration {
    CommandConfiguration(
      commandName: "hash", abstract: "Print what identifies model files and their content.",
      discussion: """
        For every file its SHA-256 and XXH64. For every argument a content hash: of a .vlmz that of \
        its header, of a .vlmzp that of the .vlmz that it unpacks to, of a checkpoint a digest of names, types, shapes and values, which is the same \
        in one file or several, as safetensors or PyTorch.
        """)
  }

  @Argument(help: "A .vlmz, .vlmzp, .safetensors or PyTorch file, or a folder or index of several.")
  var files: [String]

  @Flag(help: "Print one JSON array.")
  var json = false

  @Flag(help: "Only the content hash.")
  var content = false

  @OptionGroup var pyTorch: PyTorchOptions

  @OptionGroup var work: WorkOptions

  func run() throws {
    let pool = WorkerPool(threadCount: try work.threadCount())
    var results: [JSONValue] = []
    for path in files {
      let (kind, hash, digests) = try identity(of: path, pool)
      if json {
        results.append([
          "path": .string(path), "kind": .string(kind), "content": .string(hash),
          "files": .array(digests.map(Self.json)),
        ])
        continue
      }
      Report.line("content \(hash)  \(path.escapedForDisplay())")
      for digest in digests {
        let name = digest.path.escapedForDisplay()
        Report.line("sha256  \(hexadecimal(digest.sha256))  \(name)")
        Report.line("xxh64   \(hexadecimalText(digest.xxh64))  \(name)")
      }
    }
    if json { Report.line(JSONValue.array(results).serialized(pretty: true)) }
  }

  private func identity(
    of path: String, _ pool: WorkerPool
  ) throws -> (kind: String, content: String, digests: [FileDigest]) {
    if PackedInput.isPacked(path) {
      let summary = try PackedSummary(path: path)
      let file = try MappedFile(path: path)
      let digests = content ? [] : [try FileDigest(file, pool: pool)]
      try file.checkUnchanged()
      return ("vlmzp", hexadecimal(summary.header.rootHash), digests)
    }
    let model = try ModelTensors.open(
      path: path, options: pyTorch.options(default: .automatic))
    // A damaged file would have the content hash of what it was.
    if let container = model.container {
      try Verify.requireSound(container, threads: pool.threadCount, quiet: json)
    }
    let (kind, hash) = try contentHash(model, pool)
    let sources = model.container.map { [$0.file] } ?? model.catalog?.sources ?? []
    let digests = content ? [] : try sources.map { try FileDigest($0, pool: pool) }
    try model.checkUnchanged()
    return (kind, hash, digests)
  }

  private func contentHash(
    _ model: ModelTensors, _ pool: WorkerPool
  ) throws -> (kind: String, hash: String) {
    if let container = model.container { return ("vlmz", hexadecimal(container.rootHash)) }
    guard let catalog = model.catalog else { return ("checkpoint", "") }
    let progress = Progress("hashing", total: catalog.byteCount, unit: .bytes, quiet: json)
    defer { progress.finish() }
    let digest = try ContentDigest.digest(of: catalog, pool: pool) { done, _ in
      progress.update(done)
    }
    return ("checkpoint", hexadecimal(digest))
  }

  private static func json(_ digest: FileDigest) -> JSONValue {
    [
      "path": .string(digest.path), "bytes": .int(digest.byteCount),
      "sha256": .string(hexadecimal(digest.sha256)),
      "xxh64": .string(hexadecimalText(digest.xxh64)),
    ]
  }
}
