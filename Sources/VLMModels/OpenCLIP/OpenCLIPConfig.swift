import VLMKernels
import VLMNN
import VLMTensor

/// Geometry of open_clip's text transformer.
package struct TextTowerConfig: Sendable, Equatable {
  package var vocabulary: Int
  /// Tokens of a text, end included; shorter ones are filled up with zeros.
  package var contextLength: Int
  package var encoder: TransformerConfig
  /// Width of the joint embedding.
  package var embedding: Int

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
  }

  package var json: JSONValue {
    [
      "vocabulary": .int(vocabulary), "context_length": .int(contextLength),
      "encoder": encoder.json, "embedding": .int(embedding),
    ]
  }

  package init(json: JSONValue) throws(ModelError) {
    let fields = ConfigFields(json, path: "text")
    vocabulary = try fields.int("vocabulary")
    contextLength = try fields.int("context_length")
    encoder = try TransformerConfig(try fields.object("encoder"))
    embedding = try fields.int("embedding")
    try validate()
  }
}

/// Geometry of an open_clip model whose image tower is a ConvNeXt.
package struct OpenCLIPConfig: Sendable, Equatable {
  package var image: ConvNeXtConfig
  package var text: TextTowerConfig

  package init(image: ConvNeXtConfig, text: TextTowerConfig) {
    self.image = image
    self.text = text
  }

  /// Refuses towers that do not meet in one space.
  package func validate() throws(ModelError) {
    try image.validate()
    try text.validate()
    guard let output = image.head.output, output.meaning == .embedding,
      output.count == text.embedding
    else {
      throw ModelError(
        .configuration(
          field: "text.embedding", found: "\(text.embedding)",
          expected: "\(image.head.output?.count ?? 0), the width of the image's embedding"))
    }
  }

  package var json: JSONValue { ["image": image.json, "text": text.json] }

  package init(json: JSONValue) throws(ModelError) {
    image = try ConvNeXtConfig(json: json["image"] ?? .null)
    text = try TextTowerConfig(json: json["text"] ?? .null)
    try validate()
  }
}
