import Testing
import VLMFoundation
import VLMTestSupport

@testable import VLMTensor

/// What errors of a matrix do to its products.
@Suite("Errors of products")
struct ProductMetricTests {
  private func matrix(rows: Int, columns: Int, seed: UInt64) -> (Activations, MatrixView) {
    var random = SplitMix64(seed: seed)
    let memory = Activations(count: rows * columns)
    let view = memory.matrix(rows: rows, columns: columns)
    view.assign(
      (0..<rows * columns).map { _ in Float(Int(random.next() % 2001) - 1000) / 1000 })
    return (memory, view)
  }

  @Test("each metric is the sum that it says", arguments: [1, 7, 33, 100])
  func sums(_ inputs: Int) {
    let (memory, rows) = matrix(rows: 5, columns: inputs, seed: 1)
    let (other, x) = matrix(rows: 40, columns: inputs, seed: 2)
    defer { withExtendedLifetime((memory, other)) {} }
    var hessian = [Float](repeating: 0, count: inputs * inputs)
    var (plain, weighted, products) = (0.0, 0.0, 0.0)
    let importance = (0..<inputs).map { Float($0 % 5) }
    for row in 0..<5 {
      for input in 0..<inputs {
        let square = Double(rows[row, input]) * Double(rows[row, input])
        plain += square
        weighted += square * Double(importance[input])
      }
      for sample in 0..<40 {
        let product = (0..<inputs).reduce(0.0) {
          $0 + Double(rows[row, $1]) * Double(x[sample, $1])
        }
        products += product * product
      }
    }
    for a in 0..<inputs {
      for b in 0..<inputs {
        hessian[a * inputs + b] = (0..<40).reduce(0) { $0 + x[$1, a] * x[$1, b] }
      }
    }
    for kernels in KernelSet.all {
      func isNear(_ metric: ProductMetric, _ wanted: Double) -> Bool {
        abs(metric.sum(of: rows, kernels: kernels) - wanted) <= 1e-4 * wanted
      }
      #expect(isNear(.weights, plain))
      #expect(isNear(.importance(importance), weighted))
      #expect(isNear(.hessian(hessian), products), "\(kernels.name)")
    }
  }

  @Test("a rounded matrix is stored as before and has the errors of the other scheme")
  func rounded() throws {
    let (outputs, inputs) = (37, 70)
    let (memory, rows) = matrix(rows: outputs, columns: inputs, seed: 3)
    defer { withExtendedLifetime(memory) {} }
    let values = rows.array()
    let shape = [outputs, inputs]
    for scheme in [Scheme.f32, .f16, .q8] {
      let format = TensorFormat(scheme: scheme, layout: scheme.matrixLayout)
      let bytes = try TensorEncoder.encode(values: values, shape: shape, format: format).bytes
      let file = bytes.withUnsafeBytes { MappedFile(name: "memory", copying: $0) }
      let tensor = Tensor(
        name: "m", shape: shape, format: format, file: file, range: 0..<bytes.count)
      let pool = WorkerPool(threadCount: 2)
      let found = tensor.rounded(to: .q4, nil, kernels: .best, pool: pool)
      #expect(found.format == format && found.shape == shape && found.name == "m")
      let error = tensor.relativeError(
        of: found, .weights, samples: [0..<16, 16..<32, 32..<37], kernels: .best)
      let q4 = TensorFormat(scheme: .q4, layout: .panels)
      let wanted = try TensorEncoder.encode(values: values, shape: shape, format: q4).error
      let square = wanted.relativeRootMeanSquareError * wanted.relativeRootMeanSquareError
      #expect(abs(error - square) < 0.15 * square, "\(scheme): \(error), \(square)")
      #expect(
        tensor.relativeError(of: tensor, .weights, samples: [0..<16], kernels: .best) == 0)
    }
  }
}
