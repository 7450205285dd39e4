import Testing
import VLMTensor
import VLMTestSupport

/// Layers against what their formulas say, in double, on sizes that fill no vector.
struct LayerTests {
  /// Values of weights by name, and of inputs: the same for the same seed.
  private struct Numbers {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> Float {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return Float(Int32(truncatingIfNeeded: state >> 32)) / Float(1 << 31)
    }

    mutating func take(_ count: Int) -> [Float] { (0..<count).map { _ in next() } }
  }

  private let kernels: KernelSet

  init() throws { kernels = try KernelSet.selected() }

  private func weights(_ known: [String: [Float]]) throws -> Weights {
    Weights(try FloatWeights { known[$0] }, kernels: kernels)
  }

  /// `values` as a matrix; the owner is the first.
  private func matrix(_ values: [Float], columns: Int) -> (Activations, MatrixView) {
    let memory = Activations(count: max(1, values.count))
    let view = memory.matrix(rows: values.count / columns, columns: columns)
    view.assign(values)
    return (memory, view)
  }

  private func expectClose(
    _ found: MatrixView, _ expected: [Double], _ bound: Double = 1e-5,
    sourceLocation: SourceLocation = #_sourceLocation
  ) {
    let values = found.array()
    #expect(values.count == expected.count, sourceLocation: sourceLocation)
    let difference = zip(values, expected).map { abs(Double($0) - $1) }.max() ?? 0
    let scale = expected.reduce(1) { max($0, abs($1)) }
    #expect(difference <= bound * scale, sourceLocation: sourceLocation)
  }

  static let sizes: [(rows: Int, inputs: Int, outputs: Int)] = [
    (1, 1, 1), (1, 17, 3), (2, 33, 15), (5, 31, 16), (7, 64, 17), (19, 100, 33),
  ]

  @Test("a linear layer is a product, a bias, an activation, a scale and a sum", arguments: sizes)
  func linear(_ rows: Int, _ inputs: Int, _ outputs: Int) throws {
    var numbers = Numbers(seed: UInt64(rows * inputs))
    let (w, b) = (numbers.take(outputs * inputs), numbers.take(outputs))
    let (g, r) = (numbers.take(outputs), numbers.take(rows * outputs))
    let values = numbers.take(rows * inputs)
    let weights = try weights(["l.weight": w, "l.bias": b, "gamma": g])
    let layer = try Linear(weights["l"], inputs: inputs, outputs: outputs, bias: true)
    let gamma = try weights.tensor("gamma", [outputs], .vector)
    let (xOwner, x) = matrix(values, columns: inputs)
    let (rOwner, residual) = matrix(r, columns: outputs)
    let (yOwner, y) = matrix([Float](repeating: .nan, count: rows * outputs), columns: outputs)
    let scratch = MatrixProduct.Scratch(rows: rows, maximumInputs: inputs, kernels: kernels)
    layer(x, into: y, activation: .relu, gamma: gamma, residual: residual, scratch)
    var expected: [Double] = []
    for row in 0..<rows {
      for n in 0..<outputs {
        var sum = Double(b[n])
        for k in 0..<inputs { sum += Double(values[row * inputs + k]) * Double(w[n * inputs + k]) }
        expected.append(Double(r[row * outputs + n]) + Double(g[n]) * max(0, sum))
      }
    }
    expectClose(y, expected)

    // By all threads of a pool the same, and the same bits for any number of them.
    var bits: [[Float]] = []
    for threads in [1, 3] {
      let scratches = (0..<threads).map { _ in
        MatrixProduct.Scratch(rows: rows, maximumInputs: inputs, kernels: kernels)
      }
      y.fill(.nan)
      layer(
        x, into: y, activation: .relu, gamma: gamma, residual: residual, shared: scratch,
        scratches: scratches, pool: WorkerPool(threadCount: threads))
      expectClose(y, expected)
      bits.append(y.array())
    }
    #expect(bits[0] == bits[1])
    withExtendedLifetime((xOwner, rOwner, yOwner)) {}
  }

  @Test("norms over channels, each by its formula, in place too", arguments: [1, 3, 16, 31, 130])
  func norms(_ channels: Int) throws {
    let (rows, epsilon) = (5, 1e-5)
    var numbers = Numbers(seed: UInt64(channels))
    let (w, b) = (numbers.take(channels), numbers.take(channels))
    let values = numbers.take(rows * channels).map { $0 * 3 + 1 }
    let weights = try weights(["weight": w, "bias": b])
    func expected(_ kind: NormKind) -> [Double] {
      (0..<rows).flatMap { row -> [Double] in
        let x = values[row * channels..<(row + 1) * channels].map { Double($0) }
        let mean = x.reduce(0, +) / Double(channels)
        let spread = x.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
        let squares = x.reduce(0) { $0 + $1 * $1 }
        return x.indices.map { i -> Double in
          switch kind {
          case .layer:
            let variance = spread / Double(channels)
            return (x[i] - mean) / (variance + epsilon).squareRoot() * Double(w[i]) + Double(b[i])
          case .rms:
            return x[i] / (squares / Double(channels) + epsilon).squareRoot() * Double(w[i])
          case .simple:
            let variance = spread / Double(channels - 1)
            return x[i] / (variance + epsilon).squareRoot() * Double(w[i])
          }
        }
      }
    }
    for kind in NormKind.allCases where channels > 1 || kind != .simple {
      let norm = try ChannelNorm(weights, channels: channels, epsilon: Float(epsilon), kind)
      let (xOwner, x) = matrix(values, columns: channels)
      let (yOwner, y) = matrix([Float](repeating: .nan, count: values.count), columns: channels)
      norm(x, into: y)
      expectClose(y, expected(kind))
      norm(x, into: x)
      #expect(x.array() == y.array(), "\(kind)")
      withExtendedLifetime((xOwner, yOwner)) {}
    }
  }

  @Test("a batch norm is what training left of a column", arguments: [false, true])
  func batchNorm(_ affine: Bool) throws {
    let (rows, channels) = (3, 19)
    var numbers = Numbers(seed: 5)
    let (mean, variance) = (numbers.take(channels), numbers.take(channels).map { abs($0) })
    let (w, b) = (numbers.take(channels), numbers.take(channels))
    let values = numbers.take(rows * channels)
    var known = ["mean": mean, "variance": variance]
    if affine { known["weight"] = w; known["bias"] = b }
    let norm = try BatchNorm(
      weights(known), channels: channels, epsilon: 1e-5, affine: affine)
    let (owner, x) = matrix(values, columns: channels)
    norm(x)
    let expected = values.indices.map { index -> Double in
      let c = index % channels
      let y = (Double(values[index]) - Double(mean[c])) / (Double(variance[c]) + 1e-5).squareRoot()
      return affine ? y * Double(w[c]) + Double(b[c]) : y
    }
    expectClose(x, expected)
    withExtendedLifetime(owner) {}
  }

  @Test("an embedding's rows come in the order of the ids, as often as they are named")
  func embedding() throws {
    let (count, dimension) = (11, 37)
    var numbers = Numbers(seed: 7)
    let table = numbers.take(count * dimension)
    let embedding = try Embedding(
      weights(["weight": table]), count: count, dimension: dimension)
    let ids = [10, 0, 3, 3]
    let (owner, y) = matrix(
      [Float](repeating: .nan, count: ids.count * dimension), columns: dimension)
    embedding(ids, into: y)
    #expect(y.array() == ids.flatMap { table[$0 * dimension..<($0 + 1) * dimension] })
    withExtendedLifetime(owner) {}
  }

  static let windows: [(geometry: PatchGeometry, height: Int, width: Int, inputs: Int)] = [
    (PatchGeometry(kernel: 4, stride: 4), 8, 12, 3), (PatchGeometry(kernel: 2, stride: 2), 5, 7, 5),
    (PatchGeometry(kernel: 3, stride: 2, padding: 1, trailingPadding: 1), 7, 6, 4),
  ]

  /// Weights lie as PyTorch has them, `[outputs, inputs, kernel, kernel]`; windows channels last.
  @Test("a convolution over gathered windows is a convolution", arguments: windows)
  func convolution(
    _ geometry: PatchGeometry, _ height: Int, _ width: Int, _ inputs: Int
  ) throws {
    let (outputs, kernel) = (18, geometry.kernel)
    var numbers = Numbers(seed: UInt64(kernel * width))
    let (w, b) = (numbers.take(outputs * inputs * kernel * kernel), numbers.take(outputs))
    let values = numbers.take(height * width * inputs)
    // Stored as a container stores it: taps before channels.
    let stored = (0..<outputs).flatMap { n in
      (0..<kernel * kernel).flatMap { tap in
        (0..<inputs).map { c in w[(n * inputs + c) * kernel * kernel + tap] }
      }
    }
    let layer = try PatchConvolution(
      weights(["weight": stored, "bias": b]), inputs: inputs, outputs: outputs, geometry: geometry,
      bias: true, role: .patchConvolution)
    let (lines, columns) = (geometry.outputExtent(height), geometry.outputExtent(width))
    let (xOwner, x) = matrix(values, columns: inputs)
    let window = kernel * kernel * inputs
    let (pOwner, patches) = matrix(
      [Float](repeating: .nan, count: lines * columns * window), columns: window)
    geometry.gather(x, height: height, width: width, lines: 0..<lines, into: patches)
    let (yOwner, y) = matrix(
      [Float](repeating: .nan, count: lines * columns * outputs), columns: outputs)
    layer(
      patches, into: y,
      MatrixProduct.Scratch(rows: lines * columns, maximumInputs: window, kernels: kernels))
    var expected: [Double] = []
    for line in 0..<lines {
      for column in 0..<columns {
        for n in 0..<outputs {
          var sum = Double(b[n])
          for dy in 0..<kernel {
            for dx in 0..<kernel {
              let iy = line * geometry.stride + dy - geometry.padding
              let ix = column * geometry.stride + dx - geometry.padding
              guard (0..<height).contains(iy), (0..<width).contains(ix) else { continue }
              for c in 0..<inputs {
                sum +=
                  Double(values[(iy * width + ix) * inputs + c])
                  * Double(w[((n * inputs + c) * kernel + dy) * kernel + dx])
              }
            }
          }
          expected.append(sum)
        }
      }
    }
    expectClose(y, expected)
    withExtendedLifetime((xOwner, pOwner, yOwner)) {}
  }

  @Test("a depthwise convolution has a filter a channel, zeros outside", arguments: [3, 7])
  func depthwise(_ kernel: Int) throws {
    let (height, width, channels) = (6, 9, 19)
    var numbers = Numbers(seed: UInt64(kernel))
    let (w, b) = (numbers.take(channels * kernel * kernel), numbers.take(channels))
    let values = numbers.take(height * width * channels)
    // Taps first, as a container stores it.
    let stored = (0..<kernel * kernel).flatMap { tap in
      (0..<channels).map { c in w[c * kernel * kernel + tap] }
    }
    let layer = try DepthwiseConvolution(
      weights(["weight": stored, "bias": b]), channels: channels, kernel: kernel, dilation: 1,
      bias: true)
    let (xOwner, x) = matrix(values, columns: channels)
    let (yOwner, y) = matrix([Float](repeating: .nan, count: values.count), columns: channels)
    for lines in [0..<2, 2..<height] {
      layer(
        x, height: height, width: width, lines: lines,
        into: y[lines.lowerBound * width..<lines.upperBound * width])
    }
    var expected: [Double] = []
    for line in 0..<height {
      for column in 0..<width {
        for c in 0..<channels {
          var sum = Double(b[c])
          for dy in 0..<kernel {
            for dx in 0..<kernel {
              let (iy, ix) = (line + dy - kernel / 2, column + dx - kernel / 2)
              guard (0..<height).contains(iy), (0..<width).contains(ix) else { continue }
              sum +=
                Double(values[(iy * width + ix) * channels + c])
                * Double(w[(c * kernel + dy) * kernel + dx])
            }
          }
          expected.append(sum)
        }
      }
    }
    expectClose(y, expected)
    withExtendedLifetime((xOwner, yOwner)) {}
  }

  @Test(
    "a convolution in groups makes several channels of each, with a stride",
    arguments: [(3, 1, 2), (3, 2, 1), (7, 2, 2), (5, 2, 3), (7, 1, 1)])
  func groups(_ form: (kernel: Int, stride: Int, multiplier: Int)) throws {
    let (kernel, step, multiplier) = form
    let (height, width, inputs) = (9, 6, 5)
    let channels = inputs * multiplier
    var numbers = Numbers(seed: UInt64(kernel * 8 + step))
    let (w, b) = (numbers.take(channels * kernel * kernel), numbers.take(channels))
    let values = numbers.take(height * width * inputs)
    let stored = (0..<kernel * kernel).flatMap { tap in
      (0..<channels).map { c in w[c * kernel * kernel + tap] }
    }
    let layer = try GroupedConvolution(
      weights(["weight": stored, "bias": b]), inputs: inputs, multiplier: multiplier,
      kernel: kernel, stride: step)
    let (outputHeight, outputWidth) = (layer.outputExtent(height), layer.outputExtent(width))
    let (xOwner, x) = matrix(values, columns: inputs)
    let (yOwner, y) = matrix(
      [Float](repeating: .nan, count: outputHeight * outputWidth * channels), columns: channels)
    for lines in [0..<1, 1..<3, 3..<outputHeight] {
      // Only the lines that are needed.
      let needed = layer.inputLines(lines, height: height)
      layer(
        x[needed.lowerBound * width..<needed.upperBound * width], from: needed.lowerBound,
        height: height, width: width, lines: lines,
        into: y[lines.lowerBound * outputWidth..<lines.upperBound * outputWidth],
        scratch: Activations(count: max(1, layer.scratchCount(lines: lines.count, width: width))))
    }
    var expected: [Double] = []
    for line in 0..<outputHeight {
      for column in 0..<outputWidth {
        for c in 0..<channels {
          var sum = Double(b[c])
          for dy in 0..<kernel {
            for dx in 0..<kernel {
              let (iy, ix) = (line * step + dy - kernel / 2, column * step + dx - kernel / 2)
              guard (0..<height).contains(iy), (0..<width).contains(ix) else { continue }
              sum +=
                Double(values[(iy * width + ix) * inputs + c / multiplier])
                * Double(w[(c * kernel + dy) * kernel + dx])
            }
          }
          expected.append(sum)
        }
      }
    }
    expectClose(y, expected)
    withExtendedLifetime((xOwner, yOwner)) {}
  }
}
