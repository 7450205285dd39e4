import VLMFoundation
import VLMTensor

/// What takes visual tokens to the language model's width: LLaVA's `mm_projector_type`.
package struct ProjectorConfig: Sendable, Equatable {
  /// Linear layers, GELU (erf) between them: 0 is "identity", 1 "linear", n "mlpNx_gelu".
  package var layers: Int
  package var inputs: Int
  package var outputs: Int
  /// Whether each layer has a bias.
  package var hasBias: Bool

  package init(layers: Int, inputs: Int, outputs: Int, hasBias: Bool = true) {
    self.layers = layers
    self.inputs = inputs
    self.outputs = outputs
    self.hasBias = hasBias
  }

  /// The number of layers that `mm_projector_type` states, nil for a type unknown here.
  package static func layers(ofType type: String) -> Int? {
    switch type {
    case "identity": return 0
    case "linear": return 1
    default:
      guard type.hasPrefix("mlp"), type.hasSuffix("x_gelu") else { return nil }
      guard let depth = Int(type.dropFirst(3).dropLast(6)), maximumLayers.contains(depth) else {
        return nil
      }
      return depth
    }
  }

  private static let maximumLayers = 0...16

  package func validate() throws(ModelError) {
    let width = 1...TensorFormat.maximumInputs
    let facts = [
      ("layers", layers, Self.maximumLayers), ("inputs", inputs, width),
      ("outputs", outputs, width),
    ]
    for (field, value, range) in facts where !range.contains(value) {
      throw ModelError(
        .configuration(
          field: "projector.\(field)", found: "\(value)",
          expected: "\(range.lowerBound) to \(range.upperBound)"))
    }
    guard layers > 0 || inputs == outputs else {
      throw ModelError(
        .configuration(
          field: "projector.layers", found: "0 from \(inputs) to \(outputs)",
          expected: "at least 1, where widths differ"))
    }
  }

  package var json: JSONValue {
    var object = JSONObject()
    object.set("layers", .int(layers))
    object.set("inputs", .int(inputs))
    object.set("outputs", .int(outputs))
    if !hasBias { object.set("bias", false) }
    return .object(object)
  }

  package init(json: JSONValue) throws(ModelError) {
    let fields = ConfigFields(json, path: "projector")
    layers = try fields.int("layers")
    inputs = try fields.int("inputs")
    outputs = try fields.int("outputs")
    hasBias = try fields.bool("bias", default: true)
    try validate()
  }
}

package struct Projector: Sendable {
  package let config: ProjectorConfig
  private let layers: [Linear]
  private let kernels: KernelSet

  /// - Throws: `ModelError` when a tensor is missing or has another shape.
  package init(_ weights: Weights, _ config: ProjectorConfig) throws(ModelError) {
    self.config = config
    var layers: [Linear] = []
    for index in 0..<config.layers {
      layers.append(
        try Linear(
          weights[index], inputs: index == 0 ? config.inputs : config.outputs,
          outputs: config.outputs, bias: config.hasBias))
    }
    self.layers = layers
    kernels = weights.kernels
  }

  /// - Parameters:
  ///   - tokens: `[count, inputs]`.
  ///   - output: `[count, outputs]`, not overlapping `tokens`.
  /// - Throws: `ModelError` when the system has no memory for the hidden layer.
  package func callAsFunction(
    _ tokens: MatrixView, into output: MatrixView, pool: WorkerPool
  ) throws(ModelError) {
    guard let last = layers.last else { return output.assign(tokens.array()) }
    let widest = max(config.inputs, config.outputs)
    let shared = MatrixProduct.Scratch(
      rows: tokens.rows, maximumInputs: widest, kernels: kernels)
    let scratches = (0..<pool.threadCount).map { _ in
      MatrixProduct.Scratch(rows: 1, maximumInputs: widest, kernels: kernels)
    }
    var hidden: [Activations] = []
    for _ in 0..<min(2, layers.count - 1) {
      hidden.append(
        try Activations(count: tokens.rows * config.outputs, for: "the projector's hidden layer"))
    }
    var current = tokens
    for (index, layer) in layers.dropLast().enumerated() {
      let next = hidden[index % 2].matrix(rows: tokens.rows, columns: config.outputs)
      layer(
        current, into: next, activation: .gelu, shared: shared, scratches: scratches, pool: pool)
      current = next
    }
    last(current, into: output, shared: shared, scratches: scratches, pool: pool)
    withExtendedLifetime(hidden) {}
  }
}
