import VLMFoundation

#if canImport(Glibc)
  import Glibc
#endif

/// Recognises image files in a folder.
package enum ImageFileDetection {
  /// Usual extensions of image files, including formats that an optional library decodes.
  private static let endings = [
    "png", "apng", "jpg", "jpeg", "jpe", "jfif", "webp", "gif", "bmp", "dib", "pbm", "pgm", "ppm",
    "pnm", "tif", "tiff", "heic", "heif", "hif", "avif",
  ]

  /// Whether a file's name has the extension of an image format.
  package static func hasImageExtension(_ path: String) -> Bool {
    guard let dot = path.utf8.lastIndex(of: UInt8(ascii: ".")) else { return false }
    let ending = path.utf8[path.utf8.index(after: dot)...]
    return ending.count <= 4
      && endings.contains(String(decoding: ending, as: UTF8.self).lowercased())
  }

  /// Whether a regular file begins with the signature of a supported image format.
  package static func hasImageSignature(_ path: String) -> Bool {
    let descriptor = FileSystem.open(path, O_RDONLY | O_NONBLOCK)
    guard descriptor >= 0 else { return false }
    defer { close(descriptor) }
    var bytes = [UInt8](repeating: 0, count: 64)
    let count = bytes.withUnsafeMutableBytes { read(descriptor, $0.baseAddress, $0.count) }
    guard count > 0 else { return false }
    return bytes.withUnsafeBytes { buffer in
      let head = UnsafeRawBufferPointer(rebasing: buffer[..<count])
      return (try? ImageSignature.format(of: head, name: path)) != nil
    }
  }
}
