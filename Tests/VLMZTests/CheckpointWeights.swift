import Foundation
import VLMCheckpoint
import VLMConversion
import VLMFoundation
import VLMModels
import VLMTensor
import VLMTestSupport

/// Tensors of a checkpoint as a part of a model would find them in a container: each stored as the
/// policy says, in a file of their own. For parts that are no model by themselves.
final class CheckpointWeights: WeightSource, @unchecked Sendable {
  private let file: MappedFile
  private let tensors: [String: Tensor]

  /// - Parameters:
  ///   - names: our name → the checkpoint's.
  ///   - build: makes the part from weights, so as to learn what it asks for.
  init(
    _ catalog: TensorCatalog, names: [String: String], scheme: Scheme, in folder: TemporaryFolder,
    build: (Weights) throws -> Void
  ) throws {
    let recorder = ManifestRecorder()
    try build(Weights(recorder, kernels: KernelSet.all[0]))
    let policy = QuantizationPolicy(scheme: scheme)
    var bytes: [UInt8] = []
    var places: [(ConversionPlan.Item, Range<Int>)] = []
    for item in ConversionPlan(manifest: recorder.specs, policy: policy).items {
      guard let original = names[item.spec.path], let tensor = catalog[original] else {
        throw ModelError(.missingTensor(item.spec.path))
      }
      let stored = try TensorEncoder.encode(
        values: try tensor.floats(), shape: item.spec.shape, format: item.format
      ).bytes
      bytes += [UInt8](repeating: 0, count: (64 - bytes.count % 64) % 64)
      places.append((item, bytes.count..<bytes.count + stored.count))
      bytes += stored
    }
    let path = folder.path("weights-\(scheme.name).bin")
    try Data(bytes).write(to: URL(fileURLWithPath: path))
    let file = try MappedFile(path: path)
    self.file = file
    var tensors: [String: Tensor] = [:]
    for (item, range) in places {
      tensors[item.spec.path] = Tensor(
        name: item.spec.path, shape: item.spec.shape, format: item.format, file: file,
        range: range)
    }
    self.tensors = tensors
  }

  func tensor(_ spec: TensorSpec) throws(ModelError) -> Tensor {
    guard let tensor = tensors[spec.path] else { throw ModelError(.missingTensor(spec.path)) }
    return tensor
  }
}
