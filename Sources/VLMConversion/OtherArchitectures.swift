import VLMFoundation

/// Models that are not run, known by their tensors' names: what a person is told that a file holds.
enum OtherArchitectures {
  /// A model's name, and what some of its tensors' names have in them, all of these.
  private static let marks: [(name: String, parts: [String])] = [
    ("a ResNet", ["layer1.0.conv1.", "layer2.0."]),
    ("a Swin Transformer", ["relative_position_bias_table"]),
    ("an EfficientNet or its kin", ["conv_stem.", ".conv_pwl."]),
    ("a DenseNet", ["denseblock1.denselayer1."]),
    ("a VGG or its kin", ["features.0.", "classifier.6."]),
    ("a YOLO", ["model.0.conv.", "model.1.conv."]),
    ("an EfficientViT of MSRA's or a LeViT", ["attention_biases"]),
    ("a BERT or its kin", ["word_embeddings.", "attention.self.query."]),
    ("a T5", [".SelfAttention.q.", "shared."]),
    ("a GPT-2", ["wte.", ".attn.c_attn."]),
    ("a Whisper", ["encoder.conv1.", "decoder.embed_positions."]),
    ("a wav2vec 2.0 or its kin", ["feature_extractor.conv_layers.", "encoder.pos_conv_embed."]),
    ("a diffusion model", ["down_blocks.0.", "up_blocks.0."]),
    ("a Mamba", [".mixer.A_log"]),
    ("an RWKV", [".time_mix"]),
  ]

  /// - Parameter names: of a checkpoint's tensors; of many, the first.
  /// - Returns: nil for those of none that is known.
  static func name(of names: some Sequence<String>) -> String? {
    let names = Array(names.prefix(5000))
    return marks.first { mark in
      mark.parts.allSatisfy { part in names.contains { $0.contains(part) } }
    }?.name
  }
}
