import VLMFoundation
import VLMModels

/// The class of transformers that `config.json` says the model is of.
enum StatedArchitecture {
  private static let families = Registry.families.map { $0.stated }
  private static let classes = families.reduce(into: Set<String>()) { $0.formUnion($1.classes) }
  private static let types = families.reduce(into: Set<String>()) { $0.formUnion($1.types) }

  /// What is said to an architecture that is not run.
  static let known: String = {
    let patterns = families.flatMap(\.patterns)
    return patterns.dropLast().joined(separator: ", ") + " and " + (patterns.last ?? "")
  }()

  /// The class, or else the model's type, where it is none that is run; nil where it is, or nothing
  /// is said.
  static func unknown(_ description: JSONValue?) -> String? {
    let names = (description?["architectures"]?.arrayValue ?? []).compactMap(\.stringValue)
    if let first = names.first { return classes.isDisjoint(with: names) ? first : nil }
    guard let type = description?["model_type"]?.stringValue else { return nil }
    return types.contains(type) ? nil : type
  }
}
