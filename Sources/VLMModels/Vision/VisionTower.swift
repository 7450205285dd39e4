import VLMFoundation
import VLMTensor

/// The geometry of a vision tower: of what makes a grid of features of a picture.
///
/// A tower stands alone, where it classifies or embeds pictures, under a projector, beside another
/// tower, or under a text tower. Who holds one knows it by this protocol only.
package protocol VisionTowerConfig: Sendable, Equatable {
  /// The family: `type` in a container, and the key of the configuration beside it.
  static var family: String { get }

  /// What the container says of the tower.
  var json: JSONValue { get }
  /// Reads what `json` wrote.
  ///
  /// - Parameter path: where the configuration stands, for errors.
  /// - Throws: `ModelError` for a field that is missing or out of range.
  init(json: JSONValue, path: String) throws(ModelError)
  /// Refuses what no such tower has, so that later arithmetic on the numbers cannot overflow.
  func validate(_ path: String) throws(ModelError)

  var geometry: TowerGeometry { get }
  /// Features of a picture, from the top left.
  ///
  /// - Throws: `ModelError` for a picture that the tower cannot take.
  func grid(height: Int, width: Int) throws(ModelError) -> MapExtent
  /// Refuses a tower whose output is not a grid of features: one that ends in a vector or in classes
  /// would have weights that no projector reads.
  func requireGrid(_ path: String) throws(ModelError)

  /// The side at which upstream's code for the tower takes CLIP's steps, whatever processor lies
  /// beside it; nil where it takes that one.
  var ownProcessorSide: Int? { get }

  /// Whether every product of the tower is called by one thread and shared out, so that an observer
  /// of products sees their inputs in the same order on any number of threads.
  var sharesProducts: Bool { get }

  /// Whether the features lie on the grid, each in its place: with a class token before them they do
  /// not.
  var givesMap: Bool { get }

  /// What the tower makes of a whole picture; nil for one that gives a grid only.
  var vector: TowerVector? { get }

  /// The tower with its weights, or with a recorder of what it asks for.
  ///
  /// - Throws: `ModelError` when a tensor is missing or has another shape.
  func tower(_ weights: Weights) throws(ModelError) -> any VisionTower
}

/// What can be known of a tower from its configuration.
package struct TowerGeometry: Sendable, Equatable {
  /// Channels of a picture as the tower sees it.
  package var inputChannels = 3
  /// Pixels between one feature and the next, in both directions.
  package var stride: Int
  /// Columns of a feature.
  package var channels: Int
  /// Whether the tower takes pictures of any height and width; only squares otherwise.
  package var takesAnyAspect: Bool
  /// The side of the square pictures that it was trained on; nil where any will do.
  package var trainedSide: Int?
  /// Pictures that one pass takes at most; nil for as many as memory has room for.
  package var maximumBatch: Int?

  package init(
    inputChannels: Int = 3, stride: Int, channels: Int, takesAnyAspect: Bool,
    trainedSide: Int? = nil, maximumBatch: Int? = nil
  ) {
    self.inputChannels = inputChannels
    self.stride = stride
    self.channels = channels
    self.takesAnyAspect = takesAnyAspect
    self.trainedSide = trainedSide
    self.maximumBatch = maximumBatch
  }
}

/// What a tower makes of a whole picture, from its configuration.
package struct TowerVector: Sendable, Equatable {
  /// Numbers in the vector that stands for a picture.
  package var width: Int
  /// Whether the vector lies in a space that pictures share with texts, and has length 1.
  package var isJoint: Bool
  /// Whether a projection behind the tower's pooled feature leads there, as transformers'
  /// `CLIPVisionModelWithProjection` has it.
  package var isProjected = false
  /// Classes that a classifier on the tower tells apart; nil for none.
  package var classCount: Int?

  package init(
    width: Int, isJoint: Bool = false, isProjected: Bool = false, classCount: Int? = nil
  ) {
    self.width = width
    self.isJoint = isJoint
    self.isProjected = isProjected
    self.classCount = classCount
  }
}

/// A vision tower with its weights. One can be shared by any number of contexts.
package protocol VisionTower: Sendable {
  /// Plans and allocates what a pass over pictures of this size needs.
  ///
  /// - Parameters:
  ///   - input: the batch of pictures, `channels` being what the tower sees.
  ///   - kernels: those that the tower was built with.
  /// - Throws: `ModelError`, before anything is allocated, when the pictures are too small for the
  ///   tower or need more memory than the machine has.
  func context(
    _ input: FeatureShape, pool: WorkerPool, kernels: KernelSet, options: TowerOptions
  ) throws(ModelError) -> any TowerContext
}

extension VisionTower {
  /// The same with the usual options.
  package func context(
    _ input: FeatureShape, pool: WorkerPool, kernels: KernelSet
  ) throws(ModelError) -> any TowerContext {
    try context(input, pool: pool, kernels: kernels, options: TowerOptions())
  }
}

/// How a tower trades memory for time. What it computes does not depend on it.
package struct TowerOptions: Sendable {
  /// Elements that the hidden layer of a ConvNeXt's block may have to run layer by layer; larger
  /// ones run tile by tile.
  package var wideElements = ConvNeXtContext.defaultWideElements

  package init(wideElements: Int = ConvNeXtContext.defaultWideElements) {
    self.wideElements = wideElements
  }
}

/// A tower with the memory of a pass over pictures of one size, to be used again and again.
///
/// Not thread-safe: one pass at a time; inside, the pool's threads share the work.
package protocol TowerContext: AnyObject {
  /// The batch that this was planned for.
  var input: FeatureShape { get }
  /// Room for the normalised pictures, channels last: `[batch * height * width, channels]`. A pass
  /// may write over it.
  var pixels: MatrixView { get }

  /// Takes so many pixels from the top left of each picture for the picture, and the others for
  /// padding. It holds for the next passes.
  ///
  /// - Throws: `ModelError` for a tower that cannot leave padding out, or a part that is none.
  func restrict(height: Int, width: Int) throws(ModelError)

  /// Runs the tower on the pictures in `pixels` and gives its features, without what a file may have
  /// on top of them: what a projector reads.
  ///
  /// - Parameters:
  ///   - observe: sees the intermediates, and the features last.
  ///   - cancelled: looked at before each layer.
  /// - Returns: views into this context, valid until the next pass.
  /// - Throws: `ModelError` with `.cancelled` once the flag is; the next pass is as good as ever.
  func features(
    observe: TowerObserver?, cancelled: CancellationFlag?
  ) throws(ModelError) -> FeatureGrid

  /// Runs the tower on the pictures in `pixels` and gives a vector for each, and the logits of its
  /// classes where it has a classifier.
  ///
  /// - Parameters: as for `features`.
  /// - Throws: `ModelError` for a tower whose configuration has no `vector`, and as `features`.
  func vectors(
    observe: TowerObserver?, cancelled: CancellationFlag?
  ) throws(ModelError) -> [ImageVector]
}

/// What a tower makes of one whole picture.
package struct ImageVector: Sendable, Equatable {
  /// `TowerVector.width` numbers; of length 1 in a space that is shared with texts.
  package var embedding: [Float]
  /// One per class; nil for a tower without a classifier.
  package var logits: [Float]?

  package init(embedding: [Float], logits: [Float]? = nil) {
    self.embedding = embedding
    self.logits = logits
  }
}

/// The features of a batch of pictures, row by row of the grid from the top left.
package struct FeatureGrid {
  /// `channels` are the tower's. Of features that fill no grid, such as patches with a class token
  /// before them, the height is 1.
  package let shape: FeatureShape
  /// `[shape.rows, shape.channels]`.
  package let view: MatrixView

  package init(view: MatrixView, shape: FeatureShape) {
    self.view = view
    self.shape = shape
  }
}

extension TowerContext {
  package func restrict(height: Int, width: Int) throws(ModelError) {
    guard height != input.height || width != input.width else { return }
    throw ModelError(
      .image(
        found: "a picture of \(width)×\(height) in \(input.width)×\(input.height) pixels",
        expected: "one without padding, which the tower cannot leave out"))
  }
}

extension VisionTowerConfig {
  package var ownProcessorSide: Int? { nil }
  package var sharesProducts: Bool { true }
  package var givesMap: Bool { true }

  /// Whether `other` is the same tower, of the same family.
  func isEqual(to other: any VisionTowerConfig) -> Bool { (other as? Self) == self }
}

extension [Float] {
  /// Divided by their Euclidean norm, in f64: an embedding as it is likened to others.
  package var unitLength: [Float] {
    let norm = reduce(0.0) { $0 + Double($1) * Double($1) }.squareRoot()
    return map { Float(Double($0) / Swift.max(norm, 1e-12)) }
  }
}
