import VLMTensor

/// A block of convolutions along the tokens of a text, a FastViT's block of one line:
/// `y = mixer(x)`, then `y + gamma * fc2(gelu(fc1(depthwise y)))`. Beyond both ends are zeros.
struct TextConvolution: Sendable {
  private let mixer: TokenConvolution
  private let depthwise: TokenConvolution
  private let expand: Linear
  private let contract: Linear
  private let gamma: Tensor
  private let size: TextTowerConfig.Convolution

  init(
    _ weights: Weights, width: Int, _ size: TextTowerConfig.Convolution
  ) throws(ModelError) {
    self.size = size
    let mlp = weights["mlp"]
    mixer = try TokenConvolution(weights["mixer"], channels: width, kernel: size.kernel)
    depthwise = try TokenConvolution(mlp["conv"], channels: width, kernel: size.kernel)
    expand = try Linear(mlp["fc1"], inputs: width, outputs: size.hidden, bias: true)
    contract = try Linear(mlp["fc2"], inputs: size.hidden, outputs: width, bias: true)
    gamma = try mlp.tensor("gamma", [width], .vector)
  }

  /// In place on all tokens of a text, what fills it up included: `[tokens, width]`.
  func callAsFunction(_ x: MatrixView, _ context: TransformerContext) {
    let branch = context.branch.matrix(rows: x.rows, columns: x.columns)
    context.forRows(x.rows) { mixer(x, rows: $0, into: branch) }
    x.copy(branch)
    context.forRows(x.rows) { depthwise(x, rows: $0, into: branch) }
    let hidden = context.inner.matrix(rows: x.rows, columns: size.hidden)
    context.multiply(expand, branch, into: hidden, activation: .gelu)
    context.multiply(contract, hidden, into: branch, gamma: gamma, residual: x)
    x.copy(branch)
  }
}
