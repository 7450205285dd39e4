import VLMFoundation

/// What a note says, in a library's words.
extension Note {
  package func contains(_ text: String) -> Bool { description.contains(text) }
  package func hasPrefix(_ text: String) -> Bool { description.hasPrefix(text) }
  package func hasSuffix(_ text: String) -> Bool { description.hasSuffix(text) }
}
