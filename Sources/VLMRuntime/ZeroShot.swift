#if canImport(Glibc)
  import Glibc
#endif

/// What an image is, said by texts: the likeness of embeddings of length 1.
package enum ZeroShot {
  /// Divided by its Euclidean norm, in f64.
  package static func normalised(_ values: [Float]) -> [Float] {
    let norm = values.reduce(0.0) { $0 + Double($1) * Double($1) }.squareRoot()
    return values.map { Float(Double($0) / max(norm, 1e-12)) }
  }

  /// One logit for each text: the cosine times the model's scale.
  ///
  /// - Precondition: all embeddings have one length.
  package static func logits(image: [Float], texts: [[Float]], scale: Float) -> [Float] {
    texts.map { text in
      precondition(text.count == image.count, "embeddings of one space")
      let dot = zip(image, text).reduce(0.0) { $0 + Double($1.0) * Double($1.1) }
      return Float(dot * Double(scale))
    }
  }

  /// The softmax of the logits, in f64.
  package static func probabilities(_ logits: [Float]) -> [Double] {
    let highest = Double(logits.max() ?? 0)
    let exponentials = logits.map { exp(Double($0) - highest) }
    let sum = exponentials.reduce(0, +)
    return exponentials.map { $0 / sum }
  }
}
