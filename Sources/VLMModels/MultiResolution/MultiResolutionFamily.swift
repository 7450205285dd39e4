import VLMFoundation
import VLMTensor

/// LLaVA-HR's vision tower (Luo et al., "Feast Your Eyes: Mixture-of-Resolution Adaptation for
/// Multimodal Large Language Models"): a ViT that looks at a small copy of the picture, and a ConvNeXt
/// that looks at all of it and is mixed into the ViT after each of its first three quarters.
///
/// It is used under a language model only. The files are LLaVA-HR's.
package enum MultiResolutionFamily: VisionTowerFamily {
  package typealias Tower = MultiResolutionConfig

  package static let name = "multi_resolution"
  package static let possessive = "LLaVA-HR's"

  /// Its `config.json` is that of the CLIP that the fast path was made from.
  package static let stated = StatedClasses(towerTypes: ViTFamily.stated.towerTypes)

  package static func tower(in facts: TowerFacts) throws(ModelError) -> TowerCheckpoint? {
    guard MultiResolutionCheckpoint.isPresent(in: facts.names.lazy.map(\.name)) else { return nil }
    var own = try MultiResolutionCheckpoint.Facts(llava: facts.llava, clip: facts.description)
    own.clipPlace = facts.place
    let found = try MultiResolutionCheckpoint(names: facts.names, facts: own)
    var tower = TowerCheckpoint(config: found.config, tensors: found.tensors)
    tower.unused = found.dead + found.unused
    tower.unexpected = facts.names.filter {
      found.unused.contains($0.name) && !HeadModule.isInert($0)
    }.map(\.name)
    tower.notes = facts.clipNotes + found.notes
    tower.cutsPrompts = false
    return tower
  }
}

extension MultiResolutionConfig: VisionTowerConfig {
  /// Its slow tower computes tile by tile.
  package var sharesProducts: Bool { false }

  package static var family: String { MultiResolutionFamily.name }

  /// There is one place where such a tower stands.
  package init(json: JSONValue, path: String) throws(ModelError) { try self.init(json: json) }
  package func validate(_ path: String) throws(ModelError) { try validate() }

  package var geometry: TowerGeometry {
    TowerGeometry(
      stride: slow.stride, channels: width, takesAnyAspect: false, trainedSide: imageSize,
      maximumBatch: 1)
  }

  package func grid(height: Int, width: Int) throws(ModelError) -> MapExtent {
    try MultiResolutionGrids(self, height: height, width: width).fast
  }

  package func requireGrid(_ path: String) throws(ModelError) {}
  package var vector: TowerVector? { nil }
  package var ownProcessorSide: Int? { imageSize }

  package func tower(_ weights: Weights) throws(ModelError) -> any VisionTower {
    try MultiResolutionTower(weights, self)
  }
}

extension MultiResolutionTower: VisionTower {
  package func context(
    _ input: FeatureShape, pool: WorkerPool, kernels: KernelSet, options: TowerOptions
  ) throws(ModelError) -> any TowerContext {
    precondition(input.batch == 1, "one picture at a time")
    return MultiResolutionTowerContext(
      self, input,
      try MultiResolutionContext(
        config, height: input.height, width: input.width, format: keyValueFormat, pool: pool,
        kernels: kernels, wideElements: options.wideElements))
  }
}

/// LLaVA-HR's tower over pictures of one size, one at a time.
private final class MultiResolutionTowerContext: TowerContext {
  private let model: MultiResolutionTower
  private let memory: MultiResolutionContext
  let input: FeatureShape

  init(_ model: MultiResolutionTower, _ input: FeatureShape, _ memory: MultiResolutionContext) {
    (self.model, self.input, self.memory) = (model, input, memory)
  }

  var pixels: MatrixView { memory.pixels }

  func features(
    observe: TowerObserver?, cancelled: CancellationFlag?
  ) throws(ModelError) -> FeatureGrid {
    let tokens = try model(memory, cancelled: cancelled, observe: observe)
    let shape = memory.grids.fast.shape(tokens.columns)
    observe?(Observation(MultiResolutionPoint.features, tokens, .map(shape)))
    return FeatureGrid(view: tokens, shape: shape)
  }

  func vectors(
    observe: TowerObserver?, cancelled: CancellationFlag?
  ) throws(ModelError) -> [ImageVector] {
    throw ModelError(
      .configuration(
        field: "type", found: "'\(MultiResolutionFamily.name)'",
        expected: "a tower that gives a vector for a picture"))
  }
}
