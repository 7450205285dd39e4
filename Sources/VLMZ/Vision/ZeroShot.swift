import VLMModels

/// What an image is, said by texts: the similarity of embeddings of length 1.
package enum ZeroShot {
  /// Divided by its Euclidean norm, in f64.
  package static func normalised(_ values: [Float]) -> [Float] {
    values.unitLength
  }

  /// The direction between embeddings of length 1, of length 1 itself.
  package static func mean(_ embeddings: ArraySlice<[Float]>) -> [Float] {
    var sum = [Double](repeating: 0, count: embeddings.first?.count ?? 0)
    for embedding in embeddings {
      for (index, value) in embedding.enumerated() { sum[index] += Double(value) }
    }
    return normalised(sum.map { Float($0 / Double(max(1, embeddings.count))) })
  }

  /// What a label stands for in a template.
  package static let placeholder = "{}"

  /// The templates with a label in their places.
  package static func fill(_ templates: [String], with label: String) -> [String] {
    templates.map { template in
      template.parts(between: placeholder).joined(separator: label)
    }
  }

  /// One logit for each text: the cosine times the model's scale, and its bias.
  ///
  /// - Precondition: all embeddings have one length.
  package static func logits(image: [Float], texts: [[Float]], scale: Float, bias: Float = 0)
    -> [Float]
  {
    texts.map { text in
      precondition(text.count == image.count, "embeddings of one space")
      let dot = zip(image, text).reduce(0.0) { $0 + Double($1.0) * Double($1.1) }
      return Float(dot * Double(scale) + Double(bias))
    }
  }
}
