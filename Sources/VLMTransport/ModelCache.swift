import VLMContainer
import VLMFoundation
import VLMTensor

#if canImport(Glibc)
  import Glibc
#endif

/// A folder of containers that were packed, each unpacked once.
///
/// `<root hash>.vlmz` is a container. `<root hash>.lock` is shared by every process that uses it, for
/// as long as it runs, and exclusive to one that removes it: what is in use stays. Its time of
/// modification is when the container was last opened. `<root hash>.unpack` is exclusive to the
/// process that unpacks, so that of two that start at once one waits for the other.
package struct ModelCache: Sendable, Equatable {
  /// The folder; it is made when it is needed.
  package let folder: String
  /// Bytes that all containers in it may have together.
  package let limit: Int

  /// 16 GB.
  package static let defaultLimit = 16_000_000_000

  package init(folder: String, limit: Int = ModelCache.defaultLimit) {
    self.folder = folder
    self.limit = limit
  }

  /// What happens to a container that is asked for.
  package enum Event: Sendable, Equatable {
    /// Another process is unpacking it.
    case waiting
    /// It is unpacked to this path, which had to be done.
    case unpacked(to: String)
    /// It was there.
    case found(at: String)
  }

  private static let modelSuffix = ".vlmz"
  private static let lockSuffix = ".lock"
  private static let unpackSuffix = ".unpack"
  private static let rootDigits = 64

  /// Opens the container of a packed file, which is unpacked where it is not there.
  ///
  /// - Parameters:
  ///   - input: at the beginning of the packed file.
  ///   - report: told what happens, as it does.
  /// - Throws: `TransportError`.
  package func open(
    _ input: PackedInput, pool: WorkerPool, report: (Event) -> Void = { _ in },
    progress: @escaping (_ done: Int, _ total: Int) -> Void = { _, _ in }
  ) throws -> Container {
    let start = try input.peek(PackedFormat.headerSize)
    let header = try start.withUnsafeResult { (bytes) throws(TransportError) in
      try PackedHeader(bytes, path: input.name)
    }
    func refusal(_ error: FileError) -> TransportError {
      TransportError(path: input.name, place: .file, problem: .cache(error))
    }
    let root = hexadecimal(header.rootHash)
    let path = self.path(root, Self.modelSuffix)
    let (use, turn): (CacheLock, CacheLock)
    do throws(FileError) {
      try makeFolder()
      use = try CacheLock.shared(self.path(root, Self.lockSuffix))
      if let container = container(path, header) {
        return Self.used(container, use, .found(at: path), report)
      }
      turn = try CacheLock.exclusive(self.path(root, Self.unpackSuffix)) { report(.waiting) }
    } catch { throw refusal(error) }
    // The other one may have done it.
    if let container = container(path, header) {
      return Self.used(container, use, .found(at: path), report)
    }
    defer { withExtendedLifetime(turn) {} }
    guard header.containerSize <= limit else {
      throw TransportError(
        path: input.name, place: .file,
        problem: .exceedsCache(bytes: header.containerSize, limit: limit))
    }
    // Whoever unpacked before and was killed has left these, if anybody.
    removeRests(of: root)
    makeRoom(for: header.containerSize, besides: root)
    do {
      _ = try Unpacker(input, pool: pool).unpack(
        to: path, overwrite: true, keeping: .nothing, progress: progress)
    } catch let error as TransportError {
      if case .file(let error) = error.problem, error.path != input.name { throw refusal(error) }
      throw error
    }
    do throws(ContainerError) {
      let container = try Container.open(path: path)
      return Self.used(container, use, .unpacked(to: path), report)
    } catch { throw TransportError(path: input.name, place: .file, problem: .source(error)) }
  }

  /// A container that this process uses from now on.
  private static func used(
    _ container: Container, _ lock: CacheLock, _ event: Event, _ report: (Event) -> Void
  ) -> Container {
    InputFiles.add(path: container.path)
    lock.touch()
    lock.holdForever()
    report(event)
    return container
  }

  private func path(_ root: String, _ suffix: String) -> String { "\(folder)/\(root)\(suffix)" }

  /// The container at `path`, if it is there and the one that `header` is of.
  private func container(_ path: String, _ header: PackedHeader) -> Container? {
    // One that is damaged will be replaced.
    guard let container = try? Container.open(path: path, isInput: false),
      container.rootHash == header.rootHash, container.file.count == header.containerSize
    else { return nil }
    return container
  }

  /// Makes the folder and those that it is in, for nobody else to see.
  private func makeFolder() throws(FileError) {
    var made = folder.hasPrefix("/") ? "" : "."
    for part in folder.split(separator: "/") {
      made += "/" + part
      if FileSystem.isFolder(made) { continue }
      let code = made.withFileName { mkdir($0, 0o700) == 0 ? 0 : errno }
      guard code == 0 || code == EEXIST else {
        throw FileError(path: made, problem: .call("mkdir", errno: code))
      }
    }
  }

  // MARK: Room

  private struct Entry {
    let root: String
    let bytes: Int
    /// Nanoseconds since 1970.
    let lastUse: Int
  }

  /// Removes the containers that were not opened for longest, until `bytes` more fit. What is in use
  /// stays, even if the limit is passed.
  private func makeRoom(for bytes: Int, besides root: String) {
    let entries = entries().filter { $0.root != root }
    var total = entries.reduce(bytes) { $0 + $1.bytes }
    for entry in entries.sorted(by: { ($0.lastUse, $0.root) < ($1.lastUse, $1.root) }) {
      if total <= limit { return }
      let lock = try? CacheLock.unused(path(entry.root, Self.lockSuffix))
      guard let lock else { continue }
      removeRests(of: entry.root)
      for suffix in [Self.modelSuffix, Self.unpackSuffix, Self.lockSuffix] {
        FileSystem.unlink(path(entry.root, suffix))
      }
      withExtendedLifetime(lock) {}
      total -= entry.bytes
    }
  }

  private func entries() -> [Entry] {
    (FileSystem.names(in: folder) ?? []).compactMap { name in
      let root = String(name.prefix(Self.rootDigits))
      guard name == root + Self.modelSuffix, Self.isRoot(root),
        let status = FileSystem.status("\(folder)/\(name)", followsLinks: false)
      else { return nil }
      let lock = FileSystem.status(path(root, Self.lockSuffix), followsLinks: false) ?? status
      let time = Int(lock.st_mtim.tv_sec) * 1_000_000_000 + Int(lock.st_mtim.tv_nsec)
      return Entry(root: root, bytes: Int(status.st_size), lastUse: time)
    }
  }

  private static func isRoot(_ text: String) -> Bool {
    text.utf8.count == rootDigits && text.utf8.allSatisfy { "0123456789abcdef".utf8.contains($0) }
  }

  /// Removes unfinished outputs of a container whose lock is held: nobody is writing them.
  private func removeRests(of root: String) {
    for name in FileSystem.names(in: folder) ?? []
    where name.hasPrefix(".\(root)\(Self.modelSuffix).") && name.hasSuffix(".tmp") {
      FileSystem.unlink("\(folder)/\(name)")
    }
  }
}

extension ModelCache {
  /// Opens a container, or that of a packed file.
  ///
  /// - Parameters:
  ///   - cache: where a packed file is unpacked to; nil for nowhere.
  ///   - pool: threads that unpack.
  /// - Throws: `ContainerError`, or `TransportError` of a packed file.
  package static func open(
    path: String, cache: ModelCache?, pool: WorkerPool, report: (Event) -> Void = { _ in },
    progress: @escaping (_ done: Int, _ total: Int) -> Void = { _, _ in }
  ) throws -> Container {
    guard PackedInput.isPacked(path) else { return try Container.open(path: path) }
    guard let cache else { throw TransportError(path: path, place: .file, problem: .noCache) }
    let input: PackedInput
    do throws(FileError) { input = try PackedInput(path: path) } catch {
      throw TransportError(error)
    }
    return try cache.open(input, pool: pool, report: report, progress: progress)
  }
}
