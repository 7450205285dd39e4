import Synchronization

/// Gathers the statistics of the products that it sees, one set for matrices that share an input.
///
/// Products that one thread calls are added in their order, so that the same run gives the same bits.
package final class StatisticsCollector: ProductObserver {
  /// Matrices that share an input.
  package struct Group: Sendable {
    /// Names of the matrices, in the order in which the layer has them.
    package let tensors: [String]
    package let statistics: InputStatistics
  }

  private let kernels: KernelSet
  private let pool: WorkerPool
  private let found = Mutex(Found())

  /// What is kept of a matrix's input; of several that share it the most that one of them wants.
  package typealias Detail = @Sendable (_ tensor: String) -> InputStatistics.Detail

  private struct Found {
    /// Nil while nothing is gathered.
    var detail: Detail?
    /// In the order in which they were first seen.
    var groups: [Group] = []
    /// By the name of the first matrix.
    var places: [String: Int] = [:]
  }

  /// - Parameter pool: adds up the rows; no loop of it may be running when products are shown.
  package init(kernels: KernelSet, pool: WorkerPool) {
    self.kernels = kernels
    self.pool = pool
  }

  /// Gathers from now on, with nothing gathered before.
  package func begin(_ detail: @escaping Detail) {
    found.withLock { $0 = Found(detail: detail) }
  }

  /// Gathers no more.
  ///
  /// - Returns: what was gathered since `begin`, in the order in which it was first seen.
  package func end() -> [Group] {
    found.withLock { found in
      defer { found = Found() }
      return found.groups
    }
  }

  package func willMultiply(_ weights: [Tensor], by rows: MatrixView) {
    guard let name = weights.first?.name, rows.rows > 0 else { return }
    found.withLock { found in
      guard let detail = found.detail else { return }
      if let place = found.places[name] {
        return found.groups[place].statistics.add(rows, pool: pool)
      }
      let names = weights.map(\.name)
      guard let wanted = names.map(detail).max(), wanted > .none else { return }
      let statistics = InputStatistics(inputs: rows.columns, detail: wanted, kernels: kernels)
      statistics.add(rows, pool: pool)
      found.places[name] = found.groups.count
      found.groups.append(Group(tensors: names, statistics: statistics))
    }
  }
}
