import VLMContainer
import VLMFoundation
import VLMTensor

/// A folder of containers that were packed, each unpacked once.
///
/// An entry belongs to one packed file: its key is SHA-256 of the root hash that the file states and
/// of what identifies the file. The root hash alone would not do. It is made of XXH64, so that
/// another file with the same one can be constructed, and its container would stand in place of the
/// first.
///
/// `<key>.vlmz` is a container. `<key>.lock` is shared by every process that uses it, for as long as
/// it runs, and exclusive to one that removes it: what is in use stays. Its time of modification is
/// when the container was last opened, and in it stands which file was found to be sound, so that a
/// changed one is read whole before it is used. `<key>.unpack` is exclusive to the process that unpacks, so
/// that of two that start at once one waits for the other.
package struct ModelCache: Sendable, Equatable {
  /// The folder; it is made when it is needed. It has to be the user's own, and no one else may write
  /// to it.
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

  static let modelSuffix = ".vlmz"
  static let lockSuffix = ".lock"
  static let unpackSuffix = ".unpack"

  /// Opens the container of a packed file, which is unpacked where it is not there.
  ///
  /// - Parameters:
  ///   - input: at the beginning of the packed file, a regular one.
  ///   - check: throws for a container that may not be used. One that was there is then unpacked
  ///     again; one that was just unpacked is removed.
  ///   - report: told what happens, as it does.
  /// - Throws: `TransportError`, or what `check` throws.
  package func open(
    _ input: PackedInput, pool: WorkerPool, check: (Container) throws -> Void = { _ in },
    report: (Event) -> Void = { _ in },
    progress: @escaping (_ done: Int, _ total: Int) -> Void = { _, _ in }
  ) throws -> Container {
    let start = try input.peek(PackedFormat.headerSize)
    let header = try start.withUnsafeResult { (bytes) throws(TransportError) in
      try PackedHeader(bytes, path: input.name)
    }
    guard let key = Self.key(header, input) else {
      throw refusal(FileError(path: input.name, problem: .notRegular("pipe")), of: input)
    }
    let path = self.path(key, Self.modelSuffix)
    try makeFolder(for: input)
    let use: CacheLock
    do throws(FileError) { use = try CacheLock.shared(self.path(key, Self.lockSuffix)) } catch {
      throw refusal(error, of: input)
    }
    var refused: String?
    if let container = sound(path, header, use, pool, check, &refused) {
      return Self.used(container, use, .found(at: path), report)
    }
    let turn: CacheLock
    do throws(FileError) {
      turn = try CacheLock.exclusive(self.path(key, Self.unpackSuffix)) { report(.waiting) }
    } catch { throw refusal(error, of: input) }
    defer { withExtendedLifetime(turn) {} }
    // The other one may have done it.
    if let container = sound(path, header, use, pool, check, &refused) {
      return Self.used(container, use, .found(at: path), report)
    }
    let container = try unpack(input, key, header, pool, progress)
    use.write(note: container.file.identity)
    do { try check(container) } catch {
      FileSystem.unlink(path)
      throw error
    }
    // Not before: a file that only states a size removes nothing.
    makeRoom(for: header.containerSize, besides: key)
    return Self.used(container, use, .unpacked(to: path), report)
  }

  /// Unpacks an entry whose locks are held.
  private func unpack(
    _ input: PackedInput, _ key: String, _ header: PackedHeader, _ pool: WorkerPool,
    _ progress: @escaping (_ done: Int, _ total: Int) -> Void
  ) throws -> Container {
    guard header.containerSize <= limit else {
      throw TransportError(
        path: input.name, place: .file,
        problem: .exceedsCache(bytes: header.containerSize, limit: limit))
    }
    let path = self.path(key, Self.modelSuffix)
    // Whoever unpacked before and was killed has left these, if anybody.
    removeRests(of: key)
    // One that is refused; a link is removed itself, not what it leads to.
    FileSystem.unlink(path)
    do {
      _ = try Unpacker(input, pool: pool).unpack(
        to: path, overwrite: true, keeping: .nothing, progress: progress)
    } catch let error as TransportError {
      if case .file(let error) = error.problem, error.path != input.name {
        throw refusal(error, of: input)
      }
      throw error
    }
    do throws(ContainerError) { return try Container.open(path: path, isInput: false) } catch {
      throw TransportError(path: input.name, place: .file, problem: .source(error))
    }
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

  // MARK: Entries

  /// The key of a packed file's entry; nil for what is no regular file.
  private static func key(_ header: PackedHeader, _ input: PackedInput) -> String? {
    guard let identity = input.identity else { return nil }
    return hexadecimal(SHA256.hash(header.rootHash + Array(identity.utf8)))
  }

  func path(_ key: String, _ suffix: String) -> String { "\(folder)/\(key)\(suffix)" }

  /// The container at `path`, if it is there, is the one that `header` is of, and passes `check`.
  ///
  /// - Parameters:
  ///   - use: its lock.
  ///   - refused: the identity of a file that did not pass, which is not checked again.
  private func sound(
    _ path: String, _ header: PackedHeader, _ use: CacheLock, _ pool: WorkerPool,
    _ check: (Container) throws -> Void, _ refused: inout String?
  ) -> Container? {
    // One that is damaged, or leads elsewhere, will be replaced.
    guard FileSystem.isOwnFile(path),
      let container = try? Container.open(path: path, isInput: false),
      container.rootHash == header.rootHash, container.file.count == header.containerSize,
      container.file.identity != refused
    else { return nil }
    do {
      if use.note != container.file.identity {
        // Changed since, copied to here, or of a version that kept no note.
        let loop: Container.Loop = { count, body in
          pool.forEach(count: count) { piece, _ in body(piece) }
        }
        let defects = try container.verify(strict: false, loop: loop)
        if let first = defects.first { throw first }
        use.write(note: container.file.identity)
      }
      try check(container)
    } catch {
      refused = container.file.identity
      return nil
    }
    return container
  }

  func refusal(_ error: FileError, of input: PackedInput) -> TransportError {
    TransportError(path: input.name, place: .file, problem: .cache(error))
  }
}

extension ModelCache {
  /// Opens a container, or that of a packed file.
  ///
  /// - Parameters:
  ///   - cache: where a packed file is unpacked to; nil for nowhere.
  ///   - pool: threads that unpack.
  ///   - check: throws for a container that may not be used.
  /// - Throws: `ContainerError`, or `TransportError` of a packed file, or what `check` throws.
  package static func open(
    path: String, cache: ModelCache?, pool: WorkerPool,
    check: (Container) throws -> Void = { _ in }, report: (Event) -> Void = { _ in },
    progress: @escaping (_ done: Int, _ total: Int) -> Void = { _, _ in }
  ) throws -> Container {
    guard PackedInput.isPacked(path) else {
      let container = try Container.open(path: path)
      // It may have been packed when the caller looked.
      try check(container)
      return container
    }
    guard let cache else { throw TransportError(path: path, place: .file, problem: .noCache) }
    let input: PackedInput
    do throws(FileError) { input = try PackedInput(path: path) } catch {
      throw TransportError(error)
    }
    return try cache.open(input, pool: pool, check: check, report: report, progress: progress)
  }
}
