import Foundation
import VLMModels

/// LLaMA in the plainest way, in f64 and over the whole sequence at once.
struct ReferenceLLaMA {
  let config: LLaMAConfig
  /// By our names.
  let weights: [String: [Float]]

  typealias Rows = [[Double]]

  /// The state that enters the first block, what leaves each block, the last one normed; logits.
  func callAsFunction(_ embeddings: Rows) -> (hidden: [Rows], logits: Rows) {
    var h = embeddings
    var states = [h]
    for layer in 0..<config.layers {
      let name = "layers.\(layer)."
      let n = norm(h, name + "input_layernorm.weight")
      let q = rotate(linear(n, name + "self_attn.q_proj", config.queryColumns), config.heads)
      let k = rotate(
        linear(n, name + "self_attn.k_proj", config.keyValueColumns), config.keyValueHeads)
      let v = linear(n, name + "self_attn.v_proj", config.keyValueColumns)
      let mixed = linear(attend(q, k, v), name + "self_attn.o_proj", config.hidden)
      h = zip(h, mixed).map { zip($0, $1).map { $0 + $1 } }
      let m = norm(h, name + "post_attention_layernorm.weight")
      let gate = linear(m, name + "mlp.gate_proj", config.feedForward)
      let up = linear(m, name + "mlp.up_proj", config.feedForward)
      let inner = zip(gate, up).map { zip($0, $1).map { $0 / (1 + exp(-$0)) * $1 } }
      let down = linear(inner, name + "mlp.down_proj", config.hidden)
      h = zip(h, down).map { zip($0, $1).map { $0 + $1 } }
      states.append(h)
    }
    states[config.layers] = norm(h, "norm.weight")
    let head = config.tiedEmbeddings ? "embed_tokens" : "lm_head"
    return (states, linear(states[config.layers], head, config.vocabulary))
  }

  func embed(_ ids: [Int]) -> Rows {
    let table = weights["embed_tokens.weight"] ?? []
    return ids.map { id in
      table[id * config.hidden..<(id + 1) * config.hidden].map { Double($0) }
    }
  }

  private func norm(_ x: Rows, _ name: String) -> Rows {
    let weight = weights[name] ?? []
    return x.map { row in
      let mean = row.reduce(0) { $0 + $1 * $1 } / Double(row.count)
      let factor = 1 / (mean + Double(config.epsilon)).squareRoot()
      return zip(row, weight).map { $0 * factor * Double($1) }
    }
  }

  private func linear(_ x: Rows, _ name: String, _ outputs: Int) -> Rows {
    let (weight, bias) = (weights[name + ".weight"] ?? [], weights[name + ".bias"])
    return x.map { row in
      (0..<outputs).map { output in
        var sum = bias.map { Double($0[output]) } ?? 0
        for (index, value) in row.enumerated() {
          sum += value * Double(weight[output * row.count + index])
        }
        return sum
      }
    }
  }

  private func rotate(_ x: Rows, _ heads: Int) -> Rows {
    let (dimension, half) = (config.headDimension, config.headDimension / 2)
    let frequencies = config.ropeScaling.frequencies(
      base: config.ropeBase, dimension: dimension, length: x.count)
    var attention = 1.0
    if case .yarn(let yarn) = config.ropeScaling { attention = yarn.attention }
    return x.enumerated().map { position, row in
      var turned = row
      for head in 0..<heads {
        for pair in 0..<half {
          let (i, j) = (head * dimension + pair, head * dimension + pair + half)
          let angle = Double(position) * frequencies[pair]
          let (c, s) = (cos(angle) * attention, sin(angle) * attention)
          turned[i] = row[i] * c - row[j] * s
          turned[j] = row[j] * c + row[i] * s
        }
      }
      return turned
    }
  }

  private func attend(_ q: Rows, _ k: Rows, _ v: Rows) -> Rows {
    let (dimension, group) = (config.headDimension, config.heads / config.keyValueHeads)
    return q.enumerated().map { position, row in
      (0..<config.heads).flatMap { head in
        let columns = (head / group * dimension)..<(head / group + 1) * dimension
        let query = row[head * dimension..<(head + 1) * dimension]
        let scores = (0...position).map { key in
          zip(query, k[key][columns]).reduce(0) { $0 + $1.0 * $1.1 }
            / Double(dimension).squareRoot()
        }
        let highest = scores.max() ?? 0
        let shares = scores.map { exp($0 - highest) }
        let sum = shares.reduce(0, +)
        return columns.map { column in
          (0...position).reduce(0) { $0 + shares[$1] * v[$1][column] } / sum
        }
      }
    }
  }
}
