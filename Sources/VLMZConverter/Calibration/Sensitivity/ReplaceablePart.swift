import VLMContainer
import VLMFoundation
import VLMModels
import VLMTensor
import VLMZ

/// A part of a model that can be run with another matrix in place of one, to see what its errors
/// do.
protocol ReplaceablePart: CalibrationPart {
  /// Makes what enters a stage, of some of the data. Called for all stages in their order, but for
  /// those before one that is restored.
  ///
  /// - Parameter amount: how much of the data; see `SensitivityRun.Amount`.
  func enter(stage: Int, _ amount: SensitivityRun.Amount) throws

  /// What `enter` made, for a later process; empty where that is made of the data alone.
  var statesToCompare: (streams: [ComparedStream], states: [MatrixView]) { get }

  /// Takes over what `statesToCompare` was behind `enter`, in its place.
  ///
  /// - Returns: whether they are of these data.
  func restore(
    _ streams: [ComparedStream], _ states: [MatrixView], comparingAt stage: Int,
    _ amount: SensitivityRun.Amount
  ) -> Bool

  /// Runs a stage as it is on what enters it, and keeps what it makes.
  func beginComparing(stage: Int, _ amount: SensitivityRun.Amount) throws

  /// What the model loses with the other matrix, in the unit of `LossUnit`.
  ///
  /// - Throws: what the model throws that cannot be run with it.
  func loss(stage: Int, with replaced: ReplacedModel) throws -> Double

  /// Runs a stage with all of its matrices replaced, where `comparesTogether`. Called behind `loss` of each.
  func loseTogether(stage: Int, with replaced: ReplacedModel) throws

  /// Whether the losses of matrices alone do not add up to that of all together.
  var comparesTogether: Bool { get }

  /// What the losses of a matrix are to be multiplied by, when all stages are done.
  func correction(of tensor: String) -> Double

  /// Lets go what is kept.
  func endComparing()
}

extension ReplaceablePart {
  func enter(stage: Int, _ amount: SensitivityRun.Amount) throws {}
  var statesToCompare: (streams: [ComparedStream], states: [MatrixView]) { ([], []) }
  func restore(
    _ streams: [ComparedStream], _ states: [MatrixView], comparingAt stage: Int,
    _ amount: SensitivityRun.Amount
  ) -> Bool { streams.isEmpty && states.isEmpty }
  func loseTogether(stage: Int, with replaced: ReplacedModel) throws {}
  var comparesTogether: Bool { false }
  func correction(of tensor: String) -> Double { 1 }
}

/// A model that is not built yet, with other matrices in place of some of its container's.
struct ReplacedModel {
  let container: Container
  let description: ModelDescription
  let kernels: KernelSet
  let pool: WorkerPool
  let replacements: [Tensor]

  /// The layers alone: nothing of tokenizers and labels is read.
  func layers() throws -> ModelLayers {
    try ModelError.inFile(container.path) {
      try description.config.build(
        Weights(
          OverlayWeights(ContainerWeights(container), replacing: replacements), kernels: kernels))
    }
  }

  /// The language model, alone or behind its eyes.
  func language() throws -> LLaMA? {
    switch try layers() {
    case .language(let model): model
    case .imageAndLanguage(let model): model.language
    case .image, .imageAndText: nil
    }
  }

  func model() throws -> Model {
    try Model(container, kernels: kernels, pool: pool, replacing: replacements)
  }
}

/// How noise in what lies between layers shows in what a model says.
enum ResidualNoise {
  /// Nats of divergence of the next token for a relative squared error of 1 in the rows between two
  /// blocks, as far as it grows with the error. Of a language model with 30 blocks, by a backward
  /// pass: 1.05 to 1.12 for all blocks but the first and the last.
  static let divergence = 1.1

  /// The mean over rows of ‖y − x‖² / ‖x‖².
  static func mean(_ rows: MatrixView, of exact: MatrixView) -> Double {
    var sum = 0.0
    for row in 0..<exact.rows {
      exact.withRow(row) { x in
        rows.withRow(row) { y in
          var (error, value) = (0.0, 0.0)
          for (x, y) in zip(x, y) {
            error += Double(y - x) * Double(y - x)
            value += Double(x) * Double(x)
          }
          if value > 0 { sum += error / value }
        }
      }
    }
    return sum / Double(max(1, exact.rows))
  }

  /// One less the cosine of vectors; 0 where one is all zeros.
  static func turn(_ values: [Float], from exact: [Float]) -> Double {
    var (product, value, other) = (0.0, 0.0, 0.0)
    for (x, y) in zip(exact, values) {
      product += Double(x) * Double(y)
      value += Double(x) * Double(x)
      other += Double(y) * Double(y)
    }
    let length = value.squareRoot() * other.squareRoot()
    return length > 0 ? max(0, 1 - product / length) : 0
  }
}
