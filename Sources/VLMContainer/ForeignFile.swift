import VLMFoundation

/// Recognises files of other formats, so that the error message can name them.
enum ForeignFile {
  /// Nil if the bytes may be a container's, or are not recognised.
  static func problem(_ file: UnsafeRawBufferPointer) -> ContainerError.Problem? {
    // A file that ends within the magic is a truncated container.
    if file.prefix(Format.magic.count).elementsEqual(Format.magic.prefix(file.count)) { return nil }
    if isMangled(file) { return .mangled }
    return kind(file).map { .foreign($0) }
  }

  /// Whether the first byte of the magic, or the line breaks after the name, were changed by a
  /// text-mode transfer.
  private static func isMangled(_ file: UnsafeRawBufferPointer) -> Bool {
    let name = Array("VLMZ".utf8)
    guard file.count >= Format.magic.count else { return false }
    for start in 0...3 {
      if file[start..<start + 4].elementsEqual(name) { return true }
    }
    return false
  }

  private static func kind(_ file: UnsafeRawBufferPointer) -> FileKind? {
    if let kind = FileKind.sniff(file) { return kind }
    // A plausible header length, then JSON.
    let isSafetensors =
      file.count > 9 && file[8] == UInt8(ascii: "{")
      && file.little(0, as: UInt64.self) <= 100_000_000
    return isSafetensors ? FileKind("a safetensors file") : nil
  }
}
