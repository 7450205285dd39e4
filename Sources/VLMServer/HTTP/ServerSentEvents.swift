import VLMFoundation

/// The frames of `text/event-stream`, as OpenAI's clients read it: each event is one line of JSON, and
/// the last says `[DONE]`.
package enum ServerSentEvents {
  package static let type = "text/event-stream"
  /// The last event.
  package static let done = "data: [DONE]\n\n"

  /// An event; JSON on one line has no line break of its own.
  ///
  /// - Parameter name: its kind, where a client looks at that; nil for none.
  package static func event(_ value: JSONValue, name: String? = nil) -> String {
    (name.map { "event: \($0)\n" } ?? "") + "data: " + value.serialized() + "\n\n"
  }
}
