import VLMFoundation

/// Recognises what people pass by mistake, so that the message can name it.
enum ForeignFile {
  /// Nil when the bytes could be a container's, or are nothing known.
  static func problem(_ file: UnsafeRawBufferPointer) -> ContainerError.Problem? {
    // Also when the file ends within the magic: then it is a container cut short.
    if file.prefix(Format.magic.count).elementsEqual(Format.magic.prefix(file.count)) { return nil }
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
    if let kind = FileKind.sniff(file) { return kind }
    // A header length below the format's limit, then JSON.
    let isSafetensors =
      file.count > 9 && file[8] == UInt8(ascii: "{")
      && file.little(0, as: UInt64.self) <= 100_000_000
    return isSafetensors ? "a safetensors file" : nil
  }
}
