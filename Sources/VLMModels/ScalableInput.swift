/// An input of matrices whose elements may each be divided by a number, if the columns of the matrices
/// are multiplied by it: nothing else reads the input, and what makes it can take the division. The
/// model computes the same as before.
package struct ScalableInput: Sendable, Equatable {
  /// Names of all matrices that multiply the input.
  package let matrices: [String]
  /// Names of the tensors that make it, with a row or a value for each element.
  package let makers: [String]
}

extension ModelDescription {
  /// The inputs of a language model that may be scaled; none of a model that has none.
  ///
  /// That of the head is not among them, since it may be the table of embeddings, and that of the
  /// output projection is not, because it makes no difference there.
  package var scalableInputs: [ScalableInput] {
    guard let language else { return [] }
    let prefix = seesPictures ? LLaVA.languageName + "." : ""
    return (0..<language.layers).flatMap {
      language.scalableInputs(ofBlock: "\(prefix)layers.\($0).")
    }
  }
}

extension LLaMAConfig {
  fileprivate func scalableInputs(ofBlock block: String) -> [ScalableInput] {
    func input(_ matrices: [String], _ makers: [String]) -> ScalableInput {
      ScalableInput(
        matrices: matrices.map { "\(block)\($0).weight" }, makers: makers.map { block + $0 })
    }
    // The gate is not linear, but what it is multiplied with is.
    let up = feedForwardBias ? ["mlp.up_proj.weight", "mlp.up_proj.bias"] : ["mlp.up_proj.weight"]
    let gated = input(["mlp.down_proj"], up)
    let attention = ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"]
    let feedForward = ["mlp.gate_proj", "mlp.up_proj"]
    switch traits.norms {
    case .before:
      return [
        input(attention, ["input_layernorm.weight"]),
        input(feedForward, ["post_attention_layernorm.weight"]), gated,
      ]
    case .around:
      return [
        input(attention, ["input_layernorm.weight"]),
        input(feedForward, ["pre_feedforward_layernorm.weight"]), gated,
      ]
    case .behind:
      // What the others multiply is the residual stream, which all layers read.
      return [gated]
    }
  }
}
