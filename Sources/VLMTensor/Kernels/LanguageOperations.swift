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
