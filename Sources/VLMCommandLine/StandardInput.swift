import VLMTensor

#if canImport(Glibc)
  import Glibc
#endif

/// Standard input, read whole.
package enum StandardInput {
  /// - Throws: `FileError` when reading fails or more than `limit` bytes come.
  package static func read(limit: Int) throws(FileError) -> [UInt8] {
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let count = buffer.withUnsafeMutableBytes {
        Glibc.read(STDIN_FILENO, $0.baseAddress, $0.count)
      }
      if count < 0 {
        if errno == EINTR { continue }
        throw FileError(path: "standard input", problem: .call("read", errno: errno))
      }
      if count == 0 { return bytes }
      guard bytes.count + count <= limit else {
        throw FileError(path: "standard input", problem: .call("read", errno: EFBIG))
      }
      bytes += buffer[..<count]
    }
  }
}
