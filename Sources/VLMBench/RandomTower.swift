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
  init(_ session: VisionSession) {
    weightBytes = session.container.weightBytes
    let description = session.description
    operations = { side in
      switch description {
      case .convNeXt(let config): config.operations(height: side, width: side)
      case .clipViT(let config):
        config.operations(patches: config.grid(height: side, width: side).count)
      case .llama, .llava, .openCLIP: 0
      }
    }
    run = { _ = try session.run([$0]) }
  }

  /// The part of a LLaVA that makes visual tokens; like there, its memory is made for each image.
  init(_ config: RandomEncoder, path: String, kernels: KernelSet, threads: Int) throws {
    let container = try Container.open(path: path)
    let weights = Weights(ContainerWeights(container), kernels: kernels)
    let encoder = try VisionEncoder(weights["tower"], config.tower)
    let projector = try config.projector.map { try Projector(weights["projector"], $0) }
    let pool = WorkerPool(threadCount: threads)
    weightBytes = container.weightBytes
    operations = { try config.operations(side: $0) }
    run = { image in
      let features = try encoder(
        image.values, height: image.height, width: image.width, pool: pool, kernels: kernels)
      guard let projector else { return }
      let memory = Activations(count: features.count * projector.config.outputs)
      projector(
        features.tokens,
        into: memory.matrix(rows: features.count, columns: projector.config.outputs), pool: pool)
      withExtendedLifetime((memory, features)) {}
    }
  }
}

extension Container {
  fileprivate var weightBytes: Int { tensors.reduce(0) { $0 + $1.range.count } }
}
