#if canImport(Glibc)
  import Glibc
#endif

/// Where an output goes, once nothing there forbids it.
struct OutputDestination {
  /// The path without links at its end: the file there is replaced, links to it stay.
  let path: String
  /// What is known of the file that will be replaced.
  let replaced: stat?

  /// Links that are followed, as many as the system does.
  private static let maximumLinks = 40

  /// - Parameter overwrite: whether a file may be replaced.
  /// - Throws: `FileError` for a file that is there and may not be replaced, for anything that is no
  ///   regular file, for a file that this process reads, and for one that a standard stream goes to.
  init(_ path: String, overwrite: Bool) throws(FileError) {
    func refusal(_ problem: FileError.Problem) -> FileError {
      FileError(path: path, problem: problem)
    }
    if path.splitAtLastSlash.name.isEmpty, path.utf8.last != UInt8(ascii: "/") {
      throw refusal(.call("create", errno: ENOENT))
    }
    guard let place = Self.place(of: path) else { throw refusal(.call("create", errno: ELOOP)) }
    self.path = place
    replaced = FileSystem.status(path)
    guard let replaced else { return }
    if let kind = FileStamp.irregularKind(replaced) { throw refusal(.notReplaceable(kind)) }
    // The links in /proc lead to files that may have another name, or none.
    guard let named = FileSystem.status(place, followsLinks: false),
      Self.isSame(named, replaced)
    else { throw refusal(.notReplaceable("link to a file that is open elsewhere")) }
    for (descriptor, stream) in Self.streams {
      var status = stat()
      if fstat(descriptor, &status) == 0, Self.isSame(status, replaced) {
        throw refusal(.standardStream(stream))
      }
    }
    if let input = InputFiles.path(of: replaced) { throw refusal(.sameFile(as: input)) }
    if !overwrite { throw refusal(.exists) }
  }

  private static let streams = [
    (STDIN_FILENO, "standard input"), (STDOUT_FILENO, "standard output"),
    (STDERR_FILENO, "standard error"),
  ]

  private static func isSame(_ a: stat, _ b: stat) -> Bool {
    a.st_dev == b.st_dev && a.st_ino == b.st_ino
  }

  /// What `path` leads to; nil for links that lead to each other.
  static func place(of path: String) -> String? {
    var place = path
    for _ in 0..<maximumLinks {
      guard let target = FileSystem.target(ofLink: place) else { return place }
      let isAbsolute = target.utf8.first == UInt8(ascii: "/")
      place = isAbsolute ? target : place.splitAtLastSlash.folder + target
    }
    return nil
  }
}
