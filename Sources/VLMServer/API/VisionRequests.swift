import VLMFoundation
import VLMZ

/// What is embedded: a text, or a picture.
package enum EmbeddingInput: Sendable {
  case text(String)
  case image(Image)
}

/// The body of `/v1/embeddings`.
package struct EmbeddingRequest: Sendable {
  package let inputs: [EmbeddingInput]
  /// Base64 of the little-endian f32, as OpenAI's clients ask for; otherwise an array of numbers.
  package let isBase64: Bool
  /// Numbers of an embedding that the client expects; nil for any.
  package let dimensions: Int?
  /// What a person should know of the pictures, one line each.
  package let notes: [String]

  /// - Throws: `APIError` naming the parameter that is wrong.
  package init(_ body: JSONValue, limits: ServerLimits) throws(APIError) {
    let fields = try Fields(body, at: "")
    try fields.refuseOthers(
      known: ["model", "input", "encoding_format", "dimensions"], ignored: ["user"])
    switch try fields.string("encoding_format") {
    case nil, "float": isBase64 = false
    case "base64": isBase64 = true
    case let other?:
      throw .invalid("encoding_format", found: "'\(other)'", expected: "float or base64")
    }
    dimensions = try fields.integer("dimensions", 1...Int.max)
    guard let value = fields["input"] else {
      throw .invalid("input", found: "none", expected: "texts, or pictures as data URIs")
    }
    let elements = value.arrayValue ?? [value]
    guard !elements.isEmpty, elements.count <= limits.inputs else {
      throw .invalid(
        "input", found: "\(elements.count) inputs", expected: "1 to \(limits.inputs)")
    }
    var inputs: [EmbeddingInput] = []
    var budget = PictureBudget(limits)
    for (index, element) in elements.enumerated() {
      let place = value.arrayValue == nil ? "input" : "input[\(index)]"
      let input = try VisionInput.any(element, at: place, limits: limits)
      if case .image(let image) = input { try budget.take(image, at: place) }
      inputs.append(input)
    }
    self.inputs = inputs
    notes = budget.notes
  }
}

/// The body of `/v1/classify`: pictures, and the classes of the model or those that are given.
package struct ClassifyRequest: Sendable {
  package let images: [Image]
  /// Classes of each picture, best first.
  package let top: Int
  /// Texts to choose from, for a model that reads texts; nil for the model's own classes.
  package let labels: [String]?
  /// What is said of a label, which stands for `{}`.
  package let templates: [String]
  /// What a person should know of the pictures, one line each.
  package let notes: [String]

  /// - Throws: `APIError` naming the parameter that is wrong.
  package init(_ body: JSONValue, limits: ServerLimits) throws(APIError) {
    let fields = try Fields(body, at: "")
    try fields.refuseOthers(
      known: ["model", "input", "top", "labels", "templates"], ignored: ["user"])
    guard let value = fields["input"] else {
      throw .invalid("input", found: "none", expected: "pictures as data URIs")
    }
    let elements = value.arrayValue ?? [value]
    guard !elements.isEmpty, elements.count <= limits.inputs else {
      throw .invalid(
        "input", found: "\(elements.count) pictures",
        expected: "1 to \(min(limits.inputs, max(1, limits.pictures)))")
    }
    var images: [Image] = []
    var budget = PictureBudget(limits)
    for (index, element) in elements.enumerated() {
      let place = value.arrayValue == nil ? "input" : "input[\(index)]"
      let image = try VisionInput.image(element, at: place, limits: limits)
      try budget.take(image, at: place)
      images.append(image)
    }
    self.images = images
    notes = budget.notes
    // One text would be one label, of which every picture is, whatever was meant.
    if let value = fields["labels"], value.stringValue != nil {
      throw fields.invalid("labels", value, expected: "an array of strings")
    }
    labels = try fields.strings("labels", atMost: 10_000)
    if labels?.isEmpty == true {
      throw .invalid(
        "labels", found: "an empty array", expected: "an array of one or more strings")
    }
    templates = try fields.strings("templates", atMost: 100) ?? []
    top = try fields.integer("top", 1...1_000_000) ?? (labels == nil ? 5 : labels?.count ?? 5)
    for text in (labels ?? []) + templates where text.utf8.count > limits.textBytes {
      throw .invalid(
        "labels", found: "\(text.utf8.count) bytes", expected: "at most \(limits.textBytes)")
    }
  }
}

/// The body of `/v1/explain`: one picture.
package struct ExplainRequest: Sendable {
  package let image: Image
  /// What a person should know of the picture, one line each.
  package let notes: [String]

  /// - Throws: `APIError` naming the parameter that is wrong.
  package init(_ body: JSONValue, limits: ServerLimits) throws(APIError) {
    let fields = try Fields(body, at: "")
    try fields.refuseOthers(known: ["model", "input"], ignored: ["user"])
    guard let value = fields["input"] else {
      throw .invalid("input", found: "none", expected: "a picture as a data URI")
    }
    image = try VisionInput.image(value, at: "input", limits: limits)
    var budget = PictureBudget(limits)
    try budget.take(image, at: "input")
    notes = budget.notes
  }
}

/// Elements of `input`.
enum VisionInput {
  static func any(
    _ value: JSONValue, at place: String, limits: ServerLimits
  ) throws(APIError) -> EmbeddingInput {
    if let text = value.stringValue, !DataURI.isOne(text) {
      guard !text.isEmpty, text.utf8.count <= limits.textBytes else {
        throw .invalid(
          place, found: "\(text.utf8.count) bytes", expected: "1 to \(limits.textBytes)")
      }
      return .text(text)
    }
    if value.intValue != nil || value.arrayValue != nil {
      throw .unsupported(place, "found ids of tokens, which mean nothing to this model; send texts")
    }
    if value["type"]?.stringValue == "text" {
      let fields = try Fields(value, at: place)
      try fields.refuseOthers(known: ["type", "text"])
      guard let text = try fields.string("text"), !text.isEmpty, text.utf8.count <= limits.textBytes
      else {
        throw .invalid(
          fields.name("text"), found: fields["text"].map { Fields.shown($0) } ?? "none",
          expected: "a string of 1 to \(limits.textBytes) bytes")
      }
      return .text(text)
    }
    return .image(try image(value, at: place, limits: limits))
  }

  /// A data URI, or a part of a chat's message with one.
  static func image(
    _ value: JSONValue, at place: String, limits: ServerLimits
  ) throws(APIError) -> Image {
    if let text = value.stringValue {
      return try DataURI.image(text, parameter: place, limits: limits)
    }
    let fields = try Fields(value, at: place)
    try fields.refuseOthers(known: ["type", "image_url"])
    let inner = fields["image_url"]
    guard let uri = inner?.stringValue ?? inner?["url"]?.stringValue else {
      throw .invalid(
        fields.name("image_url"), found: "none", expected: "a data URI, or an object with 'url'")
    }
    return try DataURI.image(uri, parameter: fields.name("image_url"), limits: limits)
  }
}
