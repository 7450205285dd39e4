import Synchronization

#if canImport(Glibc)
  import Glibc
#endif

/// The files that a command reads, so that none of its outputs takes the place of one: files, not
/// names, whatever links lead to them.
package enum InputFiles {
  private struct Identity: Hashable, Sendable {
    let device: UInt64
    let inode: UInt64

    init(_ status: stat) {
      device = UInt64(status.st_dev)
      inode = UInt64(status.st_ino)
    }
  }

  /// The path that each was read by; nil where nobody wants to know.
  private static let paths = Mutex<[Identity: String]?>(nil)

  /// From now on remembers what is read, as a command does. Whoever uses the library may well write
  /// over what it has read.
  package static func remember() { paths.withLock { $0 = $0 ?? [:] } }

  /// Notes a file that will be read, where it is there.
  package static func add(path: String) {
    guard let status = FileSystem.status(path) else { return }
    add(status, path: path)
  }

  /// Notes a file that is open.
  package static func add(_ status: stat, path: String) {
    paths.withLock { paths in
      guard paths?[Identity(status)] == nil else { return }
      paths?[Identity(status)] = path
    }
  }

  /// The path by which a file was read; nil for one that was not.
  static func path(of status: stat) -> String? {
    paths.withLock { $0?[Identity(status)] }
  }
}
