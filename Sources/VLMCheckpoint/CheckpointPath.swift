import VLMFoundation
import VLMTensor

#if canImport(Glibc)
  import Glibc
#endif

/// What people name as a model besides a file and its folder.
package enum CheckpointPath {
  /// Snapshots of a download cache that are looked at.
  private static let maximumFolders = 4096

  /// The folder that is meant by a download cache's root of one model, `models--org--name`: the
  /// snapshot that its `refs/main` names, or the only one. Any other path is itself.
  ///
  /// - Returns: the path, and what a person should know of the choice.
  /// - Throws: `.severalSnapshots` where neither tells, `.noWeights` where there is none.
  package static func resolved(
    _ path: String
  ) throws(CheckpointError) -> (path: String, note: String?) {
    let root = path.hasSuffix("/") ? String(path.dropLast()) : path
    let snapshots = root + "/snapshots"
    guard FileSystem.kind(snapshots) == S_IFDIR, FileSystem.kind(root + "/config.json") == nil,
      FileSystem.kind(root + "/refs") == S_IFDIR || FileSystem.kind(root + "/blobs") == S_IFDIR
        || root.split(separator: "/").last?.hasPrefix("models--") == true
    else { return (path, nil) }
    if let revision = revision(root + "/refs/main"),
      FileSystem.kind(snapshots + "/" + revision) == S_IFDIR
    {
      return (
        snapshots + "/" + revision, "reading the snapshot \(revision), which refs/main names"
      )
    }
    let all = names(snapshots).filter { FileSystem.kind(snapshots + "/" + $0) == S_IFDIR }.sorted()
    guard let only = all.first else {
      throw CheckpointError(path: path, problem: .noWeights([]))
    }
    guard all.count == 1 else {
      throw CheckpointError(path: path, problem: .severalSnapshots(all.map { "snapshots/" + $0 }))
    }
    let isNamed = revision(root + "/refs/main") != nil
    return (
      snapshots + "/" + only,
      "reading the snapshot \(only.escapedForDisplay()), the only one"
        + (isNamed ? "; refs/main names another, which is not there" : "")
    )
  }

  /// A plain name, as the cache writes it.
  private static func revision(_ file: String) -> String? {
    guard let mapped = try? MappedFile(path: file), (1...128).contains(mapped.count) else {
      return nil
    }
    let text = mapped.withBytes(0..<mapped.count) { String(decoding: $0, as: UTF8.self) }
    let name = text.prefix { !$0.isWhitespace }
    return isPlain(name) ? String(name) : nil
  }

  /// Letters, digits and what else the names of models and files are made of.
  private static func isPlain(_ name: some StringProtocol) -> Bool {
    !name.isEmpty && !name.hasPrefix(".") && !name.hasPrefix("-")
      && name.utf8.allSatisfy { byte in
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
          UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"),
          UInt8(ascii: "."):
          true
        default: false
        }
      }
  }

  // MARK: - Downloads

  private static let hubs = [
    "https://huggingface.co/", "http://huggingface.co/", "https://hf.co/", "huggingface.co/",
    "hf://", "hf-hub:", "hf_hub:",
  ]

  /// The command that downloads what `path` names, which is not here; nil where it can name nothing
  /// but a file.
  package static func download(_ path: String) -> String? {
    for hub in hubs {
      guard let rest = path.dropping(hub) else { continue }
      let parts = rest.split(separator: "?").first?.split(separator: "/") ?? []
      guard parts.count >= 2, isPlain(parts[0]), isPlain(parts[1]) else { return nil }
      // "/resolve/main/FILE", "/blob/main/FILE".
      let isFile = parts.count >= 5 && ["resolve", "blob"].contains(parts[2])
      let file = isFile && parts[4...].allSatisfy(isPlain) ? parts[4...].joined(separator: "/") : ""
      return "hf download \(parts[0])/\(parts[1])" + (file.isEmpty ? "" : " " + file)
        + " --local-dir \(parts[1])"
    }
    if ["http://", "https://"].contains(where: { path.hasPrefix($0) }) {
      return "curl -LO " + path.quotedForShell
    }
    let parts = path.split(separator: "/", omittingEmptySubsequences: false)
    // A folder that is here is where the user looks, not an organisation.
    guard parts.count == 2, parts.allSatisfy(isPlain), FileSystem.kind(String(parts[0])) == nil
    else {
      return nil
    }
    return "hf download \(path) --local-dir \(parts[1])"
  }

  /// The same as the end of a message; empty where there is no such command.
  package static func hint(toDownload path: String) -> String {
    download(path).map { " (download it first: \($0))" } ?? ""
  }

  /// Why there is nothing at `path`; nil when there is something.
  static func absence(_ path: String) -> CheckpointError? {
    guard !FileSystem.exists(path), errno == ENOENT || errno == ENOTDIR else { return nil }
    if FileSystem.status(path, followsLinks: false) != nil {
      return CheckpointError(path: path, problem: .brokenLink)
    }
    return CheckpointError(path: path, problem: .absent(download: download(path)))
  }

  /// Why the model `path` is none that runs, where it is a checkpoint or has to be downloaded; nil
  /// where the reader of containers knows better.
  package static func refusalAsContainer(_ path: String) -> CheckpointError? {
    if let absence = absence(path) { return download(path) == nil ? nil : absence }
    let isFolder = FileSystem.kind(path) == S_IFDIR
    guard isFolder ? !isWithoutWeights(path) : checkpointKind(path) != nil else { return nil }
    let name = path.split(separator: "/").last.map(String.init) ?? "model"
    let stem = isFolder ? name : String(name.prefix(upTo: name.lastIndex(of: ".") ?? name.endIndex))
    let output = (stem.isEmpty || stem.allSatisfy { $0 == "." } ? "model" : stem) + ".vlmz"
    return CheckpointError(
      path: path,
      problem: .unconverted(command: "vlm-convert \(path.quotedForShell) \(output.quotedForShell)"))
  }

  /// Why a container is not written at `path`, not even in its place: it is a checkpoint, which
  /// somebody trained. Nil where it is none.
  package static func refusalAsOutput(_ path: String) -> CheckpointError? {
    checkpointKind(path).map { CheckpointError(path: path, problem: .asOutput($0)) }
  }

  /// A folder of pictures, say.
  private static func isWithoutWeights(_ folder: String) -> Bool {
    do throws(CheckpointError) { _ = try CheckpointFolder.weights(folder) } catch {
      if case .noWeights = error.problem { return true }
    }
    return false
  }

  /// In words, by how the file begins; nil for what is no checkpoint.
  private static func checkpointKind(_ path: String) -> String? {
    guard let file = try? MappedFile(path: path, isInput: false) else { return nil }
    if GGUFFile.matches(file) { return "GGUF file" }
    if PyTorchFile.matches(file) { return "PyTorch checkpoint" }
    guard file.count > 8 else { return nil }
    let isSafetensors = file.withBytes(0..<9) { bytes in
      UInt64(littleEndian: bytes.loadUnaligned(as: UInt64.self))
        <= UInt64(SafetensorsFile.maximumHeaderBytes) && bytes[8] == UInt8(ascii: "{")
    }
    return isSafetensors ? "safetensors file" : nil
  }

  // MARK: - Folders

  /// The names in a folder, a bounded number of them, in no order.
  static func names(_ folder: String) -> [String] {
    FileSystem.names(in: folder, limit: maximumFolders * 16) ?? []
  }
}
