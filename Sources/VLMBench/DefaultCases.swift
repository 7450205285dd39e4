import VLMTensor

/// What `vlm-bench` measures when nothing else is asked for: the shapes of ConvNeXt-L, and towers.
package enum DefaultCases {
  /// Sides and channels of the stages of ConvNeXt-L for an image of 768 pixels.
  private static let stages = [(192, 192), (96, 384), (48, 768), (24, 1536)]
  /// Rows of a product: more would only take longer.
  private static let maximumRows = 4096

  package static func names(isa: String, threads: Int) -> [CaseName] {
    var work: [CaseName.Work] = []
    for scheme in [Scheme.q8, .q4] {
      for (side, channels) in stages {
        let rows = min(maximumRows, side * side)
        work.append(.product(scheme, rows: rows, inputs: channels, outputs: 4 * channels))
        work.append(.product(scheme, rows: rows, inputs: 4 * channels, outputs: channels))
      }
    }
    for scheme in [Scheme.bf16, .f32] {
      work.append(.product(scheme, rows: 2304, inputs: 768, outputs: 3072))
    }
    for scheme in [Scheme.q8, .q6, .q5, .q4, .q3, .bf16] {
      work.append(.product(scheme, rows: 1, inputs: 4096, outputs: 4096))
    }
    // A language model of 7 billion parameters, and one of 135 million, token by token.
    work.append(.product(.q4, rows: 1, inputs: 4096, outputs: 11008))
    work.append(.product(.q4, rows: 1, inputs: 11008, outputs: 4096))
    work.append(.product(.q8, rows: 1, inputs: 4096, outputs: 32000))
    work.append(.product(.q4, rows: 1, inputs: 576, outputs: 1536))
    for rows in [1, 704] {
      let keys = rows == 1 ? 2048 : rows
      work.append(
        .attention(
          .f16, rows: rows, keys: keys, heads: 32, keyValueHeads: 32, dimension: 128))
    }
    work.append(.rmsNorm(rows: 704, columns: 4096))
    for (side, channels) in stages {
      work.append(.depthwise(kernel: 7, height: side, width: side, channels: channels))
    }
    for (side, channels) in stages {
      let rows = min(maximumRows, side * side)
      work.append(.layerNorm(rows: rows, columns: channels))
      work.append(.gelu(rows: rows, columns: 4 * channels))
      work.append(.quantize(rows: rows, columns: channels))
      work.append(.quantize(rows: rows, columns: 4 * channels))
    }
    for model in ["convnext_tiny", "convnext_large"] {
      for scheme in [Scheme.q8, .q4] {
        for side in [224, 384, 768] { work.append(.tower(model: model, scheme, side: side)) }
      }
    }
    return work.map { CaseName($0, isa: isa, threads: threads) }
  }
}
