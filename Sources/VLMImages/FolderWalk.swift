import VLMFoundation

#if canImport(Glibc)
  import Glibc
#endif

/// The pictures in a folder and those within, each folder's by the bytes of their names.
///
/// Names that begin with a dot are left out, and what is no file. Links are followed, but into no
/// folder twice.
package struct FolderWalk {
  package let folder: String
  /// Files that are no pictures.
  package private(set) var others = 0
  /// Pictures, and folders that cannot be read.
  package private(set) var found = 0
  /// Of each folder on the way what is still to do, the next last.
  private var pending: [[String]] = []
  private var visited: Set<[UInt64]> = []

  package init(_ folder: String) {
    self.folder = folder
    pending = [[folder]]
  }

  /// The next picture's path, or why a folder cannot be read; nil at the end.
  package mutating func next() -> Result<String, FileError>? {
    while let path = pending.last?.last {
      pending[pending.count - 1].removeLast()
      defer { while pending.last?.isEmpty ?? false { pending.removeLast() } }
      let status = FileSystem.status(path)
      if let status, status.st_mode & S_IFMT == S_IFDIR {
        guard visited.insert([UInt64(status.st_dev), UInt64(status.st_ino)]).inserted else {
          continue
        }
        guard let names = Self.names(in: path) else {
          found += 1
          return .failure(FileError(path: path, problem: .call("open", errno: errno)))
        }
        let base = path.hasSuffix("/") ? path : path + "/"
        pending.append(names.map { base + $0 })
        continue
      }
      // A link to nothing is an error that is told, where its name says that it is a picture.
      guard status.map({ $0.st_mode & S_IFMT == S_IFREG }) ?? true else { continue }
      guard
        ImageFileDetection.hasImageExtension(path)
          || (status != nil && ImageFileDetection.hasImageSignature(path))
      else {
        others += 1
        continue
      }
      found += 1
      return .success(path)
    }
    return nil
  }

  /// The last first, hidden ones left out; nil for what cannot be read, with its `errno`.
  private static func names(in folder: String) -> [String]? {
    guard let names = FileSystem.names(in: folder)?.filter({ !$0.hasPrefix(".") }) else {
      return nil
    }
    return names.map { ($0, $0.fileNameBytes) }
      .sorted { $1.1.lexicographicallyPrecedes($0.1) }.map(\.0)
  }
}
