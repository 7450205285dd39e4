import CVLMKernels
import Testing
import VLMTestSupport

@testable import VLMTensor

@Suite("products with activations of about 16 bits")
struct PreciseProductTests {
  static let sets = KernelSet.all.map(\.name)

  /// Two products of one input, and what they are added to.
  struct Setup {
    let kernels: KernelSet
    let products: [MatrixProduct]
    let bias: Tensor
    let rows: Int
    /// Every other row has one value a thousand times the others, for which 8 bits are too few.
    let values: [Float]
    let residual: [Float]
    let folder: TemporaryFolder
    static let inputs = 96
    static let outputs = [200, 70]

    init(_ name: String, rows: Int) throws {
      let set = try #require(KernelSet(named: name))
      let inputs = Self.inputs
      let place = try TemporaryFolder()
      var random = Generator(seed: 53)
      let maker = SharedProductTests()
      var products: [MatrixProduct] = []
      for (scheme, outputs) in zip([Scheme.q4, .q8], Self.outputs) {
        let weight = try maker.tensor(scheme, outputs: outputs, inputs: inputs, in: place, &random)
        products.append(MatrixProduct(weight, kernels: set))
      }
      self.products = products
      kernels = set
      folder = place
      bias = try maker.tensor(.f32, outputs: Self.outputs[0], inputs: 1, in: place, &random)
      self.rows = rows
      var values = random.floats(rows * inputs, -2...2)
      for row in stride(from: 0, to: rows, by: 2) { values[row * inputs + 5] = 2000 }
      self.values = values
      residual = random.floats(rows * Self.outputs[0], -3...3)
    }

    /// The first product with bias and residual, the second plain; of some rows.
    func run(_ range: Range<Int>, threads: Int) -> [[Float]] {
      let (count, inputs) = (range.count, Self.inputs)
      let pool = WorkerPool(threadCount: threads)
      let x = Activations(count: count * inputs)
      let input = x.matrix(rows: count, columns: inputs)
      input.assign(Array(values[range.lowerBound * inputs..<range.upperBound * inputs]))
      let shared = MatrixProduct.Scratch(rows: count, maximumInputs: inputs, kernels: kernels)
      let rest = MatrixProduct.Rest(
        rows: count, maximumInputs: inputs, threads: threads, kernels: kernels)
      let scratches = (0..<threads).map { _ in
        MatrixProduct.Scratch(rows: 1, maximumInputs: inputs, kernels: kernels)
      }
      let wide = Self.outputs[0]
      let owners = Self.outputs.map { Activations(count: count * $0) }
      let outputs = zip(owners, Self.outputs).map { $0.matrix(rows: count, columns: $1) }
      let added = Activations(count: count * wide)
      let residual = added.matrix(rows: count, columns: wide)
      residual.assign(Array(self.residual[range.lowerBound * wide..<range.upperBound * wide]))
      let tasks = [
        MatrixProduct.Task(
          products[0], into: outputs[0], Epilogue(bias: bias, residual: residual)),
        MatrixProduct.Task(products[1], into: outputs[1]),
      ]
      MatrixProduct.runPrecisely(
        tasks, of: input, shared: shared, rest: rest, scratches: scratches,
        pool: pool)
      let arrays = outputs.map { $0.array() }
      withExtendedLifetime((x, owners, added)) {}
      return arrays
    }
  }

  @Test(
    "a row has the same bits alone, among others, and on any number of threads", arguments: sets)
  func bits(name: String) throws {
    let setup = try Setup(name, rows: 37)
    let whole = setup.run(0..<37, threads: 1)
    for threads in [2, 3] { #expect(setup.run(0..<37, threads: threads) == whole) }
    for row in [0, 1, 10, 36] {
      let alone = setup.run(row..<row + 1, threads: 2)
      for (all, outputs) in zip(zip(whole, alone), Setup.outputs) {
        #expect(Array(all.0[row * outputs..<(row + 1) * outputs]) == all.1)
      }
    }
  }

  @Test("what the codes of a row leave over is added, however coarse they are")
  func error() throws {
    let setup = try Setup("scalar", rows: 6)
    let found = setup.run(0..<6, threads: 1)[1]
    let (inputs, outputs) = (Setup.inputs, Setup.outputs[1])
    let weights = Activations(count: outputs * inputs)
    let weight = weights.matrix(rows: outputs, columns: inputs)
    setup.products[1].rows(Array(0..<outputs), into: weight)
    for row in 0..<6 {
      for output in 0..<outputs {
        var (exact, size) = (0.0, 0.0)
        for column in 0..<inputs {
          let x = Double(setup.values[row * inputs + column])
          exact += x * Double(weight[output, column])
          size += abs(Double(weight[output, column]))
        }
        let at = row * outputs + output
        let range = row % 2 == 0 ? 2002.0 : 4.0
        // Half a step of the second codes, which cover one step of the first.
        let bound = size * range / 255 / 255 * 0.51 + abs(exact) * 1e-5 + 1e-4
        #expect(abs(Double(found[at]) - exact) <= bound)
      }
    }
    withExtendedLifetime(weights) {}
  }
}
