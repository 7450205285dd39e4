import VLMFoundation

#if canImport(Glibc)
  import Glibc
#endif

/// The folder of a cache, and what is removed from it.
extension ModelCache {
  /// Makes the folder and those that it is in, for nobody else to see.
  ///
  /// - Throws: `TransportError`, also where others could exchange what is in the folder.
  func makeFolder(for input: PackedInput) throws(TransportError) {
    var made = folder.hasPrefix("/") ? "" : "."
    for part in folder.split(separator: "/") {
      made += "/" + part
      if FileSystem.isFolder(made) { continue }
      let code = made.withFileName { mkdir($0, 0o700) == 0 ? 0 : errno }
      // Another process may have made it meanwhile.
      guard code == 0 || FileSystem.isFolder(made) else {
        throw refusal(FileError(path: made, problem: .call("mkdir", errno: code)), of: input)
      }
    }
    guard let status = FileSystem.status(folder) else {
      throw refusal(FileError(path: folder, problem: .call("open", errno: errno)), of: input)
    }
    func fail(_ problem: TransportError.Problem) -> TransportError {
      TransportError(path: input.name, place: .file, problem: problem)
    }
    guard status.st_uid == geteuid() else { throw fail(.foreignCache(folder: folder)) }
    guard status.st_mode & (S_IWGRP | S_IWOTH) == 0 else {
      throw fail(.writableCache(folder: folder))
    }
  }

  /// What there is of a key.
  private struct Entry {
    let key: String
    /// Bytes of the container; nil where there is none.
    var bytes: Int?
    /// Whether there is an output that was not finished.
    var hasRests = false
    /// Nanoseconds since 1970.
    var lastUse = 0
  }

  private static let keyDigits = 64

  /// Removes the containers that were not opened for longest, until all fit together with one of
  /// `bytes`, and what was left by processes that were killed. What is in use stays, even if the limit
  /// is passed.
  func makeRoom(for bytes: Int, besides key: String) {
    let entries = entries().filter { $0.key != key }
    var total = entries.reduce(bytes) { $0 + ($1.bytes ?? 0) }
    for entry in entries.sorted(by: { ($0.lastUse, $0.key) < ($1.lastUse, $1.key) }) {
      if total > limit || entry.bytes == nil, remove(entry.key) {
        total -= entry.bytes ?? 0
      } else if entry.hasRests {
        removeAbandonedRests(of: entry.key)
      }
    }
  }

  /// Removes all of an entry.
  ///
  /// - Returns: false where it is in use, or being unpacked.
  private func remove(_ key: String) -> Bool {
    let lock = try? CacheLock.unused(path(key, Self.lockSuffix))
    guard let lock else { return false }
    defer { withExtendedLifetime(lock) {} }
    removeRests(of: key)
    for suffix in [Self.modelSuffix, Self.unpackSuffix, Self.lockSuffix] {
      FileSystem.unlink(path(key, suffix))
    }
    return true
  }

  /// Removes unfinished outputs of an entry unless a process is unpacking it.
  private func removeAbandonedRests(of key: String) {
    let lock = try? CacheLock.unused(path(key, Self.unpackSuffix))
    guard let lock else { return }
    defer { withExtendedLifetime(lock) {} }
    removeRests(of: key)
  }

  /// Removes unfinished outputs of an entry one of whose locks is held: nobody is writing them.
  func removeRests(of key: String) {
    for name in FileSystem.names(in: folder) ?? [] where Self.isRest(name, of: key) {
      FileSystem.unlink("\(folder)/\(name)")
    }
  }

  /// Whether a name is one that `OutputFile` gives an unfinished output.
  private static func isRest(_ name: String, of key: String) -> Bool {
    AbandonedOutputs.isRest(name, of: key + modelSuffix)
  }

  private func entries() -> [Entry] {
    var entries: [String: Entry] = [:]
    for name in FileSystem.names(in: folder) ?? [] {
      let key = String((name.hasPrefix(".") ? name.dropFirst() : name[...]).prefix(Self.keyDigits))
      guard Self.isKey(key) else { continue }
      var entry = entries[key] ?? Entry(key: key)
      if Self.isRest(name, of: key) {
        entry.hasRests = true
      } else if name == key + Self.modelSuffix {
        // Of a link itself, which is removed as it is.
        guard let status = FileSystem.status("\(folder)/\(name)", followsLinks: false) else {
          continue
        }
        entry.bytes = Int(status.st_size)
        entry.lastUse = lastUse(of: key) ?? Self.modification(status)
      } else if name != key + Self.lockSuffix, name != key + Self.unpackSuffix {
        continue
      }
      entries[key] = entry
    }
    return Array(entries.values)
  }

  private func lastUse(of key: String) -> Int? {
    FileSystem.status(path(key, Self.lockSuffix), followsLinks: false).map(Self.modification)
  }

  private static func modification(_ status: stat) -> Int {
    Int(status.st_mtim.tv_sec) * 1_000_000_000 + Int(status.st_mtim.tv_nsec)
  }

  private static func isKey(_ text: String) -> Bool {
    text.utf8.count == keyDigits && text.utf8.allSatisfy { "0123456789abcdef".utf8.contains($0) }
  }
}
