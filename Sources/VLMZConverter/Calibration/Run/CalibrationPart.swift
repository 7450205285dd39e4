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

  /// What the next stage starts from, for a calibration that goes on later; empty where it starts from
  /// the data.
  var states: [MatrixView] { get }

  /// Takes over what `states` was behind the stage before `stage`.
  ///
  /// - Returns: whether they are of these data.
  func restore(_ states: [MatrixView], before stage: Int) throws -> Bool
}

extension CalibrationPart {
  var states: [MatrixView] { [] }
  func restore(_ states: [MatrixView], before stage: Int) -> Bool { states.isEmpty }
}
