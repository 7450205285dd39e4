import CVLMKernels

/// Row kernels of language models. Every function runs on the calling thread.
extension KernelSet {
  /// `x / √(mean of x² + epsilon) * weight` over the columns of each row. `output` may be `input`.
  package func rmsNorm(
    _ input: MatrixView, weight: Tensor, epsilon: Float, into output: MatrixView
  ) {
    precondition(input.rows == output.rows && input.columns == output.columns, "same shape")
    precondition(weight.elementCount == input.columns, "weight per column")
    table.pointee.rms_norm_f32(
      input.rows, input.columns, input.base, input.stride, weight.floats, epsilon, output.base,
      output.stride)
  }

  /// Rotary positions in place: turns the pair (x[i], x[i + headDimension/2]) of each head by the
  /// angle whose cosine and sine stand in column i.
  ///
  /// - Parameters:
  ///   - x: `[rows, heads * headDimension]`.
  ///   - cosines: `[rows, headDimension / 2]`, a row for each row of x.
  ///   - sines: the same shape and stride.
  package func rotateHalf(_ x: MatrixView, heads: Int, cosines: MatrixView, sines: MatrixView) {
    precondition(heads > 0 && x.columns % heads == 0, "whole heads")
    let dimension = x.columns / heads
    precondition(dimension % 2 == 0, "pairs")
    precondition(cosines.rows == x.rows && cosines.columns == dimension / 2, "angles per row")
    precondition(sines.rows == x.rows && sines.columns == dimension / 2, "angles per row")
    precondition(sines.stride == cosines.stride, "cosines and sines laid out alike")
    table.pointee.rotate_half_f32(
      x.rows, heads, dimension, x.base, x.stride, cosines.base, sines.base, cosines.stride)
  }

  /// The same of heads of which only the first elements turn, twice as many as there are angles.
  ///
  /// - Parameters:
  ///   - x: `[rows, heads * headDimension]`.
  ///   - cosines: `[rows, turned / 2]`, `turned` at most `headDimension`.
  package func rotatePart(_ x: MatrixView, heads: Int, cosines: MatrixView, sines: MatrixView) {
    precondition(heads > 0 && x.columns % heads == 0, "whole heads")
    let (dimension, turned) = (x.columns / heads, cosines.columns * 2)
    precondition(turned <= dimension && cosines.rows == x.rows, "angles per row")
    precondition(sines.rows == x.rows && sines.columns == cosines.columns, "angles per row")
    precondition(sines.stride == cosines.stride, "cosines and sines laid out alike")
    for head in 0..<heads {
      table.pointee.rotate_half_f32(
        x.rows, 1, turned, x.base + head * dimension, x.stride, cosines.base, sines.base,
        cosines.stride)
    }
  }

  /// `rmsNorm` of each head of each row by itself, in place.
  ///
  /// - Parameters:
  ///   - x: `[rows, heads * headDimension]`.
  ///   - weight: `[headDimension]`.
  package func rmsNorm(ofHeads x: MatrixView, weight: Tensor, epsilon: Float) {
    let dimension = weight.elementCount
    precondition(dimension > 0 && x.columns % dimension == 0, "whole heads")
    for row in 0..<x.rows {
      let start = x.base + row * x.stride
      table.pointee.rms_norm_f32(
        x.columns / dimension, dimension, start, dimension, weight.floats, epsilon, start, dimension
      )
    }
  }

  /// `x = cap tanh(x / cap)`, in place.
  ///
  /// - Precondition: `cap` is above 0.
  package func softCap(_ x: MatrixView, cap: Float) {
    precondition(cap > 0, "a cap")
    for row in 0..<x.rows {
      let start = x.base + row * x.stride
      table.pointee.soft_cap_f32(x.columns, cap, start, start)
    }
  }

  /// `y = x + y`.
  package func add(_ x: MatrixView, to y: MatrixView) {
    precondition(x.rows == y.rows && x.columns == y.columns, "same shape")
    var sum = vlm_epilogue(
      bias: nil, gamma: nil, residual: x.base, residual_stride: x.stride,
      activation: VLM_ACTIVATION_NONE)
    table.pointee.epilogue_f32(y.rows, y.columns, y.base, y.stride, &sum)
  }

  /// `y = activation(gate) * up`; `output` may be either of them.
  package func gate(
    _ activation: Activation, _ gate: MatrixView, times up: MatrixView, into output: MatrixView
  ) {
    precondition(gate.rows == up.rows && gate.columns == up.columns, "same shape")
    precondition(gate.rows == output.rows && gate.columns == output.columns, "same shape")
    table.pointee.gate_f32(
      gate.rows, gate.columns, activation.kernel, gate.base, gate.stride, up.base, up.stride,
      output.base, output.stride)
  }
}
