import VLMFoundation
import VLMTensor

/// Geometry of a stack of pre-norm transformer layers with biases, as both of CLIP's towers are.
package struct TransformerConfig: Sendable, Equatable {
  package var width: Int
  /// Layers that run; a tower whose last layers nobody reads has fewer than its checkpoint.
  package var layers: Int
  package var heads: Int
  /// Width of the layer's inner product.
  package var hidden: Int
  package var activation: Activation
  package var epsilon: Float

  package static let defaultEpsilon: Float = 1e-5

  package init(
    width: Int, layers: Int, heads: Int, hidden: Int, activation: Activation,
    epsilon: Float = TransformerConfig.defaultEpsilon
  ) {
    self.width = width
    self.layers = layers
    self.heads = heads
    self.hidden = hidden
    self.activation = activation
    self.epsilon = epsilon
  }

  package var headDimension: Int { width / max(1, heads) }

  /// Refuses what no such model has, so that later arithmetic on the numbers cannot overflow.
  ///
  /// - Parameter least: layers, 0 where what enters the first one may be all that is read.
  package func validate(_ place: String, least: Int = 1) throws(ModelError) {
    let columns = 1...TensorFormat.maximumInputs
    try ModelError.check("\(place).width", width, columns)
    try ModelError.check("\(place).layers", layers, least...1000)
    try ModelError.check("\(place).heads", heads, 1...1024)
    try ModelError.check("\(place).hidden", hidden, columns)
    guard width % heads == 0 else {
      throw ModelError(
        .configuration(
          field: "\(place).heads", found: "\(heads)", expected: "a divisor of the width \(width)"))
    }
    guard epsilon > 0, epsilon < 1 else {
      throw ModelError(
        .configuration(
          field: "\(place).epsilon", found: "\(epsilon)", expected: "a number between 0 and 1"))
    }
  }

  package var json: JSONValue {
    [
      "width": .int(width), "layers": .int(layers), "heads": .int(heads), "hidden": .int(hidden),
      "activation": .string(activation.rawValue), "epsilon": .double(epsilon.shortestDouble),
    ]
  }

  init(_ fields: ConfigFields) throws(ModelError) {
    width = try fields.int("width")
    layers = try fields.int("layers")
    heads = try fields.int("heads")
    hidden = try fields.int("hidden")
    activation = try fields.activation("activation")
    epsilon = Float(try fields.double("epsilon"))
  }
}
