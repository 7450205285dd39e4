import VLMFoundation
import VLMText

/// What an answer must be. Each token is chosen among those with which it can still become that, so
/// that an answer that ends by itself always is.
public enum AnswerFormat: Sendable, Hashable {
  /// Any text.
  case text
  /// A JSON object.
  case jsonObject
  /// JSON that is valid for this schema, a text of JSON Schema draft 2020-12. Keywords that cannot be
  /// kept are refused.
  case jsonSchema(String)
  /// A text of this grammar in GBNF, the notation of llama.cpp.
  case grammar(String)

  /// Reads the schema or grammar, as asking does.
  ///
  /// - Throws: `VLMZError` with `.invalidArgument`, and a line and column or a JSON pointer.
  public func validate() throws(VLMZError) {
    do { _ = try compiled() } catch { throw VLMZError(.invalidArgument, error.description) }
  }

  /// - Parameter name: the file that it came from, for messages; nil for none.
  /// - Returns: nil for any text.
  package func compiled(name: String? = nil) throws(TextError) -> Grammar? {
    switch self {
    case .text: nil
    case .jsonObject: try .jsonObject()
    case .jsonSchema(let schema):
      try Grammar(jsonSchema: Array(schema.utf8), file: name ?? "schema")
    case .grammar(let source): try Grammar(gbnf: source, file: name ?? "grammar")
    }
  }
}
