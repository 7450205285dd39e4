/// What names say of the order of a head's layers. Where shapes leave a choice nothing else tells one
/// head of several layers from several heads.
extension HeadModule {
  /// Names that layers have before others, and that the last one has.
  private static let early: Set<String> = [
    "hidden", "hidden_layer", "pre_logits", "dense", "bottleneck", "input", "in_proj", "proj_in",
    "fc_in", "linear_in", "c_fc",
  ]
  private static let late: Set<String> = [
    "fc", "head", "classifier", "cls", "logits", "linear", "out", "output", "out_proj", "proj_out",
    "fc_out", "linear_out", "c_proj", "last", "final",
  ]
  /// Ends of names whose numbers count heads, and of lists of heads.
  private static let heads = [
    "head", "classifier", "branch", "task", "out", "output", "expert", "cls", "logits",
  ]
  private static let lists = [
    "heads", "classifiers", "branches", "tasks", "outs", "outputs", "experts",
  ]

  /// Whether its name says that it stands before `other` in one sequence.
  func precedes(_ other: HeadModule) -> Bool {
    let index = zip(path, other.path).prefix { $0 == $1 }.count
    guard index < min(path.count, other.path.count) else { return false }
    let (a, b) = (path[index], other.path[index])
    if let first = Int(a), let second = Int(b) {
      let list = index > 0 ? path[index - 1].lowercased() : ""
      // Without room for an activation between them these are a `ModuleList`.
      let isList = Self.lists.contains { list.hasSuffix($0) }
      return first < second && !(isList && first + 1 == second)
    }
    let (first, second) = (Self.numbered(a), Self.numbered(b))
    let counts = !Self.heads.contains { first.stem.hasSuffix($0) }
    if first.stem == second.stem { return counts && first.number < second.number }
    let isEarly = Self.early.contains(first.stem) || counts && first.number >= 0
    return isEarly && Self.late.contains(second.stem) && second.number < 0
  }

  /// "fc_2" as "fc" and 2; -1 for a name without a number.
  private static func numbered(_ part: Substring) -> (stem: String, number: Int) {
    let name = part.lowercased()
    let digits = name.reversed().prefix { $0.isASCII && $0.isNumber }.count
    var stem = name.dropLast(digits)
    if digits > 0, stem.last == "_" { stem = stem.dropLast() }
    return (String(stem), Int(name.suffix(digits)) ?? -1)
  }
}
