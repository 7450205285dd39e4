import CVLMKernels
import Testing
import VLMFoundation
import VLMTestSupport

@testable import VLMTensor

@Suite("products shared out over threads")
struct SharedProductTests {
  static let sets = KernelSet.all.map(\.name)
  static let panelSchemes: [Scheme] = [.f16, .bf16, .q8, .q4, .q3, .q5, .q6]

  /// A matrix of some scheme, as a tensor in a file of its own.
  func tensor(
    _ scheme: Scheme, outputs: Int, inputs: Int, in folder: TemporaryFolder,
    _ random: inout Generator
  ) throws -> Tensor {
    let values = random.floats(outputs * inputs, -1...1)
    let scales = random.floats(outputs, 0.001...0.01)
    let codes = random.integers(outputs * inputs, -127...127)
    let bytes: [UInt8] =
      switch scheme {
      case .f32: values.withUnsafeBytes { Array($0) }
      case .f16:
        Packing.f16(
          outputs: outputs, inputs: inputs, bits: codes.map { 0x3000 + 50 * $0 }
        ).panels.values
      case .bf16: Packing.bf16(outputs: outputs, inputs: inputs, values: values).panels.values
      case .q8:
        Packing.q8(outputs: outputs, inputs: inputs, codes: codes, scales: scales).panels.values
      case .q3, .q4, .q5, .q6:
        Packing.grouped(
          bits: scheme.codeBits, outputs: outputs, inputs: inputs, scales: scales, using: &random
        ).panels.values
      default:
        try TensorEncoder.encode(
          values: values, shape: [outputs, inputs],
          format: TensorFormat(scheme: scheme, layout: .panels)
        ).bytes
      }
    let path = try folder.write("\(scheme.name)-\(outputs)", bytes)
    let format = TensorFormat(scheme: scheme, layout: scheme == .f32 ? .rowMajor : .panels)
    return Tensor(
      name: scheme.name, shape: [outputs, inputs], format: format,
      file: try MappedFile(path: path), range: 0..<bytes.count)
  }

  @Test(
    "several products of one input at once have the bits of each alone, on any number of threads",
    arguments: sets)
  func groups(name: String) throws {
    let kernels = try #require(KernelSet(named: name))
    let folder = try TemporaryFolder()
    var random = Generator(seed: 51)
    let inputs = 96
    let schemes: [(Scheme, Int)] = [
      (.q4, 200), (.q8, 64), (.f16, 70), (.bf16, 16), (.q8, 333), (.q3, 70), (.q5, 64), (.q6, 40),
    ]
    let products = try schemes.map {
      MatrixProduct(
        try tensor($0.0, outputs: $0.1, inputs: inputs, in: folder, &random), kernels: kernels)
    }
    for rows in [1, 3, 40] {
      let x = Activations(count: rows * inputs)
      let input = x.matrix(rows: rows, columns: inputs)
      input.assign(random.floats(rows * inputs, -2...2))
      let shared = MatrixProduct.Scratch(rows: rows, maximumInputs: inputs, kernels: kernels)
      var alone: [[Float]] = []
      for product in products {
        let y = Activations(count: rows * product.outputs)
        let output = y.matrix(rows: rows, columns: product.outputs)
        product(input, into: output, Epilogue(activation: .relu), shared)
        alone.append(output.array())
        withExtendedLifetime(y) {}
      }
      for threads in [1, 2, 3] {
        let pool = WorkerPool(threadCount: threads)
        let scratches = (0..<threads).map { _ in
          MatrixProduct.Scratch(rows: rows, maximumInputs: inputs, kernels: kernels)
        }
        let outputs = products.map { Activations(count: rows * $0.outputs) }
        let tasks = zip(products, outputs).map { product, owner in
          MatrixProduct.Task(
            product, into: owner.matrix(rows: rows, columns: product.outputs),
            Epilogue(activation: .relu))
        }
        MatrixProduct.run(tasks, of: input, shared: shared, scratches: scratches, pool: pool)
        #expect(tasks.map { $0.output.array() } == alone)
        for (product, owner) in zip(products, outputs) {
          let output = owner.matrix(rows: rows, columns: product.outputs)
          output.fill(0)
          product(
            input, into: output, Epilogue(activation: .relu), shared: shared,
            scratches: scratches, pool: pool)
        }
        #expect(tasks.map { $0.output.array() } == alone)
        withExtendedLifetime(outputs) {}
      }
      withExtendedLifetime(x) {}
    }
  }

  @Test(
    "values kept apart from the codes take most of their error, on any number of threads",
    arguments: sets)
  func outliers(name: String) throws {
    let kernels = try #require(KernelSet(named: name))
    let folder = try TemporaryFolder()
    var random = Generator(seed: 55)
    let (inputs, rows) = (200, 40)
    // Heavy tails, as activations have them.
    let values = random.floats(rows * inputs, -1...1).map { $0 / (1.001 - abs($0)) }
    let x = Activations(count: rows * inputs)
    let input = x.matrix(rows: rows, columns: inputs)
    let shared = MatrixProduct.Scratch(
      rows: rows, maximumInputs: inputs, kernels: kernels, keepsOutliers: true)
    for scheme in [Scheme.q8, .q4] {
      let product = MatrixProduct(
        try tensor(scheme, outputs: 70, inputs: inputs, in: folder, &random), kernels: kernels)
      let table = Activations(count: 70 * inputs)
      let weights = table.matrix(rows: 70, columns: inputs)
      product.rows(Array(0..<70), into: weights)
      let exact = (0..<rows * 70).map { place in
        (0..<inputs).reduce(0.0) {
          $0 + Double(values[place / 70 * inputs + $1]) * Double(weights[place % 70, $1])
        }
      }
      func products(_ outliers: MatrixProduct.Outliers, threads: Int) -> [Float] {
        input.assign(values)
        let y = Activations(count: rows * 70)
        let output = y.matrix(rows: rows, columns: 70)
        let scratches = (0..<threads).map { _ in
          MatrixProduct.Scratch(rows: 1, maximumInputs: inputs, kernels: kernels)
        }
        MatrixProduct.run(
          [.init(product, into: output)], of: input, shared: shared, scratches: scratches,
          pool: WorkerPool(threadCount: threads), outliers: outliers)
        defer { withExtendedLifetime(y) {} }
        return output.array()
      }
      func error(_ outliers: MatrixProduct.Outliers) -> Double {
        zip(products(outliers, threads: 1), exact).reduce(0) {
          $0 + (Double($1.0) - $1.1) * (Double($1.0) - $1.1)
        }
      }
      let (none, some, many) = (error(.none), error(.some), error(.many))
      #expect(some < none / 20)
      // Only 8-bit weights are worth more than a few.
      #expect(scheme == .q8 ? many < some / 2 : many == some)
      #expect(products(.many, threads: 3) == products(.many, threads: 1))
      withExtendedLifetime(table) {}
    }
    withExtendedLifetime(x) {}
  }

  @Test("a row of a weight is what a product with unit vectors gives", arguments: panelSchemes)
  func rows(scheme: Scheme) throws {
    let kernels = try #require(KernelSet(named: "scalar"))
    let folder = try TemporaryFolder()
    var random = Generator(seed: 52)
    let (outputs, inputs) = (37, 45)
    let weight = try tensor(scheme, outputs: outputs, inputs: inputs, in: folder, &random)
    let product = MatrixProduct(weight, kernels: kernels)
    let owner = Activations(count: 3 * inputs)
    let found = owner.matrix(rows: 3, columns: inputs)
    product.rows([36, 0, 17], into: found)
    // One input at a time: quantized, a single one among zeros is exact.
    let unit = Activations(count: inputs)
    let answer = Activations(count: outputs)
    let scratch = MatrixProduct.Scratch(rows: 1, maximumInputs: inputs, kernels: kernels)
    for column in 0..<inputs {
      let x = unit.matrix(rows: 1, columns: inputs)
      x.fill(0)
      x[0, column] = 1
      let y = answer.matrix(rows: 1, columns: outputs)
      product(x, into: y, Epilogue(), scratch)
      for (row, id) in [36, 0, 17].enumerated() {
        #expect(abs(found[row, column] - y[0, id]) <= 1e-6 * abs(y[0, id]))
      }
    }
    withExtendedLifetime((owner, unit, answer)) {}
  }

  @Test("a row of a weight in f32 is its row")
  func floatRows() throws {
    let kernels = try #require(KernelSet(named: "scalar"))
    let folder = try TemporaryFolder()
    var random = Generator(seed: 53)
    let weight = try tensor(.f32, outputs: 5, inputs: 7, in: folder, &random)
    let owner = Activations(count: 14)
    let found = owner.matrix(rows: 2, columns: 7)
    MatrixProduct(weight, kernels: kernels).rows([4, 1], into: found)
    let values = Array(UnsafeBufferPointer(start: weight.floats, count: 35))
    #expect(found.array() == Array(values[28..<35] + values[7..<14]))
    withExtendedLifetime(owner) {}
  }
}
