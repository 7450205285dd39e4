#if canImport(Glibc)
  import Glibc
#endif

/// What identifies a file's content without reading it.
struct FileStamp: Sendable {
  let device: UInt64
  let inode: UInt64
  let size: Int64
  let modifiedSeconds: Int
  let modifiedNanoseconds: Int
  /// When anything about the file changed last: unlike the time before, nobody can set it.
  private let changed: [Int]
  /// What is about the file and not in it.
  private let attributes: [UInt64]

  init(_ status: stat) {
    device = UInt64(status.st_dev)
    inode = UInt64(status.st_ino)
    size = Int64(status.st_size)
    modifiedSeconds = Int(status.st_mtim.tv_sec)
    modifiedNanoseconds = Int(status.st_mtim.tv_nsec)
    changed = [Int(status.st_ctim.tv_sec), Int(status.st_ctim.tv_nsec)]
    attributes = [
      UInt64(status.st_mode), UInt64(status.st_nlink), UInt64(status.st_uid),
      UInt64(status.st_gid),
    ]
  }

  /// Tells the file, as it was, from any other and from its later self.
  var text: String { "\(device):\(inode):\(size):\(modifiedSeconds).\(modifiedNanoseconds)" }

  /// Whether the file may have another content by now.
  ///
  /// - Parameter isInPlace: whether it still has its path; a file that was moved is the same.
  func isOfChanged(_ status: stat, isInPlace: () -> Bool) -> Bool {
    let now = FileStamp(status)
    guard now.device == device, now.inode == inode, now.size == size,
      now.modifiedSeconds == modifiedSeconds, now.modifiedNanoseconds == modifiedNanoseconds
    else { return true }
    return now.changed != changed && now.attributes == attributes && isInPlace()
  }

  static func irregularKind(at path: String) -> String? {
    FileSystem.status(path).flatMap { irregularKind($0) }
  }

  /// "directory", "pipe" …, or nil for a regular file.
  static func irregularKind(_ status: stat) -> String? {
    switch status.st_mode & S_IFMT {
    case S_IFREG: nil
    case S_IFDIR: "directory"
    case S_IFIFO: "pipe"
    case S_IFSOCK: "socket"
    case S_IFCHR, S_IFBLK: "device"
    default: "special file"
    }
  }
}
