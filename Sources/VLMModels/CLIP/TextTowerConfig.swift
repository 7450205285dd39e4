import VLMFoundation
import VLMTensor

/// Geometry of CLIP's text transformer.
package struct TextTowerConfig: Sendable, Equatable {
  package var vocabulary: Int
  /// Tokens of a text, end included; shorter ones are filled up with zeros.
  package var contextLength: Int
  package var encoder: TransformerConfig
  /// Width of the joint embedding.
  package var embedding: Int
  package var layout = CLIPLayout.openCLIP
  /// The token whose feature is the text's, the first of them; nil for the largest id.
  package var endToken: Int?
  /// Whether a token sees only itself and those before it. Where it does not, it sees what fills a
  /// short text up, too.
  package var isCausal = true

  package init(
    vocabulary: Int, contextLength: Int, encoder: TransformerConfig, embedding: Int
  ) {
    self.vocabulary = vocabulary
    self.contextLength = contextLength
    self.encoder = encoder
    self.embedding = embedding
  }

  package func validate() throws(ModelError) {
    try encoder.validate("text.encoder")
    try ModelError.check("text.vocabulary", vocabulary, 1...(1 << 24))
    try ModelError.check("text.context_length", contextLength, 1...(1 << 16))
    try ModelError.check("text.embedding", embedding, 1...TensorFormat.maximumInputs)
    if let endToken { try ModelError.check("text.end_token", endToken, 0...vocabulary - 1) }
  }

  package var json: JSONValue {
    var object = JSONObject()
    object.set("vocabulary", .int(vocabulary))
    object.set("context_length", .int(contextLength))
    object.set("encoder", encoder.json)
    object.set("embedding", .int(embedding))
    // Files from before there were these have none of them.
    if layout != .openCLIP { object.set("layout", .string(layout.rawValue)) }
    if let endToken { object.set("end_token", .int(endToken)) }
    if !isCausal { object.set("causal", false) }
    return .object(object)
  }

  package init(json: JSONValue) throws(ModelError) {
    let fields = ConfigFields(json, path: "text")
    vocabulary = try fields.int("vocabulary")
    contextLength = try fields.int("context_length")
    encoder = try TransformerConfig(try fields.object("encoder"))
    embedding = try fields.int("embedding")
    layout = try fields.layout(default: .openCLIP)
    if fields.has("end_token") { endToken = try fields.int("end_token") }
    isCausal = try fields.bool("causal", default: true)
    try validate()
  }
}
