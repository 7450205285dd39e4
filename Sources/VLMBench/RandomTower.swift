import VLMContainer
import VLMImages
import VLMModels
import VLMTensor
import VLMText
import VLMZ

/// An open model that looks at one image after the other.
struct RandomTower {
  /// Bytes of all tensors as stored.
  let weightBytes: Int
  /// Products and additions for a square image of so many pixels.
  let operations: (_ side: Int) throws -> Double
  let run: (PixelTensor) throws -> Void

  /// A model that `vlm-run` classifies or embeds with.
  init(_ session: Session) {
    weightBytes = session.container.weightBytes
    let description = session.description
    operations = { side in
      try description.config.image.map { try $0.operations(side: side) } ?? 0
    }
    run = { _ = try session.run([$0]) }
  }

  /// The part of a LLaVA that makes visual tokens; like there, its memory is made for each image.
  init(_ config: RandomEncoder, path: String, kernels: KernelSet, threads: Int) throws {
    let container = try Container.open(path: path)
    let weights = Weights(ContainerWeights(container), kernels: kernels)
    let tower = try config.tower.tower(weights["tower"])
    let projector = try config.projector.map { try Projector(weights["projector"], $0) }
    let pool = WorkerPool(threadCount: threads)
    weightBytes = container.weightBytes
    operations = { try config.operations(side: $0) }
    run = { image in
      let input = TowerInput(image.values, height: image.height, width: image.width)
      let found = try tower.features(of: [input], pool: pool, kernels: kernels)
      guard let projector, let features = found.first else { return }
      let memory = Activations(count: features.count * projector.config.outputs)
      try projector(
        features.tokens,
        into: memory.matrix(rows: features.count, columns: projector.config.outputs), pool: pool)
      withExtendedLifetime((memory, features)) {}
    }
  }
}
