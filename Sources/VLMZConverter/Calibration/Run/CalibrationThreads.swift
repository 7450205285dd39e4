import VLMModels
import VLMTensor

/// Threads of a calibration.
///
/// Rows are added in the order in which products show them, and that must not depend on threads: a
/// tower that computes tile by tile runs on one. What is gathered is added up by all of them.
struct CalibrationThreads {
  /// Runs layers whose products are shared out.
  let layers: WorkerPool
  /// Runs towers.
  let towers: WorkerPool
  /// Adds up rows; no loop of the others runs on it.
  let sums: WorkerPool

  init(_ description: ModelDescription, threads: Int) {
    layers = WorkerPool(threadCount: threads)
    sums = WorkerPool(threadCount: threads)
    let tower = description.config.image ?? description.config.visionTower
    towers = tower?.sharesProducts ?? true ? layers : WorkerPool(threadCount: 1)
  }
}
