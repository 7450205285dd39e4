import VLMTensor

#if canImport(Glibc)
  import Glibc
#endif

/// Whole image files in memory. They are read, not mapped: a mapping of a file that is cut short
/// meanwhile would end the process.
enum ImageFile {
  /// - Parameter path: a regular file, or `-` for standard input, which may be a pipe.
  static func read(path: String, limit: Int) throws(ImageError) -> [UInt8] {
    if path == "-" {
      return try read(descriptor: STDIN_FILENO, name: "standard input", expected: 0, limit: limit)
    }
    func failure(_ problem: FileError.Problem) -> ImageError {
      ImageError(name: path, problem: .file(FileError(path: path, problem: problem)))
    }
    // Non-blocking, so that a pipe nobody writes to is refused instead of waited for.
    let descriptor = FileSystem.open(path, O_RDONLY | O_NONBLOCK)
    guard descriptor >= 0 else { throw failure(.call("open", errno: errno)) }
    defer { close(descriptor) }
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { throw failure(.call("fstat", errno: errno)) }
    guard status.st_mode & S_IFMT == S_IFREG else {
      throw failure(.notRegular(kind(status.st_mode)))
    }
    InputFiles.add(status, path: path)
    let size = Int(status.st_size)
    let bytes = try read(descriptor: descriptor, name: path, expected: size, limit: limit)
    guard bytes.count == size else { throw failure(.changed) }
    return bytes
  }

  private static func kind(_ mode: mode_t) -> String {
    switch mode & S_IFMT {
    case S_IFDIR: "directory"
    case S_IFIFO: "pipe"
    case S_IFSOCK: "socket"
    case S_IFCHR, S_IFBLK: "device"
    default: "special file"
    }
  }

  /// Reads to the end, or until there is more than `limit`.
  static func read(
    descriptor: Int32, name: String, expected: Int, limit: Int
  ) throws(ImageError) -> [UInt8] {
    guard expected <= limit else {
      throw ImageError(name: name, problem: .fileTooLarge(limit: limit))
    }
    try PixelMemory.check(bytes: expected, for: name)
    var bytes: [UInt8] = []
    bytes.reserveCapacity(expected)
    var block = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let count = block.withUnsafeMutableBytes { Glibc.read(descriptor, $0.baseAddress, $0.count) }
      if count == 0 { return bytes }
      if count < 0 {
        if errno == EINTR { continue }
        throw ImageError(
          name: name,
          problem: .file(FileError(path: name, problem: .call("read", errno: errno))))
      }
      guard bytes.count + count <= limit else {
        throw ImageError(name: name, problem: .fileTooLarge(limit: limit))
      }
      bytes.append(contentsOf: block[..<count])
    }
  }
}
