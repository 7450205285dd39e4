/// What a tensor is for in its model. The quantization policy goes by this, never by a name.
package enum TensorRole: Sendable, Hashable, CaseIterable {
  /// `[outputs, inputs]`, multiplied; none of the more particular matrices below.
  case matrix
  /// A convolution whose stride is its kernel, run as a matrix over patches.
  case patchConvolution
  /// `[channels, 1, height, width]`, one filter for each channel.
  case depthwise
  /// Norms, biases, layer scales and other vectors.
  case vector
  /// A convolution with overlapping windows, as in overlapped stems.
  case convolution
  /// A matrix whose product is the model's answer: a classifier, a language model's head.
  case head
  /// A table whose rows are looked up and nothing else.
  case embedding
  /// The matrix that makes the values of a language model's attention, `[values, hidden]`.
  case valueProjection
  /// The last matrix of a gated feed-forward layer, `[hidden, wide]`; its product is added to the
  /// residual stream.
  case downProjection

  /// The order of the axes in which layers want a tensor of this role stored.
  package var order: AxisOrder {
    switch self {
    case .matrix, .head, .embedding, .valueProjection, .downProjection, .vector: .natural
    case .patchConvolution, .convolution: .channelsLast
    case .depthwise: .tapsFirst
    }
  }

  /// Whether it is run as a matrix, so that it is stored in panels in the schemes that have them.
  package var isMatrix: Bool {
    switch self {
    case .matrix, .head, .embedding, .valueProjection, .downProjection: true
    case .patchConvolution, .convolution: true
    case .depthwise, .vector: false
    }
  }

  /// Whether it may be stored in fewer bits than f32. Depthwise filters, overlapped stems, norms,
  /// scales and biases hold about a percent of the parameters and suffer most: they stay whole.
  package var isQuantizable: Bool { isMatrix && self != .convolution }
}
