import VLMFoundation
import VLMTensor

#if canImport(Glibc)
  import Glibc
#endif

/// Interprets paths that users give for a model: download caches, Hub names, URLs.
package enum CheckpointPath {
  /// Maximum number of snapshots examined in a download cache.
  private static let maximumFolders = 4096

  /// Resolves the cache folder of one model, `models--org--name`, to the snapshot that its
  /// `refs/main` names, or to the only snapshot. Any other path is returned unchanged.
  ///
  /// - Returns: the path, and a note about the choice for the user.
  /// - Throws: `.severalSnapshots` if the choice is ambiguous, `.noWeights` if there is no
  ///   snapshot.
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

  /// The revision as the cache writes it, a plain name.
  private static func revision(_ file: String) -> String? {
    guard let mapped = try? MappedFile(path: file), (1...128).contains(mapped.count) else {
      return nil
    }
    let text = mapped.withBytes(0..<mapped.count) { String(decoding: $0, as: UTF8.self) }
    let name = text.prefix { !$0.isWhitespace }
    return isPlain(name) ? String(name) : nil
  }

  /// Whether a name consists of the characters allowed in model and file names.
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

  /// The command that downloads the model `path` names; nil if it can only name a local file.
  package static func download(_ path: String) -> String? {
    for hub in hubs {
      guard let rest = path.dropping(hub) else { continue }
      let parts = rest.split(separator: "?").first?.split(separator: "/") ?? []
      guard parts.count >= 2, isPlain(parts[0]), isPlain(parts[1]) else { return nil }
      // The path continues with "/resolve/main/FILE" or "/blob/main/FILE".
      let isFile = parts.count >= 5 && ["resolve", "blob"].contains(parts[2])
      let file = isFile && parts[4...].allSatisfy(isPlain) ? parts[4...].joined(separator: "/") : ""
      let model = "\(parts[0])/\(parts[1])" + (file.isEmpty ? "" : " " + file)
      return "hf download \(model) --local-dir \(parts[1])"
    }
    if ["http://", "https://"].contains(where: { path.hasPrefix($0) }) {
      return "curl -LO " + path.quotedForShell
    }
    let parts = path.split(separator: "/", omittingEmptySubsequences: false)
    // If the first component is an existing folder, the user means a local path, not an
    // organisation.
    guard parts.count == 2, parts.allSatisfy(isPlain), FileSystem.kind(String(parts[0])) == nil
    else {
      return nil
    }
    return "hf download \(path) --local-dir \(parts[1])"
  }

  /// The download command as the end of a message; empty if there is none.
  package static func hint(toDownload path: String) -> String {
    Wording.parenthesized(download(path))
  }

  /// The error for a path where nothing exists; nil if something does.
  static func absence(_ path: String) -> CheckpointError? {
    guard !FileSystem.exists(path), errno == ENOENT || errno == ENOTDIR else { return nil }
    if FileSystem.status(path, followsLinks: false) != nil {
      return CheckpointError(path: path, problem: .brokenLink)
    }
    return CheckpointError(path: path, problem: .absent(download: download(path)))
  }

  /// The error for a model path that is a checkpoint, or that must be downloaded first; nil for
  /// anything else, which the container reader diagnoses.
  package static func refusalAsContainer(_ path: String) -> CheckpointError? {
    if let absence = absence(path) { return download(path) == nil ? nil : absence }
    return output(for: path).map { CheckpointError(path: path, problem: .unconverted(output: $0)) }
  }

  /// The error for a checkpoint in the place of a picture; nil for anything else.
  package static func refusalAsPicture(_ path: String) -> CheckpointError? {
    output(for: path).map { CheckpointError(path: path, problem: .asPicture(output: $0)) }
  }

  /// What the container of a checkpoint would be called; nil for a path that is none.
  private static func output(for path: String) -> String? {
    let isFolder = FileSystem.kind(path) == S_IFDIR
    let place = (try? resolved(path).path) ?? path
    guard isFolder ? !isWithoutWeights(place) : checkpointKind(path) != nil else { return nil }
    let name = path.split(separator: "/").last.map(String.init) ?? "model"
    let stem = isFolder ? name : String(name.prefix(upTo: name.lastIndex(of: ".") ?? name.endIndex))
    return (stem.isEmpty || stem.allSatisfy { $0 == "." } ? "model" : stem) + ".vlmz"
  }

  /// The error for an output path that holds a checkpoint, which is never overwritten; nil
  /// otherwise.
  package static func refusalAsOutput(_ path: String) -> CheckpointError? {
    checkpointKind(path).map { CheckpointError(path: path, problem: .asOutput($0)) }
  }

  /// For example a folder of images.
  private static func isWithoutWeights(_ folder: String) -> Bool {
    do throws(CheckpointError) { _ = try CheckpointFolder.weights(folder) } catch {
      if case .noWeights = error.problem { return true }
    }
    return false
  }

  /// The format's name, from the file's first bytes; nil if it is not a checkpoint.
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

  /// The names in a folder, unordered; their number is bounded.
  static func names(_ folder: String) -> [String] {
    FileSystem.names(in: folder, limit: maximumFolders * 16) ?? []
  }
}
