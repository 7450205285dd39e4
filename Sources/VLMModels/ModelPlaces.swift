/// The prefix of a known model's names in a training checkpoint, which may hold several models: the
/// trained one as `net`, its average, a teacher beside its student.
package struct ModelPlace: Sendable, Equatable {
  /// The common prefix of its tensors' names, which is no part of the model's own names; ends in a
  /// dot, or is empty.
  package let prefix: String
  /// Whether it is a LLaMA or a LLaVA.
  package let isLanguage: Bool

  /// Parts that a prefix may have at most.
  private static let maximumDepth = 6
  /// Tensors that a model has at least.
  private static let minimumTensors = 4

  /// Whether these are averaged weights, which are preferred, as timm does.
  package var isAveraged: Bool {
    prefix.split(separator: ".").contains { part in
      part == "ema" || part.hasPrefix("ema_") || part.hasSuffix("_ema")
        || ["averaged_model", "average_model", "avg_model", "swa_model", "swa"].contains(part)
    }
  }

  /// The places in the order of their first names; of nested places the outermost.
  package static func find(_ names: [String]) -> [ModelPlace] {
    var found: [(order: Int, place: ModelPlace)] = []
    var level: [(prefix: String, names: [Int])] = [("", Array(names.indices))]
    for _ in 0..<maximumDepth {
      var next: [(prefix: String, names: [Int])] = []
      for (prefix, members) in level where members.count >= minimumTensors {
        let length = prefix.utf8.count
        let inner = members.map { String(names[$0].utf8.dropFirst(length)) ?? "" }
        if let isLanguage = isLanguage(inner) {
          let place = ModelPlace(prefix: prefix, isLanguage: isLanguage)
          found.append((members[0], place))
          continue
        }
        var groups: [String: Int] = [:]
        for (member, name) in zip(members, inner) {
          guard let dot = name.firstIndex(of: ".") else { continue }
          let part = prefix + name[...dot]
          if let group = groups[part] {
            next[group].names.append(member)
          } else {
            groups[part] = next.count
            next.append((part, [member]))
          }
        }
      }
      level = next
    }
    return found.sorted { $0.order < $1.order }.map(\.place)
  }

  /// True for the names of a language model, false for those of an image model, nil for others.
  private static func isLanguage(_ names: [String]) -> Bool? {
    // A LLaVA has the names of an image model too.
    for isLanguage in [true, false] {
      for family in Registry.models where family.writesText == isLanguage {
        if family.isPresent(in: names) { return isLanguage }
      }
    }
    return nil
  }
}
