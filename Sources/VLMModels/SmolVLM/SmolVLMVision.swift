import VLMFoundation
import VLMTensor

/// SmolVLM's vision tower as transformers' `Idefics3VisionTransformer` computes it, one tile at a time,
/// and the pixel shuffle of `Idefics3Connector`.
package final class SmolVLMVision: Sendable {
  package let config: SmolVLMVisionConfig
  private let patchEmbedding: PatchConvolution
  /// `[side * side, width]`.
  private let positions: Tensor
  private let layers: [TransformerLayer]
  private let postNorm: LayerNorm

  /// - Throws: `ModelError` when a tensor is missing or has another shape.
  package init(_ weights: Weights, _ config: SmolVLMVisionConfig) throws(ModelError) {
    self.config = config
    let (width, embeddings) = (config.encoder.width, weights["embeddings"])
    patchEmbedding = try PatchConvolution(
      embeddings["patch"], inputs: 3, outputs: width,
      geometry: PatchGeometry(kernel: config.patchSize, stride: config.patchSize), bias: true,
      role: .patchConvolution)
    positions = try embeddings.tensor(
      "position", [config.tableSide * config.tableSide, width], .vector)
    var layers: [TransformerLayer] = []
    for index in 0..<config.encoder.layers {
      layers.append(try TransformerLayer(weights["layers"][index], config.encoder, .separate))
    }
    self.layers = layers
    postNorm = try LayerNorm(
      weights["post_norm"], channels: width, epsilon: config.encoder.epsilon)
  }

  /// How a context for this tower keeps keys and values.
  var keyValueFormat: KeyValueFormat { layers.first?.keyValueFormat ?? .f32 }

  /// Runs the tower on the tile that `context.pixels` holds.
  ///
  /// - Parameter cancelled: looked at before each layer.
  /// - Returns: the patches behind the last norm, `[patches, width]` in the context's memory, in the
  ///   order of its positions.
  /// - Throws: `ModelError` with `.cancelled` once the flag is.
  func patches(
    _ context: SmolVLMContext, cancelled: CancellationFlag?, observe: TowerObserver?
  ) throws(ModelError) -> MatrixView {
    let tokens = context.rows
    embed(into: tokens, context)
    context.show(.hidden(0), tokens, observe)
    for (index, layer) in layers.enumerated() {
      try ModelError.check(cancelled)
      layer(tokens, keys: context.positions.validCount, context.transformer)
      context.show(.hidden(index + 1), tokens, observe)
    }
    context.transformer.forRows(tokens.rows) { postNorm(tokens[$0], into: tokens[$0]) }
    context.show(.last, tokens, observe)
    return tokens
  }

  /// The patches with their positions.
  private func embed(into tokens: MatrixView, _ context: SmolVLMContext) {
    context.transformer.multiply(patchEmbedding, context.gatherPatches(), into: tokens)
    let (rows, columns) = (context.positions.rows, tokens.columns)
    context.transformer.forRows(tokens.rows) { part in
      for place in part {
        let vector = positions.floats + rows[place] * columns
        for column in 0..<columns { tokens[place, column] += vector[column] }
      }
    }
    context.arrange(tokens)
  }

  /// Pixel shuffle: the patches of a block one behind the other, from its top left, row by row.
  ///
  /// - Parameters:
  ///   - tokens: in the order of the context's positions.
  ///   - output: `[features, config.featureColumns]`.
  func shuffle(_ tokens: MatrixView, _ context: SmolVLMContext, into output: MatrixView) {
    let (side, width, across) = (config.shuffle, config.encoder.width, context.grid.width)
    let places = context.rowOfPlace
    let columns = context.featureGrid.width
    context.transformer.forRows(output.rows) { part in
      for feature in part {
        let (top, left) = (feature / columns * side, feature % columns * side)
        for inner in 0..<side * side {
          let place = (top + inner / side) * across + left + inner % side
          let row = places.isEmpty ? place : places[place]
          output[feature..<feature + 1][columns: inner * width..<(inner + 1) * width]
            .copy(tokens[row..<row + 1])
        }
      }
    }
  }
}
