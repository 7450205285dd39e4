import VLMContainer
import VLMFoundation
import VLMImages
import VLMModels
import VLMTensor
import VLMText

/// The layers of a model that makes vectors of pictures, and what goes with them. Immutable: shared by
/// all sessions.
package final class VisionModel: Sendable {
  /// What makes a vector of a picture.
  package let tower: any VisionTower
  /// Its geometry.
  package let config: any VisionTowerConfig
  /// Both towers of a model that reads texts too.
  package let clip: CLIP?
  /// From a picture to the tower's input.
  package let preprocessing: Preprocessing
  /// What the outputs stand for; nil where the file does not say.
  package let labels: Labels?
  private let tokenizerSource: TokenizerSource

  /// Reads a tokenizer when it is first asked for: it takes longer than all else of a small model.
  private final class TokenizerSource: @unchecked Sendable {
    private let container: Container
    private let description: ModelDescription
    private let lock = Lock()
    private var tokenizer: Tokenizer?

    init(_ container: Container, _ description: ModelDescription) {
      (self.container, self.description) = (container, description)
    }

    func read() throws -> Tokenizer? {
      try lock.withLock {
        if let tokenizer { return tokenizer }
        tokenizer = try container.tokenizer(of: description)
        return tokenizer
      }
    }
  }

  /// What goes with the layers of a container's model; nil when they make no vectors of pictures.
  ///
  /// - Throws: `ContainerError`, `ModelError` for a section that is damaged or does not fit the model.
  init?(_ layers: ModelLayers, _ container: Container, _ description: ModelDescription) throws {
    guard let config = description.config.image else { return nil }
    switch layers {
    case .image(let tower): (self.tower, clip) = (tower, nil)
    case .imageAndText(let clip): (tower, self.clip) = (clip.image, clip)
    case .language, .imageAndLanguage: return nil
    }
    self.config = config
    preprocessing = try container.preprocessing(of: description)
    labels = try container.labels(of: description)
    tokenizerSource = TokenizerSource(container, description)
  }

  /// The text tower's tokenizer; nil when the file has none.
  ///
  /// - Throws: `ContainerError`, `TextError`, `ModelError` for a section that is damaged.
  package func tokenizer() throws -> Tokenizer? { try tokenizerSource.read() }

  /// Numbers in the embedding of a picture.
  package var embeddingWidth: Int { config.vector?.width ?? 0 }

  /// Whether embeddings lie in a space that pictures share with texts.
  package var isJoint: Bool { clip != nil || config.vector?.isProjected == true }
}

extension Model {
  /// - Throws: `ModelError` for a model that makes no vectors of pictures.
  package func requireVision() throws(ModelError) -> VisionModel {
    guard let vision else {
      throw ModelError(
        file: path,
        .configuration(
          field: "architecture", found: "'\(architecture)'",
          expected: "an image model, such as 'convnext'"))
    }
    return vision
  }
}
