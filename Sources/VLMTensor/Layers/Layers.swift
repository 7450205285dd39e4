/// `y = epilogue(x Wᵀ)`; the scheme of the weights decides the kernel, not the layer.
package struct Linear: Sendable {
  package let product: MatrixProduct
  private let bias: Tensor?

  package init(
    _ weights: Weights, inputs: Int, outputs: Int, bias hasBias: Bool, role: TensorRole = .matrix
  ) throws(ModelError) {
    let weight = try weights.tensor("weight", [outputs, inputs], role)
    product = weights.product(weight)
    bias = try weights.vector("bias", outputs, if: hasBias)
  }

  package func callAsFunction(
    _ x: MatrixView, into y: MatrixView, activation: Activation = .none, gamma: Tensor? = nil,
    residual: MatrixView? = nil, _ scratch: MatrixProduct.Scratch
  ) {
    product(x, into: y, epilogue(activation, gamma, residual), scratch)
  }

  /// The same by all threads of a pool, for few rows and many weights.
  package func callAsFunction(
    _ x: MatrixView, into y: MatrixView, activation: Activation = .none, gamma: Tensor? = nil,
    residual: MatrixView? = nil, shared: MatrixProduct.Scratch, scratches: [MatrixProduct.Scratch],
    pool: WorkerPool
  ) {
    product(
      x, into: y, epilogue(activation, gamma, residual), shared: shared, scratches: scratches,
      pool: pool)
  }

  /// This layer as one of several that share an input: see `MatrixProduct.run`.
  package func task(
    into y: MatrixView, activation: Activation = .none, residual: MatrixView? = nil
  ) -> MatrixProduct.Task {
    MatrixProduct.Task(product, into: y, epilogue(activation, nil, residual))
  }

  private func epilogue(
    _ activation: Activation, _ gamma: Tensor?, _ residual: MatrixView?
  ) -> Epilogue {
    Epilogue(bias: bias, activation: activation, gamma: gamma, residual: residual)
  }
}

/// Normalisation over the channels of each row, never over space; biased variance.
package struct LayerNorm: Sendable {
  private let weight: Tensor?
  private let bias: Tensor?
  private let epsilon: Float
  private let kernels: KernelSet

  package init(_ weights: Weights, channels: Int, epsilon: Float) throws(ModelError) {
    weight = try weights.vector("weight", channels)
    bias = try weights.vector("bias", channels)
    self.epsilon = epsilon
    kernels = weights.kernels
  }

  /// `y` may be `x`.
  package func callAsFunction(_ x: MatrixView, into y: MatrixView) {
    kernels.layerNorm(x, weight: weight, bias: bias, epsilon: epsilon, into: y)
  }
}

/// A convolution run as a product over gathered windows.
package struct PatchConvolution: Sendable {
  package let geometry: PatchGeometry
  package let outputs: Int
  package let product: MatrixProduct
  private let bias: Tensor?

  /// - Parameter role: `.patchConvolution` where quantization does no harm, else `.convolution`.
  package init(
    _ weights: Weights, inputs: Int, outputs: Int, geometry: PatchGeometry, bias hasBias: Bool,
    role: TensorRole
  ) throws(ModelError) {
    let shape = [outputs, inputs, geometry.kernel, geometry.kernel]
    let weight = try weights.tensor("weight", shape, role)
    self.geometry = geometry
    self.outputs = outputs
    product = weights.product(weight)
    bias = try weights.vector("bias", outputs, if: hasBias)
  }

  /// `patches` as `PatchGeometry.gather` made them, to `[rows, outputs]`.
  package func callAsFunction(
    _ patches: MatrixView, into y: MatrixView, activation: Activation = .none,
    gamma: Tensor? = nil, residual: MatrixView? = nil, _ scratch: MatrixProduct.Scratch
  ) {
    product(
      patches, into: y,
      Epilogue(bias: bias, activation: activation, gamma: gamma, residual: residual), scratch)
  }

  /// The same by all threads of `pool`; see `MatrixProduct`.
  package func callAsFunction(
    _ patches: MatrixView, into y: MatrixView, activation: Activation = .none,
    shared: MatrixProduct.Scratch, scratches: [MatrixProduct.Scratch], pool: WorkerPool
  ) {
    product(
      patches, into: y, Epilogue(bias: bias, activation: activation), shared: shared,
      scratches: scratches, pool: pool)
  }
}

/// One filter per channel, stride 1, output the size of the input.
package struct DepthwiseConvolution: Sendable {
  private let weight: Tensor
  private let bias: Tensor?
  private let kernel: Int
  private let dilation: Int
  private let kernels: KernelSet

  package init(
    _ weights: Weights, channels: Int, kernel: Int, dilation: Int, bias hasBias: Bool
  ) throws(ModelError) {
    weight = try weights.tensor("weight", [channels, 1, kernel, kernel], .depthwise)
    bias = try weights.vector("bias", channels, if: hasBias)
    self.kernel = kernel
    self.dilation = dilation
    kernels = weights.kernels
  }

  /// Output lines `lines` of one image `[height * width, channels]`.
  package func callAsFunction(
    _ x: MatrixView, height: Int, width: Int, lines: Range<Int>, into y: MatrixView
  ) {
    kernels.depthwise(
      x, height: height, width: width, lines: lines, weight: weight, kernel: kernel,
      dilation: dilation, bias: bias, into: y)
  }
}
