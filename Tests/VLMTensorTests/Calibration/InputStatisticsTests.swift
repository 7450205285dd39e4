import Testing
import VLMFoundation
import VLMTensor
import VLMTestSupport

/// Sums over rows, against loops that anyone can read.
@Suite("Statistics of the inputs of products")
struct InputStatisticsTests {
  /// `[rows, inputs]`, each row times another power of two.
  private func values(rows: Int, inputs: Int) -> [Float] {
    var random = SplitMix64(seed: UInt64(rows * 1000 + inputs))
    return (0..<rows * inputs).map { index in
      Float(Int64(bitPattern: random.next()) >> 40) / 4096 * (index / inputs % 7 == 0 ? 8 : 1)
    }
  }

  /// Adds the rows in runs of `step`.
  private func gathered(
    _ values: [Float], inputs: Int, step: Int, threads: Int = 2,
    detail: InputStatistics.Detail = .hessian
  ) -> (statistics: InputStatistics, triangle: [[Float]]) {
    let statistics = InputStatistics(inputs: inputs, detail: detail, kernels: .best)
    let pool = WorkerPool(threadCount: threads)
    let rows = values.count / inputs
    let memory = Activations(count: values.count)
    let matrix = memory.matrix(rows: rows, columns: inputs)
    matrix.assign(values)
    for first in stride(from: 0, to: rows, by: step) {
      statistics.add(matrix[first..<min(rows, first + step)], pool: pool)
    }
    var triangle: [[Float]] = []
    statistics.gram?.withUpperTriangle(pool: pool) { triangle.append(Array($0)) }
    withExtendedLifetime(memory) {}
    return (statistics, triangle)
  }

  @Test(
    "all sums are those of plain loops",
    arguments: [(1, 1), (3, 5), (15, 16), (17, 64), (256, 65), (257, 33), (600, 130)])
  func reference(_ rows: Int, _ inputs: Int) {
    let values = values(rows: rows, inputs: inputs)
    let (found, triangle) = gathered(values, inputs: inputs, step: 37)
    #expect(found.rowCount == rows)
    #expect(found.notFiniteCount == 0)
    #expect(triangle.map(\.count) == (0..<inputs).map { inputs - $0 })
    for i in 0..<inputs {
      var sum = 0.0
      for row in 0..<rows { sum += Double(values[row * inputs + i]) }
      #expect(abs(found.sums[i] - sum) <= 1e-9 * (1 + abs(sum)))
      for j in i..<inputs {
        var (product, scale) = (0.0, 0.0)
        for row in 0..<rows {
          let term = Double(values[row * inputs + i]) * Double(values[row * inputs + j])
          product += term
          scale += abs(term)
        }
        #expect(abs(Double(triangle[i][j - i]) - product) <= 2e-5 * (scale + 1e-6))
        if i == j { #expect(abs(found.squares[i] - product) <= 1e-9 * scale) }
      }
    }
  }

  @Test("neither threads nor the cut into calls change a bit")
  func cuts() {
    let values = values(rows: 300, inputs: 70)
    let whole = gathered(values, inputs: 70, step: 300, threads: 1)
    for (step, threads) in [(1, 1), (16, 3), (41, 2)] {
      let other = gathered(values, inputs: 70, step: step, threads: threads)
      #expect(other.triangle == whole.triangle)
      #expect(other.statistics.sums == whole.statistics.sums)
      #expect(other.statistics.squares == whole.statistics.squares)
    }
  }

  @Test("moments alone keep no products, and values that are no numbers are counted")
  func moments() {
    var values = values(rows: 4, inputs: 3)
    values[5] = .nan
    values[7] = .infinity
    let (found, triangle) = gathered(values, inputs: 3, step: 2, detail: .moments)
    #expect(found.notFiniteCount == 2)
    #expect(found.gram == nil && triangle.isEmpty)
  }
}
