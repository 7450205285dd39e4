import VLMTensor

/// What a model loses by a matrix where it was not run to find out: the loss is taken for this
/// constant times the relative squared error of the matrix's products.
///
/// Measured with one backward pass of a language model of 135 M parameters, as the divergence of
/// its answers in nats for relative errors of products on text, medians over its layers: query
/// 0.030, key 0.028, value 0.068, output 0.037, gate 0.073, up 0.068, down 0.071. A role's constant
/// is the mean of its matrices. Single layers differ from it by a factor of 2, first, last and some
/// values by 10.
package enum LossConstants {
  /// What the loss by a down projection is multiplied by whose inputs two dominate. With the last but
  /// one of the same model alone in 3, 4 or 6 bits, another kind of text than that of the calibration
  /// lost 60, 73 and 60 times as much as was expected.
  static let caution = 60.0

  /// What the losses found by running the blocks of a language model are multiplied by, whose errors
  /// make up for one another in part; those of the head, which is run alone, are right. On text that
  /// was held back the same model lost 0.0379 and 0.0120 in 90.9 and 112.1 MB, of which the head had
  /// 0.0158 and 0.0048 and activations 0.002; the sums of the rest were 0.044 and 0.0108.
  static let togetherInBlocks = 0.45

  package static func loss(of role: TensorRole) -> Double {
    switch role {
    case .matrix, .vector, .depthwise, .convolution: 0.05
    case .valueProjection, .downProjection: 0.07
    // Every later block reads what it writes to the residual stream.
    case .patchConvolution: 0.2
    // The only errors in the first residual stream; measured with 4 bits of a tied table alone.
    case .embedding: 0.85
    // Errors of logits are not added to a stream that is larger than they are: 14 times those of
    // the weights of a tied table rounded plainly, 30 times those of its products.
    case .head: 20
    }
  }
}
