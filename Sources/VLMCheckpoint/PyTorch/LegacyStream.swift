import VLMFoundation

/// The format before PyTorch 1.6: five pickles (magic number, protocol version, system description,
/// object, storage keys), then each storage as a count and its elements.
struct LegacyStream {
  let tree: PickleTree
  let places: [String: TorchStorages.Place]

  private static let version = 1001
  /// Maximum number of storages. The largest checkpoints have about ten thousand.
  static let maximumStorages = 1 << 20

  private let path: String

  init(_ file: MappedFile) throws(CheckpointError) {
    path = file.path
    var position = 0
    try Self.checkMagic(try Self.pickle(file, &position, "magic number"), path)
    let version = try Self.pickle(file, &position, "protocol version")
    guard version.root == .int(Self.version) else {
      throw Self.failure(path, "the format's version is not \(Self.version)")
    }
    try Self.checkSystem(try Self.pickle(file, &position, "system description"), path)
    let object = try Self.pickle(file, &position, "object")
    let keys = try Self.pickle(file, &position, "list of storages")
    try PyTorchFile.checkRoot(object, path)
    tree = object
    places = try Self.storages(file, position, try Self.keys(keys, path), object)
  }

  private static func failure(_ path: String, _ text: String, _ place: String = "")
    -> CheckpointError
  {
    CheckpointError(path: path, place: place, problem: .pyTorch(.legacy(text)))
  }

  private static func pickle(
    _ file: MappedFile, _ position: inout Int, _ what: String
  ) throws(CheckpointError) -> PickleTree {
    let start = position
    guard start < file.count else {
      throw failure(file.path, "the file ends before the \(what)" + CheckpointError.cutShort)
    }
    let end = min(
      file.count, start.addingReportingOverflow(PickleMachine.maximumBytes).partialValue)
    let result = file.withBytes(start..<end) { bytes in
      Result { () throws(PickleFault) in
        try PickleMachine.read(bytes, memory: TorchStorages.limit(fileCount: file.count))
      }
    }
    switch result {
    case .success(let (tree, count)):
      position = start + count
      return tree
    case .failure(let fault):
      throw CheckpointError(
        path: file.path, place: "\(what), byte \(start + fault.offset)",
        problem: .pyTorch(fault.problem))
    }
  }

  private static func checkMagic(_ magic: PickleTree, _ path: String) throws(CheckpointError) {
    // 0x1950a86a20f9469cfc6c
    let number: [UInt8] = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19]
    guard case .long(let index) = magic.root, magic.longs[Int(index)] == number else {
      throw failure(
        path, "is a pickle, but not one that torch.save wrote; " + FileKind.loadAndSave)
    }
  }

  private static func checkSystem(_ system: PickleTree, _ path: String) throws(CheckpointError) {
    guard let facts = system.dictionary(system.root),
      let isLittle = system.value(facts, "little_endian")
    else { throw failure(path, "the description of the system is missing") }
    guard isLittle == .bool(true) else {
      throw failure(
        path, "was written on a big-endian machine, which this format cannot tell apart")
    }
  }

  private static func keys(_ tree: PickleTree, _ path: String) throws(CheckpointError) -> [String] {
    guard let items = tree.list(tree.root) else {
      throw failure(path, "the list of storages is \(tree.root.kind), expected a list")
    }
    guard items.count <= maximumStorages else {
      throw failure(path, "\(items.count) storages, expected at most \(maximumStorages)")
    }
    var seen = Set<String>()
    var keys: [String] = []
    for item in items {
      guard let key = tree.string(item), seen.insert(key).inserted else {
        throw failure(path, "a key in the list of storages is \(item.kind), or occurs twice")
      }
      keys.append(key)
    }
    return keys
  }

  /// Locates the storages, which follow in the order of their keys from `position` to the end of
  /// the file.
  private static func storages(
    _ file: MappedFile, _ position: Int, _ keys: [String], _ tree: PickleTree
  ) throws(CheckpointError) -> [String: TorchStorages.Place] {
    var declared: [String: PickledStorage] = [:]
    for storage in tree.storages { declared[storage.key] = storage }
    var places: [String: TorchStorages.Place] = [:]
    var position = position
    for key in keys {
      let place = "storage \(key)"
      guard let storage = declared[key] else {
        throw failure(file.path, "is in the list of storages, but the object has no such", place)
      }
      guard file.count - position >= 8 else {
        throw failure(file.path, "the file ends before its size" + CheckpointError.cutShort, place)
      }
      let count = Int(truncatingIfNeeded: file.little(position, Int64.self))
      position += 8
      let (bytes, overflow) = count.multipliedReportingOverflow(by: storage.type?.width ?? 1)
      guard count == storage.count, !overflow else {
        throw failure(
          file.path, "has \(count) elements, but the object declares \(storage.count)", place)
      }
      guard bytes <= file.count - position else {
        throw failure(
          file.path,
          "needs \(bytes) bytes, but only \(file.count - position) are left"
            + CheckpointError.cutShort, place)
      }
      places[key] = .mapped(position..<position + bytes, crc: nil)
      position += bytes
    }
    guard position == file.count else {
      let more = counted(file.count - position, "byte follows", "bytes follow")
      throw failure(file.path, more + " the last storage")
    }
    return places
  }
}
