import VLMFoundation

/// Reads from TorchScript code which attributes of a class are parameters and buffers. A module's
/// other tensors are temporary values, not part of its state.
struct TorchScriptCode {
  /// Maximum bytes examined per source file.
  private static let maximumBytes = 4 << 20

  private let archive: ZipArchive
  private let root: String
  private let cache = Cache()

  private final class Cache {
    var classes: [String: [String: Set<String>]] = [:]
    var bytesLeft: Int = TorchScriptCode.maximumBytes * 16
  }

  init(_ archive: ZipArchive, root: String) {
    self.archive = archive
    self.root = root
  }

  /// Nil if the code is absent or declares no parameters or buffers.
  func attributes(_ type: PickleGlobal) -> Set<String>? {
    if let classes = cache.classes[type.module] { return classes[type.name] }
    let path = root + "code/" + type.module.split(separator: ".").joined(separator: "/") + ".py"
    var classes: [String: Set<String>] = [:]
    if let entry = archive[path], entry.count <= min(Self.maximumBytes, cache.bytesLeft),
      let text = try? entry.inflated(archive.file, verifies: false)
    {
      cache.bytesLeft -= entry.count
      classes = Self.parse(text)
    }
    cache.classes[type.module] = classes
    return classes[type.name]
  }

  /// Class → the names in its `__parameters__` and `__buffers__`.
  private static func parse(_ text: [UInt8]) -> [String: Set<String>] {
    var classes: [String: Set<String>] = [:]
    var current: String?
    for line in text.split(separator: 0x0a) {
      let line = String(decoding: line, as: UTF8.self)
      if line.hasPrefix("class ") {
        current = String(line.dropFirst(6).prefix { $0 != "(" && $0 != ":" })
      } else if let name = current,
        line.hasPrefix("  __parameters__ = [") || line.hasPrefix("  __buffers__ = [")
      {
        // ["weight", "bias", ]
        let quoted = line.split(separator: "\"", omittingEmptySubsequences: false)
        let names = quoted.indices.filter { $0 % 2 == 1 }.map { String(quoted[$0]) }
        classes[name, default: []].formUnion(names)
      }
    }
    return classes
  }
}
