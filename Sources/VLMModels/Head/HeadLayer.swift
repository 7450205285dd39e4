import VLMFoundation
import VLMTensor

#if canImport(Glibc)
  import Glibc
#endif

/// One of the layers that people put on an image model's feature in place of its own classifier.
package enum HeadLayer: Sendable, Equatable {
  case linear(outputs: Int, bias: Bool)
  case layerNorm(epsilon: Float)
  /// Batch normalisation with the statistics of training: a scale and a shift.
  case batchNorm(epsilon: Float, affine: Bool)
  case activation(HeadActivation)

  /// What PyTorch's norms have unless they are told otherwise.
  package static let defaultEpsilon: Float = 1e-5
}

/// Nonlinearities between the layers of a head.
package enum HeadActivation: String, Sendable, CaseIterable {
  case gelu
  case geluTanh = "gelu_tanh"
  case quickGELU = "quick_gelu"
  case relu
  case leakyReLU = "leaky_relu"
  case elu
  case silu
  case mish
  case hardswish
  case tanh
  case sigmoid

  /// A head has a row per image: f64 costs nothing here.
  func callAsFunction(_ x: Double) -> Double {
    switch self {
    case .gelu: x / 2 * (1 + erf(x / 2.0.squareRoot()))
    case .geluTanh:
      x / 2 * (1 + Glibc.tanh((2 / Double.pi).squareRoot() * (x + 0.044715 * x * x * x)))
    case .quickGELU: x / (1 + exp(-1.702 * x))
    case .relu: max(0, x)
    case .leakyReLU: x >= 0 ? x : 0.01 * x
    case .elu: x >= 0 ? x : expm1(x)
    case .silu: x / (1 + exp(-x))
    case .mish: x * Glibc.tanh(x > 40 ? x : log1p(exp(x)))
    case .hardswish: x * min(max(x + 3, 0), 6) / 6
    case .tanh: Glibc.tanh(x)
    case .sigmoid: 1 / (1 + exp(-x))
    }
  }
}

extension [HeadLayer] {
  /// Layers that a head may have, so that a few bytes cannot ask for many tensors.
  static var maximumCount: Int { 64 }

  /// Values that leave the last layer, for `inputs` that enter the first.
  package func outputs(inputs: Int) -> Int {
    reduce(inputs) { width, layer in
      if case .linear(let outputs, _) = layer { outputs } else { width }
    }
  }

  /// - Throws: `ModelError` for numbers that no head has.
  func validate(_ place: String) throws(ModelError) {
    try ModelError.check("\(place).layers", count, 0...Self.maximumCount)
    for (index, layer) in enumerated() {
      switch layer {
      case .linear(let outputs, _):
        try ModelError.check("\(place).layers[\(index)].outputs", outputs, 1...10_000_000)
      case .layerNorm(let epsilon), .batchNorm(let epsilon, _):
        guard epsilon > 0, epsilon < 1 else {
          throw ModelError(
            .configuration(
              field: "\(place).layers[\(index)].epsilon", found: "\(epsilon)",
              expected: "a number between 0 and 1"))
        }
      case .activation: break
      }
    }
    let linear = lastIndex { if case .linear = $0 { true } else { false } }
    var width = 0
    for case .linear(let outputs, _) in self[..<(linear ?? 0)] { width = Swift.max(width, outputs) }
    // What enters a product has the limits of every matrix.
    try ModelError.check("\(place).width", width, 0...TensorFormat.maximumInputs)
  }

  /// The layers as an array of objects, each with its `type`.
  var json: JSONValue {
    .array(
      map { layer in
        var object = JSONObject()
        switch layer {
        case .linear(let outputs, let bias):
          object.set("type", "linear")
          object.set("outputs", .int(outputs))
          object.set("bias", .bool(bias))
        case .layerNorm(let epsilon):
          object.set("type", "layer_norm")
          object.set("epsilon", .double(epsilon.shortestDouble))
        case .batchNorm(let epsilon, let affine):
          object.set("type", "batch_norm")
          object.set("epsilon", .double(epsilon.shortestDouble))
          object.set("affine", .bool(affine))
        case .activation(let kind):
          object.set("type", "activation")
          object.set("name", .string(kind.rawValue))
        }
        return .object(object)
      })
  }

  /// Reads what `json` wrote, from the field "layers".
  init(_ fields: ConfigFields) throws(ModelError) {
    self = []
    for entry in try fields.objects("layers", limit: Self.maximumCount) {
      switch try entry.string("type") {
      case "linear":
        append(.linear(outputs: try entry.int("outputs"), bias: try entry.bool("bias")))
      case "layer_norm": append(.layerNorm(epsilon: Float(try entry.double("epsilon"))))
      case "batch_norm":
        append(
          .batchNorm(
            epsilon: Float(try entry.double("epsilon")), affine: try entry.bool("affine")))
      case "activation":
        let name = try entry.string("name")
        guard let kind = HeadActivation(rawValue: name) else {
          throw entry.unexpected(
            "name", name,
            expected: HeadActivation.allCases.map(\.rawValue).joined(separator: ", "))
        }
        append(.activation(kind))
      case let other:
        throw entry.unexpected(
          "type", other, expected: "linear, layer_norm, batch_norm or activation")
      }
    }
  }
}

/// The layers of a head with their weights.
struct HeadStack: Sendable {
  private enum Step: Sendable {
    case linear(Linear, outputs: Int)
    case layerNorm(LayerNorm)
    case batchNorm(BatchNorm)
    case activation(HeadActivation)
  }

  private let steps: [Step]
  private let widest: Int
  private let maximumInputs: Int
  private let kernels: KernelSet

  /// - Parameters:
  ///   - weights: the scope of the list; layer 2's tensors are in its "2".
  ///   - role: of the last linear layer.
  init(
    _ weights: Weights, inputs: Int, _ layers: [HeadLayer], role finalRole: TensorRole = .head
  ) throws(ModelError) {
    var (width, widest, maximumInputs) = (inputs, inputs, 1)
    var steps: [Step] = []
    let last = layers.lastIndex { if case .linear = $0 { true } else { false } }
    for (index, layer) in layers.enumerated() {
      switch layer {
      case .linear(let outputs, let bias):
        let role = index == last ? finalRole : .matrix
        steps.append(
          .linear(
            try Linear(weights[index], inputs: width, outputs: outputs, bias: bias, role: role),
            outputs: outputs))
        maximumInputs = max(maximumInputs, width)
        width = outputs
        widest = max(widest, outputs)
      case .layerNorm(let epsilon):
        steps.append(
          .layerNorm(try LayerNorm(weights[index], channels: width, epsilon: epsilon)))
      case .batchNorm(let epsilon, let affine):
        steps.append(
          .batchNorm(
            try BatchNorm(weights[index], channels: width, epsilon: epsilon, affine: affine)))
      case .activation(let kind): steps.append(.activation(kind))
      }
    }
    self.steps = steps
    self.widest = widest
    self.maximumInputs = maximumInputs
    kernels = weights.kernels
  }

  /// - Parameters:
  ///   - rows: the features, row by row, each of `inputs` values.
  ///   - observe: sees what leaves each layer but the last, by its place in the list.
  /// - Returns: what leaves the last layer, row by row.
  func callAsFunction(
    _ features: [Float], rows: Int, observe: (Int, MatrixView) -> Void = { _, _ in }
  ) -> [Float] {
    guard rows > 0 else { return [] }
    let memory = [Activations(count: rows * widest), Activations(count: rows * widest)]
    defer { withExtendedLifetime(memory) {} }
    let scratch = MatrixProduct.Scratch(rows: rows, maximumInputs: maximumInputs, kernels: kernels)
    var x = memory[0].matrix(rows: rows, columns: features.count / rows)
    x.assign(features)
    var current = 0
    for (index, step) in steps.enumerated() {
      switch step {
      case .linear(let linear, let outputs):
        current = 1 - current
        let y = memory[current].matrix(rows: rows, columns: outputs)
        linear(x, into: y, scratch)
        x = y
      case .layerNorm(let norm): norm(x, into: x)
      case .batchNorm(let norm): norm(x)
      case .activation(let kind): x.assign(x.array().map { Float(kind(Double($0))) })
      }
      if index < steps.count - 1 { observe(index, x) }
    }
    return x.array()
  }
}
