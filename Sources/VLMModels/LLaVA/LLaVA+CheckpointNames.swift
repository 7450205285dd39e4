/// The parts of a LLaVA that a checkpoint's tensors belong to. Ours are called "tower", "projector"
/// and "language".
package enum LLaVANaming {
  package enum Part: Equatable {
    /// Under this prefix, the tower's own name.
    case tower(prefix: String, name: String)
    /// Our name, "projector" included.
    case projector(String)
    /// What stands behind each row of tiles.
    case newline
    /// As a checkpoint of the language model alone calls it.
    case language(String)
  }

  /// Upstream wraps the tower twice: a module of this name in a module of this name.
  private static let towerPrefixes = [
    "model.vision_tower.vision_tower.", "model.vision_tower.", "vision_tower.vision_tower.",
  ]
  private static let newlineNames: Set<String> = ["model.image_newline", "image_newline"]
  private static let projectorPrefixes = ["model.mm_projector.", "mm_projector."]

  /// Whether `names` are those of a LLaVA of upstream's code: a projector says so.
  package static func detect(_ names: some Sequence<String>) -> Bool {
    names.contains { name in projectorPrefixes.contains { name.hasPrefix($0) } }
  }

  /// Whether a tensor belongs to a vision tower among the model's own tensors.
  package static func isTower(_ name: String) -> Bool {
    towerPrefixes.contains { name.hasPrefix($0) }
  }

  package static func part(_ name: String) -> Part {
    if let prefix = towerPrefixes.first(where: { name.hasPrefix($0) }) {
      return .tower(prefix: prefix, name: String(name.dropFirst(prefix.count)))
    }
    if let prefix = projectorPrefixes.first(where: { name.hasPrefix($0) }) {
      return .projector(projector(String(name.dropFirst(prefix.count))))
    }
    if newlineNames.contains(name) { return .newline }
    return .language(name)
  }

  /// A `Sequential` numbers its activations too: layers are 0, 2, 4 …, ours 0, 1, 2 ….
  private static func projector(_ name: String) -> String {
    let part = name.split(separator: ".", omittingEmptySubsequences: false)
    if part.count == 1 { return "projector.0.\(name)" }
    guard part.count == 2, let index = Int(part[0]), index >= 0, index % 2 == 0 else {
      return "projector.\(name)"
    }
    return "projector.\(index / 2).\(part[1])"
  }
}
