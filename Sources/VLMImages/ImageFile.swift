import VLMFoundation

#if canImport(Glibc)
  import Glibc
#endif

/// Reads whole image files into memory. They are not mapped, because truncating a mapped file would
/// crash the process.
enum ImageFile {
  /// - Parameter path: a regular file, or `-` for standard input, which may be a pipe.
  static func read(path: String, limits: ImageLimits) throws(ImageError) -> PixelBuffer {
    if path == "-" {
      return try read(descriptor: STDIN_FILENO, name: "standard input", expected: 0, limits: limits)
    }
    func failure(_ problem: FileError.Problem) -> ImageError {
      ImageError(name: path, problem: .file(FileError(path: path, problem: problem)))
    }
    // Non-blocking, so that a pipe without a writer is refused instead of waited for.
    let descriptor = FileSystem.open(path, O_RDONLY | O_NONBLOCK)
    guard descriptor >= 0 else { throw failure(.call("open", errno: errno)) }
    defer { close(descriptor) }
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { throw failure(.call("fstat", errno: errno)) }
    if let kind = FileSystem.irregularKind(status) { throw failure(.notRegular(kind)) }
    InputFiles.add(status, path: path)
    let size = Int(status.st_size)
    let file = try read(descriptor: descriptor, name: path, expected: size, limits: limits)
    guard file.bytes.count == size else { throw failure(.changed) }
    return file
  }

  /// Reads to the end, or until the limit is exceeded.
  static func read(
    descriptor: Int32, name: String, expected: Int, limits: ImageLimits
  ) throws(ImageError) -> PixelBuffer {
    let limit = limits.maximumFileBytes
    guard expected <= limit else {
      throw ImageError(name: name, problem: .fileTooLarge(limit: limit))
    }
    try limits.require(memory: expected, for: name)
    // One extra byte reveals whether the file has grown.
    var file = try PixelBuffer(byteCount: max(expected + 1, 1 << 16), for: name)
    var filled = 0
    while true {
      if filled == file.bytes.count {
        try limits.require(memory: 2 * filled, for: name)
        let larger = try PixelBuffer(byteCount: min(2 * filled, limit + 1), for: name)
        larger.bytes.copyMemory(from: UnsafeRawBufferPointer(file.bytes))
        file = larger
      }
      let rest = file.bytes[filled...]
      let count = Glibc.read(
        descriptor, UnsafeMutableRawBufferPointer(rebasing: rest).baseAddress, rest.count)
      if count < 0 {
        if errno == EINTR { continue }
        throw ImageError(
          name: name,
          problem: .file(FileError(path: name, problem: .call("read", errno: errno))))
      }
      filled += count
      guard filled <= limit else {
        throw ImageError(name: name, problem: .fileTooLarge(limit: limit))
      }
      if count == 0 {
        file.shrink(to: filled)
        return file
      }
    }
  }
}
