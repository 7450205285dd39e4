import VLMFoundation

/// PyTorch's zip archive: one top-level folder with `data.pkl`, `data/<key>`, `version` and
/// `byteorder`, and for TorchScript `code/` and constants.
struct TorchArchive {
  let zip: ZipArchive
  /// The folder with a trailing slash; empty if the entries are in no folder.
  let root: String
  let warnings: [Note]
  private let isBigEndian: Bool
  private let options: PyTorchFile.Options

  var isTorchScript: Bool { zip[root + "constants.pkl"] != nil }

  init(_ file: MappedFile, options: PyTorchFile.Options) throws(CheckpointError) {
    self.options = options
    zip = try ZipArchive(file)
    root = try Self.root(zip)
    isBigEndian = try Self.byteOrder(zip, root) == "big"
    warnings = try Self.checkVersion(zip, root)
  }

  private static func failure(
    _ zip: ZipArchive, _ problem: PyTorchProblem, _ place: String = ""
  ) -> CheckpointError {
    CheckpointError(path: zip.file.path, place: place, problem: .pyTorch(problem))
  }

  /// The folder of the only `data.pkl`. Every entry must be in it.
  private static func root(_ zip: ZipArchive) throws(CheckpointError) -> String {
    let names = zip.entries.map(\.name)
    let pickles = names.filter { $0 == "data.pkl" || $0.hasSuffix("/data.pkl") }
    guard let pickle = pickles.first else { throw failure(zip, .noPickle(kind(names))) }
    if pickles.count > 1 {
      throw failure(zip, .zip("\(pickles.count) entries are called data.pkl, expected one"))
    }
    let root = String(pickle.dropLast("data.pkl".count))
    guard root.split(separator: "/").count <= 1 else {
      throw failure(zip, .zip("data.pkl is not in the archive's first folder"), pickle)
    }
    if let stray = names.first(where: { !$0.hasPrefix(root) }) {
      throw failure(zip, .zip("lies outside the folder '\(root.escapedForDisplay())'"), stray)
    }
    return root
  }

  /// The message for an archive without a pickle, which names its likely kind.
  private static func kind(_ names: [String]) -> String {
    let text = "the zip archive has no data.pkl"
    if names.isEmpty { return text + "; it is empty" }
    if names.contains(where: { $0.hasSuffix(".npy") }) {
      return text + "; it is a NumPy .npz file: " + FileKind.loadAndSave
    }
    if names.contains(where: { $0.hasSuffix(".weights.h5") }) {
      return text + "; it is a Keras model: " + FileKind.loadAndSave
    }
    if names.contains(where: {
      $0.hasSuffix("/archive_format") || $0.contains("serialized_exported")
    }) {
      return text + "; it is a program of torch.export: " + FileKind.madeOfModel
    }
    if names.contains(where: { $0 == "config.json" || $0.hasSuffix("/config.json") }) {
      return text + "; it is an archive of a folder: unpack it first"
    }
    let endings = [".pth", ".pt", ".bin", ".ckpt", ".safetensors", ".gguf", ".pth.tar"]
    if let inner = names.first(where: { name in endings.contains { name.hasSuffix($0) } }) {
      return text + "; unpack '\(inner.escapedForDisplay(limit: 80))' from it first"
    }
    if names.contains(where: { $0.hasSuffix("model.json") }) {
      return text + "; it is a TorchScript file of before 1.4: save it again with a newer PyTorch"
    }
    return text + ", expected a PyTorch checkpoint"
  }

  private static func text(_ zip: ZipArchive, _ name: String) throws(CheckpointError) -> String? {
    guard let entry = zip[name] else { return nil }
    guard entry.count <= 64 else {
      throw failure(zip, .zip("has \(entry.count) bytes, expected a word"), name)
    }
    let text = String(decoding: try entry.inflated(zip.file, verifies: true), as: UTF8.self)
    return text.hasSuffix("\n") ? String(text.dropLast()) : text
  }

  /// Archives before PyTorch 2.1 do not state the byte order. All of them are little-endian.
  private static func byteOrder(_ zip: ZipArchive, _ root: String) throws(CheckpointError) -> String
  {
    let order = try text(zip, root + "byteorder") ?? "little"
    guard order == "little" || order == "big" else {
      throw failure(zip, .byteOrder(order), root + "byteorder")
    }
    return order
  }

  private static func checkVersion(
    _ zip: ZipArchive, _ root: String
  ) throws(CheckpointError) -> [Note] {
    guard let version = try text(zip, root + "version") else { return [] }
    guard let number = Int(version), number > 0 else {
      throw failure(
        zip, .zip("is '\(version.escapedForDisplay(limit: 40))', expected a number"),
        root + "version")
    }
    return number <= 10 ? [] : ["version \(number) of the archive's format is not known here"]
  }

  /// The tree that `data.pkl` describes.
  func tree() throws(CheckpointError) -> PickleTree {
    let name = root + "data.pkl"
    guard let entry = zip[name] else { throw Self.failure(zip, .noPickle("no data.pkl")) }
    let limit = min(
      PickleMachine.maximumBytes, TorchStorages.limit(fileCount: zip.file.count))
    guard entry.count <= limit else {
      throw Self.failure(zip, .pickleTooLarge(bytes: entry.count, limit: limit), name)
    }
    let bytes = try entry.inflated(zip.file, verifies: options.verifiesChecksums)
    let result = bytes.withUnsafeBytes { bytes in
      Result { () throws(PickleFault) in
        try PickleMachine.read(
          bytes, memory: TorchStorages.limit(fileCount: zip.file.count) - bytes.count)
      }
    }
    switch result {
    case .failure(let fault):
      throw Self.failure(zip, fault.problem, "\(name), byte \(fault.offset)")
    case .success(let (tree, end)):
      guard end == bytes.count else {
        let more = counted(bytes.count - end, "byte follows", "bytes follow")
        throw Self.failure(zip, .pickle(more + " the end"), name)
      }
      return tree
    }
  }

  func storages() -> TorchStorages {
    var places: [String: TorchStorages.Place] = [:]
    let prefix = root + "data/"
    for entry in zip.entries where entry.name.hasPrefix(prefix) && !entry.isFolder {
      let key = String(entry.name.dropFirst(prefix.count))
      places[key] = entry.isDeflated ? .deflated(entry) : .mapped(entry.range, crc: entry.crc)
    }
    return TorchStorages(
      zip.file, places: places, isBigEndian: isBigEndian,
      verifiesChecksums: options.verifiesChecksums)
  }
}
