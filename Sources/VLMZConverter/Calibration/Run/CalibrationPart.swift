import VLMFoundation
import VLMTensor

/// A part of a model that calibration runs: what sees pictures, what reads texts, what writes.
protocol CalibrationPart: AnyObject {
  /// What progress calls it.
  var name: String { get }
  /// Stages that are run one after the other, with matrices of their own.
  var stageCount: Int { get }
  /// Steps that a run of one stage takes, for progress.
  var stepCount: Int { get }

  /// Runs a stage on little, so that its products are seen.
  func probe(stage: Int) throws

  /// Runs a stage on all data.
  ///
  /// - Parameters:
  ///   - isLast: whether the next run is that of another stage; otherwise the same is run again.
  ///   - step: called before each step.
  func run(stage: Int, isLast: Bool, step: () throws -> Void) throws
}
