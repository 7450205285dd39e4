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
    try validate()
  }
}

/// Geometry of a CLIP: a tower for images and one for texts, which meet in one space.
package struct OpenCLIPConfig: Sendable, Equatable {
  package enum ImageTower: Sendable, Equatable {
    case convNeXt(ConvNeXtConfig)
    case clipViT(CLIPViTConfig)
  }

  package var image: ImageTower
  package var text: TextTowerConfig

  package init(image: ImageTower, text: TextTowerConfig) {
    self.image = image
    self.text = text
  }

  /// Width of the image's embedding; nil for a tower that gives none.
  private var embedding: Int? {
    switch image {
    case .convNeXt(let config):
      config.head.output.flatMap { $0.meaning == .embedding ? $0.count : nil }
    case .clipViT(let config): config.projection
    }
  }

  /// Refuses towers that do not meet in one space.
  package func validate() throws(ModelError) {
    switch image {
    case .convNeXt(let config): try config.validate()
    case .clipViT(let config): try config.validate("image")
    }
    try text.validate()
    guard embedding == text.embedding else {
      throw ModelError(
        .configuration(
          field: "text.embedding", found: "\(text.embedding)",
          expected: "\(embedding ?? 0), the width of the image's embedding"))
    }
  }

  package var json: JSONValue {
    switch image {
    case .convNeXt(let config): ["image": config.json, "text": text.json]
    case .clipViT(let config): ["image_vit": config.json, "text": text.json]
    }
  }

  package init(json: JSONValue) throws(ModelError) {
    if let vit = json["image_vit"] {
      image = .clipViT(try CLIPViTConfig(json: vit, path: "image_vit"))
    } else {
      image = .convNeXt(try ConvNeXtConfig(json: json["image"] ?? .null))
    }
    text = try TextTowerConfig(json: json["text"] ?? .null)
    try validate()
  }
}
