import VLMContainer
import VLMFoundation
import VLMImages
import VLMModels
import VLMTensor
import VLMZ

/// Measures what containers lose against a reference, on the same items.
///
/// The reference is run once, when the meter is made, and is not needed any more after that: what it
/// made of the items is kept in a file without a name. Any number of containers can be measured then,
/// one after the other. Memory does not grow with the number of items, but for a few numbers for each
/// picture and token.
///
/// ```swift
/// let meter = try LossMeter(
///   reference: container, data, folder: folder, pool: pool, kernels: .best)
/// let loss = try meter.loss(of: candidate)
/// ```
package final class LossMeter {
  /// Steps done, of all, and what runs.
  package typealias Progress = (Int, Int, String) -> Void

  /// What is measured on.
  let items: EvaluationItems
  let outputs: ReferenceOutputs
  private let preprocessing: Preprocessing?
  private let pool: WorkerPool
  private let kernels: KernelSet

  /// Chooses items of data, and runs the reference on them.
  ///
  /// - Parameters:
  ///   - reference: the model as its checkpoint has it.
  ///   - data: of kinds that the model reads.
  ///   - limits: how much of it is used.
  ///   - folder: where the outputs are kept.
  ///   - cancelled: looked at before each step.
  /// - Throws: `EvaluationError` where the disk has no room, or where nothing can be read;
  ///   `WorkCancelled`; what the model throws.
  convenience init(
    reference: Container, _ data: CalibrationData,
    limits: EvaluationItems.Limits = EvaluationItems.Limits(), folder: String, pool: WorkerPool,
    kernels: KernelSet, cancelled: CancellationFlag? = nil,
    progress: @escaping Progress = { _, _, _ in }
  ) throws {
    let model = try Model(reference, kernels: kernels, pool: pool)
    let items = try EvaluationItems(
      model, data, limits, cancelled: cancelled, progress: progress)
    try self.init(
      reference: model, items, folder: folder, pool: pool, cancelled: cancelled,
      progress: progress)
  }

  /// The same of items.
  ///
  /// - Parameter preprocessing: how pictures are prepared for all models; nil for what each model's
  ///   file says.
  init(
    reference: Model, _ items: EvaluationItems, preprocessing: Preprocessing? = nil,
    folder: String, pool: WorkerPool, cancelled: CancellationFlag? = nil,
    progress: @escaping Progress = { _, _, _ in }
  ) throws {
    self.items = items
    self.preprocessing = preprocessing
    self.pool = pool
    kernels = reference.kernels
    outputs = try ReferenceOutputs(
      in: folder, expecting: ReferenceOutputs.byteCount(of: reference, items))
    try ModelPass(
      model: reference, items: items, preprocessing: preprocessing, cancelled: cancelled,
      progress: progress
    ).run(into: outputs)
    guard !outputs.isEmpty else {
      let first = items.unreadable.first ?? outputs.skipped.first?.error
      throw EvaluationError(.nothingLeft(first?.description))
    }
  }

  /// `Measurement.loss` of a container.
  ///
  /// - Throws: `EvaluationError` for a model whose outputs cannot be compared; `WorkCancelled`;
  ///   what the model throws.
  package func loss(
    of container: Container, cancelled: CancellationFlag? = nil,
    progress: @escaping Progress = { _, _, _ in }
  ) throws -> Double {
    let measurement = try measure(
      try Model(container, kernels: kernels, pool: pool), cancelled: cancelled, progress: progress)
    guard let loss = measurement.loss else { throw EvaluationError(.nothingLeft(nil)) }
    return loss
  }

  /// Everything that is known of a model on the items.
  func measure(
    _ model: Model, cancelled: CancellationFlag? = nil,
    progress: @escaping Progress = { _, _, _ in }
  ) throws -> Measurement {
    try compare(model, cancelled: cancelled, progress: progress).measurement
  }

  /// The same, with the items that could not be compared.
  func compare(
    _ model: Model, cancelled: CancellationFlag?, progress: @escaping Progress
  ) throws -> Comparison {
    let comparison = Comparison(
      items, reference: outputs, scores: model.vision?.labels?.scores ?? .softmax, pool: pool)
    try ModelPass(
      model: model, items: items, preprocessing: preprocessing, cancelled: cancelled,
      progress: progress
    ).run(into: comparison)
    return comparison
  }
}
