import VLMTensor

/// A tensor that a checkpoint does not have, but that follows from those that it has: the kernel or
/// the bias of one convolution that computes what several parallel branches with batch norms
/// compute together (Ding et al., "RepVGG: Making VGG-style ConvNets Great Again", section 3.3). It
/// is worked out where the checkpoint is converted.
///
/// Every branch reads the same input and has as many outputs. A kernel that is smaller than the
/// folded one lies in its middle.
package struct TensorFold: Sendable, Equatable {
  package enum Part: Sendable { case kernel, bias }

  /// A batch norm as it runs behind training: `(x - mean) / √(variance + ε) · weight + bias`.
  package struct Norm: Sendable, Equatable {
    /// Names of its tensors, each with a value for each output.
    package var weight: String
    package var bias: String
    package var mean: String
    package var variance: String
    package var epsilon: Float

    package init(weight: String, bias: String, mean: String, variance: String, epsilon: Float) {
      self.weight = weight
      self.bias = bias
      self.mean = mean
      self.variance = variance
      self.epsilon = epsilon
    }
  }

  /// `sign · scale · norm(kernel * x + bias)`.
  package struct Branch: Sendable, Equatable {
    /// The name of a kernel `[outputs, inputs of a group, height, width]`; nil for the identity.
    package var kernel: String?
    /// The name of the convolution's own bias.
    package var bias: String?
    package var norm: Norm?
    /// The name of a factor for each output.
    package var scale: String?
    package var isSubtracted: Bool

    package init(
      kernel: String? = nil, bias: String? = nil, norm: Norm? = nil, scale: String? = nil,
      isSubtracted: Bool = false
    ) {
      self.kernel = kernel
      self.bias = bias
      self.norm = norm
      self.scale = scale
      self.isSubtracted = isSubtracted
    }

    /// Every name.
    package var names: [String] {
      [kernel, bias, norm?.weight, norm?.bias, norm?.mean, norm?.variance, scale].compactMap { $0 }
    }

    fileprivate func renamed(_ name: (String) -> String) -> Branch {
      Branch(
        kernel: kernel.map(name), bias: bias.map(name),
        norm: norm.map { norm in
          Norm(
            weight: name(norm.weight), bias: name(norm.bias), mean: name(norm.mean),
            variance: name(norm.variance), epsilon: norm.epsilon)
        }, scale: scale.map(name), isSubtracted: isSubtracted)
    }
  }

  package var part: Part
  /// What is added up.
  package var branches: [Branch]

  package init(_ part: Part, of branches: [Branch]) {
    self.part = part
    self.branches = branches
  }

  /// The checkpoint's tensors that it follows from.
  package var names: [String] { branches.flatMap(\.names) }

  /// The same of a checkpoint that calls its tensors otherwise.
  func renamed(_ name: (String) -> String) -> TensorFold {
    TensorFold(part, of: branches.map { $0.renamed(name) })
  }
}
