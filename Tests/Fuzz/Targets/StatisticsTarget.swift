import VLMCheckpoint
import VLMConversion
import VLMFoundation
import VLMTensor

enum StatisticsTarget {
  /// Wider matrices are not factored: that takes longer than an input may.
  private static let widest = 96

  /// A file of statistics, with everything that a conversion asks of it.
  static func run(_ bytes: UnsafeRawBufferPointer) {
    ModelTargets.attempt {
      let file = try StatisticsFile(
        MappedFile(name: "fuzzed.statistics", copying: bytes), name: "fuzzed.statistics")
      let pool = WorkerPool(threadCount: 1)
      for group in file.groups {
        let (rows, sums, squares) = file.moments(of: group)
        precondition(rows >= 1 && squares.allSatisfy { $0 >= 0 }, "sums of squares of some rows")
        precondition(sums.count == group.inputs, "a sum of each input")
        guard group.inputs <= widest, let tensor = group.tensors.last else { continue }
        for scheme in [Scheme.q4, .f16] {
          ModelTargets.attempt {
            let known = try file.statistics(
              of: tensor, inputs: group.inputs, for: scheme, kernels: .best, pool: pool)
            precondition((known == nil) == (scheme == .f16), "known where it is asked about")
          }
        }
      }
    }
  }
}
