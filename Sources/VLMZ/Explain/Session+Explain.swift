import VLMFoundation
import VLMImages
import VLMModels

/// Drawings of what a model makes of a picture, for programs that show them.
extension Session {
  /// See `Explanation`.
  ///
  /// - Returns: a PNG file.
  /// - Throws: as `embed(_:)`.
  package func explain(_ image: Image) async throws(VLMZError) -> [UInt8] {
    let flag = CancellationFlag()
    return try await Background.run(flag) {
      try self.enter(.embedsImages, "looks at pictures", flag) { vision in
        let steps = vision.preprocessing
        let pixels = try image.withSource {
          try steps.apply($0, name: image.name, limits: image.limits)
        }
        let drawing = Drawing(steps.normalization)
        _ = try self.runEach([pixels], cancelled: flag, observe: drawing.observer)
        return try drawing.png()
      }
    }
  }

  /// Ids that a text takes, its beginning and end included, at most as many as the model reads.
  ///
  /// - Throws: `VLMZError` with `.notCapable` for a model that reads no texts.
  package func tokenCount(of text: String) throws(VLMZError) -> Int {
    guard let config = model.vision?.clip?.text.config else {
      throw VLMZError(.notCapable, "\(model.path.escapedForDisplay()): reads no texts")
    }
    return try VLMZError.wrapping {
      guard try model.vision?.tokenizer() != nil else { return 0 }
      return min(config.tokenCount, try model.textReader()?.count(of: text) ?? 0)
    }
  }
}

extension Model {
  /// The same of a model that answers questions about pictures.
  ///
  /// - Throws: as `Conversation.encode(_:options:)`.
  package func explain(_ image: Image) async throws(VLMZError) -> [UInt8] {
    let flag = CancellationFlag()
    return try await Background.run(flag) {
      guard let language = self.language, let preprocessing = language.preprocessing else {
        throw VLMZError(.notCapable, "\(self.path.escapedForDisplay()): sees no pictures")
      }
      let picture = try image.withSource { source in
        try language.prepare(source, name: image.name, limits: image.limits)
      }
      let drawing = Drawing(preprocessing.normalization)
      _ = try language.encode(
        picture, pool: self.pool, cancelled: flag, observe: drawing.observer)
      return try drawing.png()
    }
  }
}

/// An explanation while its model runs.
private final class Drawing {
  private var explanation: Explanation

  /// - Parameter normalization: nil for pixels as they are.
  init(_ normalization: Preprocessing.Normalization?) {
    explanation = Explanation(
      normalization: normalization
        ?? Preprocessing.Normalization(mean: [0, 0, 0], deviation: [1, 1, 1]))
  }

  var observer: TowerObserver {
    { [self] seen in
      let (shape, values) = seen.planar
      explanation.see(seen.role, shape, values)
    }
  }

  func png() throws(VLMZError) -> [UInt8] {
    guard let canvas = explanation.draw() else {
      throw VLMZError(.notCapable, "found nothing to draw")
    }
    guard
      let bytes = PNGEncoder.encode(canvas.pixels, width: canvas.width, height: canvas.height)
    else { throw VLMZError(.noMemory, "found no memory to encode a drawing") }
    return bytes
  }
}
