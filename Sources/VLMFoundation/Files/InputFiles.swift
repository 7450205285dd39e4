import Synchronization

#if canImport(Glibc)
  import Glibc
#endif

/// The files that a command reads, so that no output replaces one. They are identified by device
/// and inode, so links to them count as well.
package enum InputFiles {
  private struct Identity: Hashable, Sendable {
    let device: UInt64
    let inode: UInt64

    init(_ status: stat) {
      device = UInt64(status.st_dev)
      inode = UInt64(status.st_ino)
    }
  }

  /// The path that each was opened by; nil while nothing is remembered.
  private static let paths = Mutex<[Identity: String]?>(nil)

  /// From now on remembers what is read, for the whole process. Only commands do this: a program that
  /// uses the library may well replace a file that it has read.
  package static func remember() { paths.withLock { $0 = $0 ?? [:] } }

  /// Notes a file that will be read, if it exists.
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

  /// The path by which a file was opened; nil for one that was not.
  static func path(of status: stat) -> String? {
    paths.withLock { $0?[Identity(status)] }
  }
}
