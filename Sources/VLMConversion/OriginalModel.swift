import VLMCheckpoint
import VLMFoundation

/// The model that a quantized or otherwise derived one was made of, as its files name it.
enum OriginalModel {
  /// Bytes of a model's card that are looked at: its head is a few hundred.
  private static let maximumCardBytes = 64 << 10

  /// - Parameters:
  ///   - description: `config.json`, whose `_name_or_path` is the model that was loaded.
  ///   - folder: with the model's card, `README.md`, which states `base_model`.
  /// - Returns: "organisation/name"; nil where nothing of the kind is said.
  static func name(_ description: JSONValue?, folder: String) -> String? {
    let stated = description?["_name_or_path"]?.stringValue
    return [base(inCard: folder + "/README.md"), stated].compactMap { $0 }.first(where: isPublished)
  }

  /// Whether a name is a model's on the Hub: others are folders of whoever made it.
  private static func isPublished(_ name: String) -> Bool {
    name.utf8.count <= 200 && !name.hasPrefix("http") && CheckpointPath.download(name) != nil
  }

  /// `base_model` of the YAML at a card's head: a name, or a list of which the first counts.
  private static func base(inCard path: String) -> String? {
    guard FileSystem.exists(path), let file = try? MappedFile(path: path) else { return nil }
    let text = file.withBytes(0..<min(file.count, maximumCardBytes)) {
      String(decoding: $0, as: UTF8.self)
    }
    let lines = text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline)
    guard lines.first == "---" else { return nil }
    var isInside = false
    for line in lines.dropFirst().prefix(while: { $0 != "---" }) {
      if isInside { return value(line.drop { $0 == " " || $0 == "-" }) }
      guard let rest = String(line).dropping("base_model:") else { continue }
      if let name = value(rest[...]) { return name }
      isInside = true
    }
    return nil
  }

  private static func value(_ text: Substring) -> String? {
    let name = text.filter { !$0.isWhitespace && $0 != "\"" && $0 != "'" }
    return name.isEmpty ? nil : String(name)
  }
}
