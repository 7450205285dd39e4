import VLMFoundation
import VLMTensor

/// Weights of a test: named values in f32, in the order in which a container stores them, one mapped
/// file each.
package final class FloatWeights: WeightSource, @unchecked Sendable {
  // A model is built on one thread.
  private let folder: TemporaryFolder
  private let values: (String) throws -> [Float]?
  private var count = 0

  package init(_ values: @escaping (String) throws -> [Float]?) throws {
    folder = try TemporaryFolder()
    self.values = values
  }

  package func tensor(_ spec: TensorSpec) throws(ModelError) -> Tensor {
    guard let found = (try? values(spec.path)) ?? nil else {
      throw ModelError(.missingTensor(spec.path))
    }
    let format = TensorFormat(scheme: .f32, order: spec.role.order)
    guard found.count == spec.shape.reduce(1, *) else {
      throw ModelError(.shape(spec.path, found: [found.count], expected: spec.shape))
    }
    count += 1
    do {
      let bytes = found.withUnsafeBytes { Array($0) }
      let file = try MappedFile(path: folder.write("tensor\(count)", bytes))
      return Tensor(
        name: spec.path, shape: spec.shape, format: format, file: file,
        range: 0..<found.count * 4)
    } catch {
      throw ModelError(.missingTensor("\(spec.path): \(error)"))
    }
  }
}
