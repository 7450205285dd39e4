import VLMFoundation
import VLMTensor

/// Convolutions that make patches of pictures in several steps, as MobileCLIP-B has them (timm's
/// `ConvStem` without overlap): each reads squares of what the one before made, which tile it, and GELU
/// stands between two. What a batch norm follows is folded into its convolution.
struct PlainViTStem: Sendable {
  private let convolutions: [PatchConvolution]

  /// - Throws: `ModelError` when a tensor is missing or has another shape.
  init(_ weights: Weights, _ config: PlainViTConfig) throws(ModelError) {
    var (inputs, convolutions) = (3, [PatchConvolution]())
    for (index, layer) in config.stem.enumerated() {
      convolutions.append(
        try PatchConvolution(
          weights[index], inputs: inputs, outputs: layer.outputs,
          geometry: PatchGeometry(kernel: layer.kernel, stride: layer.kernel), bias: true,
          role: .convolution))
      inputs = layer.outputs
    }
    self.convolutions = convolutions
  }

  /// Memory for what leaves each convolution but the last.
  struct Maps {
    let extents: [MapExtent]
    private let memory: [Activations]

    /// - Parameter grid: of the last one's output.
    init(_ config: PlainViTConfig, _ grid: MapExtent) {
      extents = config.stemExtents(grid)
      memory = zip(config.stem, extents).dropLast().map {
        Activations(count: $0.outputs * $1.count)
      }
    }

    func view(_ index: Int, columns: Int) -> MatrixView {
      memory[index].matrix(rows: extents[index].count, columns: columns)
    }
  }

  /// Writes the patches of `pixels` to `patches`.
  ///
  /// - Parameter context: whose `inner` has room for the windows of a line of any of the maps.
  func callAsFunction(
    _ pixels: MatrixView, height: Int, width: Int, into patches: MatrixView, _ maps: Maps,
    _ context: TransformerContext
  ) {
    var (input, height, width) = (pixels, height, width)
    for (index, layer) in convolutions.enumerated() {
      let (extent, isLast) = (maps.extents[index], index == convolutions.count - 1)
      let output = isLast ? patches : maps.view(index, columns: layer.outputs)
      let columns = layer.geometry.kernel * layer.geometry.kernel * input.columns
      let step = max(1, context.rows / extent.width)
      for first in stride(from: 0, to: extent.height, by: step) {
        let lines = first..<min(first + step, extent.height)
        let windows = context.inner.matrix(rows: lines.count * extent.width, columns: columns)
        context.pool.forEach(count: lines.count) { [input, height, width] line, _ in
          layer.geometry.gather(
            input, height: height, width: width, lines: first + line..<first + line + 1,
            into: windows[line * extent.width..<(line + 1) * extent.width])
        }
        context.multiply(
          layer, windows,
          into: output[lines.lowerBound * extent.width..<lines.upperBound * extent.width],
          activation: isLast ? .none : .gelu)
      }
      (input, height, width) = (output, extent.height, extent.width)
    }
  }
}

extension PlainViTConfig {
  /// Features along both sides behind each convolution of the stem, from a grid of patches.
  func stemExtents(_ grid: MapExtent) -> [MapExtent] {
    var extents: [MapExtent] = []
    var extent = grid
    for layer in stem.reversed() {
      extents.insert(extent, at: 0)
      extent = MapExtent(
        height: extent.height * layer.kernel, width: extent.width * layer.kernel)
    }
    return extents
  }

  /// Values that a window of any of the stem's convolutions has at most.
  var widestStemWindow: Int {
    var (widest, inputs) = (0, 3)
    for layer in stem {
      widest = max(widest, layer.kernel * layer.kernel * inputs)
      inputs = layer.outputs
    }
    return widest
  }
}
