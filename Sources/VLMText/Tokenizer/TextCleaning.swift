/// What is done to a whole text before its tokenizer sees it.
package enum TextCleaning: Sendable, Equatable, CaseIterable {
  case none
  /// Canonical, in lower case or as it is: transformers' `SiglipTokenizer`.
  case canonical
  case canonicalCased
  /// open_clip's `clean` of this name: "canonicalize", "lower" and "whitespace".
  case openCLIPCanonical
  case openCLIPLower
  case openCLIPSpaces

  /// In their order.
  var steps: [TextNormalization] {
    switch self {
    case .none: []
    case .canonical: [.canonical]
    case .canonicalCased: [.canonicalCased]
    case .openCLIPCanonical: [.repairedLines, .canonical, .strippedLeft]
    case .openCLIPLower: [.repaired, .spaced, .strippedLeft, .lowercased]
    case .openCLIPSpaces: [.repaired, .spaced, .strippedLeft]
    }
  }
}
