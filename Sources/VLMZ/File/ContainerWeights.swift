import VLMContainer
import VLMTensor

/// The tensors of a container as a model's weights: mapped, never copied.
package final class ContainerWeights: WeightSource, @unchecked Sendable {
  private let container: Container
  // A model is built on one thread.
  private var used: Set<String> = []
  private let places: [WeightPlace]
  private let partOfTensor: [String: Int]

  package convenience init(_ container: Container) { self.init(container, read: nil) }

  /// - Parameter reading: what reads the weights as they are used; nil where they all stay in memory.
  init(_ container: Container, read reading: WeightReading?) {
    self.container = container
    places = reading?.places ?? []
    partOfTensor = reading?.partOfTensor ?? [:]
  }

  package func tensor(_ spec: TensorSpec) throws(ModelError) -> Tensor {
    guard let entry = container.tensor(named: spec.path) else {
      throw ModelError(file: container.path, .missingTensor(spec.path))
    }
    used.insert(spec.path)
    guard entry.shape == spec.shape else {
      throw ModelError(
        file: container.path, .shape(spec.path, found: entry.shape, expected: spec.shape))
    }
    guard spec.role.allows(entry.format) else {
      throw ModelError(
        file: container.path,
        .format(
          spec.path, found: entry.format.description, expected: spec.role.allowedFormats))
    }
    return Tensor(
      name: entry.name, shape: entry.shape, format: entry.format, file: container.file,
      range: entry.range, place: partOfTensor[spec.path].map { places[$0] })
  }

  /// A container is exactly its model.
  ///
  /// - Throws: `ModelError` naming the tensors that nothing asked for.
  package func requireAllUsed() throws(ModelError) {
    let unused = container.tensors.map(\.name).filter { !used.contains($0) }
    if !unused.isEmpty { throw ModelError(file: container.path, .unusedTensors(unused)) }
  }
}

extension TensorRole {
  /// Whether layers can compute with a tensor of this role stored so.
  fileprivate func allows(_ format: TensorFormat) -> Bool {
    guard isMatrix else { return format == TensorFormat(scheme: .f32, order: order) }
    return format.order == order && format.layout == format.scheme.matrixLayout
  }

  fileprivate var allowedFormats: String {
    switch self {
    case .matrix, .head, .embedding, .valueProjection, .downProjection:
      "f32, or panels of any scheme"
    case .patchConvolution, .convolution: "f32 or panels, channels last"
    case .depthwise: "f32, taps first"
    case .vector: "f32"
    }
  }
}
