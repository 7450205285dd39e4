/// Recognises what people pass by mistake, so that the message can name it.
enum ForeignFile {
  /// Nil when the bytes could be a container's, or are nothing known.
  static func problem(_ file: UnsafeRawBufferPointer) -> ContainerError.Problem? {
    if file.starts(with: Format.magic) { return nil }
    if isMangled(file) { return .mangled }
    return kind(file).map { .foreign($0) }
  }

  /// The name follows a first byte that was changed, or the line ends after it were.
  private static func isMangled(_ file: UnsafeRawBufferPointer) -> Bool {
    let name = Array("VLMZ".utf8)
    guard file.count >= Format.magic.count else { return false }
    for start in 0...3 {
      if file[start..<start + 4].elementsEqual(name) { return true }
    }
    return false
  }

  private static func kind(_ file: UnsafeRawBufferPointer) -> String? {
    func begins(_ bytes: [UInt8]) -> Bool { file.starts(with: bytes) }
    func begins(_ text: String) -> Bool { file.starts(with: text.utf8) }
    if begins("GGUF") { return "a GGUF file" }
    if begins("PK\u{3}\u{4}") { return "a zip archive (a PyTorch checkpoint?)" }
    if begins([0x89, 0x50, 0x4e, 0x47]) { return "a PNG image" }
    if begins([0xff, 0xd8, 0xff]) { return "a JPEG image" }
    if begins([0x1f, 0x8b]) { return "gzip data" }
    if begins([0x28, 0xb5, 0x2f, 0xfd]) { return "a zstd frame" }
    if begins("version https://git-lfs") { return "a Git LFS pointer, not the file itself" }
    if begins("<!DOCTYPE") || begins("<!doctype") || begins("<html") { return "an HTML page" }
    if file.count > 1, file[0] == 0x80, (2...5).contains(file[1]) { return "a Python pickle" }
    if file.count > 9, file[8] == UInt8(ascii: "{"), file.little(0, as: UInt64.self) < 100_000_001 {
      return "a safetensors file"
    }
    if begins("{") { return "a JSON file" }
    return nil
  }
}
