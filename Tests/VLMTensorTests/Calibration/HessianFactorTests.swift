import Testing

@testable import VLMTensor

@Suite("factors of Hessians")
struct HessianFactorTests {
  /// Σ x xᵀ of random rows whose inputs go together, damped: `[inputs, inputs]`.
  static func hessian(inputs: Int, rows: Int = 48, seed: UInt64 = 3) -> [Float] {
    let values = Distribution.gaussian.values(rows * (inputs + 1), seed: seed)
    var hessian = [Float](repeating: 0, count: inputs * inputs)
    for row in 0..<rows {
      let common = values[row * (inputs + 1) + inputs]
      let x = (0..<inputs).map { input in
        (values[row * (inputs + 1) + input] + common) * Float(1 + input % 7)
      }
      for i in 0..<inputs {
        for j in 0..<inputs { hessian[i * inputs + j] += x[i] * x[j] / Float(rows) }
      }
    }
    for i in 0..<inputs {
      for j in 0..<i { hessian[i * inputs + j] = hessian[j * inputs + i] }
      hessian[i * inputs + i] += 1
    }
    return hessian
  }

  @Test(
    "L D Lᵀ is the Hessian in the order of the factor",
    arguments: [1, 2, 31, 32, 33, 64, 65, 129, 200, 256, 257, 330])
  func product(inputs: Int) throws {
    let hessian = Self.hessian(inputs: inputs)
    let pool = WorkerPool(threadCount: 2)
    for kernels in KernelSet.all {
      let found = try HessianFactor(hessian, inputs: inputs, kernels: kernels, pool: pool)
      for i in 0..<inputs {
        for j in i..<inputs {
          var sum = 0.0
          for k in j..<inputs {
            let left = k == i ? 1 : Double(found.factor[i * inputs + k])
            let right = k == j ? 1 : Double(found.factor[j * inputs + k])
            sum += left * right * Double(found.pivots[k])
          }
          let expected = Double(hessian[Int(found.order[i]) * inputs + Int(found.order[j])])
          #expect(abs(sum - expected) < 2e-4 * (1 + abs(expected)), "\(kernels.name) \(i) \(j)")
        }
      }
      #expect(found.order.map { found.weights[Int($0)] } == found.pivots)
    }
  }

  @Test("threads do not change a bit")
  func threads() throws {
    let hessian = Self.hessian(inputs: 200)
    let one = try HessianFactor(hessian, inputs: 200, kernels: .best, pool: nil)
    let three = try HessianFactor(
      hessian, inputs: 200, kernels: .best, pool: WorkerPool(threadCount: 3))
    #expect(one.factor == three.factor && one.pivots == three.pivots)
  }

  @Test("blocks come in the order of their mean diagonal and stay together")
  func order() throws {
    let inputs = 70
    var hessian = [Float](repeating: 0, count: inputs * inputs)
    for input in 0..<inputs { hessian[input * inputs + input] = Float(input + 1) }
    let order = try HessianFactor(hessian, inputs: inputs, kernels: .best, pool: nil).order
    var expected: [UInt32] = []
    for block in [64..<70, 32..<64, 0..<32] { expected += block.reversed().map { UInt32($0) } }
    #expect(order == expected)
  }
}
