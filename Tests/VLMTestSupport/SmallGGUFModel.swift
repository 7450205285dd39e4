import VLMFoundation

/// A LLaMA of one layer as a GGUF file, with Q8_0 matrices.
package enum SmallGGUFModel {
  package static let metadata: [[UInt8]] = [
    GGUFComposer.entry("general.architecture", "llama"),
    GGUFComposer.entry("llama.block_count", u32: 1),
    GGUFComposer.entry("llama.context_length", u32: 64),
    GGUFComposer.entry("llama.embedding_length", u32: 32),
    GGUFComposer.entry("llama.feed_forward_length", u32: 64),
    GGUFComposer.entry("llama.attention.head_count", u32: 4),
    GGUFComposer.entry("llama.attention.head_count_kv", u32: 2),
    GGUFComposer.entry("llama.attention.layer_norm_rms_epsilon", f32: 1e-5),
  ]

  package static let shapes: [(name: String, shape: [Int])] = [
    ("token_embd.weight", [40, 32]), ("blk.0.attn_norm.weight", [32]),
    ("blk.0.attn_q.weight", [32, 32]), ("blk.0.attn_k.weight", [16, 32]),
    ("blk.0.attn_v.weight", [16, 32]), ("blk.0.attn_output.weight", [32, 32]),
    ("blk.0.ffn_norm.weight", [32]), ("blk.0.ffn_gate.weight", [64, 32]),
    ("blk.0.ffn_up.weight", [64, 32]), ("blk.0.ffn_down.weight", [32, 64]),
    ("output_norm.weight", [32]),
  ]

  /// Whole numbers from -127 to 127, which Q8_0 holds exactly with a step of 1.
  package static func values(_ tensor: Int, _ shape: [Int]) -> [Int] {
    var generator = SplitMix64(seed: UInt64(tensor))
    return (0..<shape.reduce(1, *)).map { _ in Int(generator.next() % 255) - 127 }
  }

  /// Q8_0 blocks of matrices, F32 of vectors.
  private static func encoded(_ values: [Int], isMatrix: Bool) -> [UInt8] {
    guard isMatrix else { return values.flatMap { GGUFComposer.little(Float($0).bitPattern) } }
    var bytes: [UInt8] = []
    for (index, value) in values.enumerated() {
      if index % 32 == 0 { bytes += [0x00, 0x3c] }
      bytes.append(UInt8(bitPattern: Int8(value)))
    }
    return bytes
  }

  /// - Parameter part: which of the tensors the file has; nil for all.
  package static func file(
    metadata: [[UInt8]] = metadata, more: [(name: String, shape: [Int])] = [],
    part: Range<Int>? = nil
  ) -> [UInt8] {
    var tensors: [[UInt8]] = []
    var data: [UInt8] = []
    for (index, (name, shape)) in (shapes + more).enumerated() {
      if let part, !part.contains(index) { continue }
      let isMatrix = shape.count == 2
      tensors.append(
        GGUFComposer.tensor(
          name, shape.reversed().map { UInt64($0) }, type: isMatrix ? 8 : 0,
          offset: UInt64(data.count)))
      data += encoded(values(index, shape), isMatrix: isMatrix)
      data += [UInt8](repeating: 0, count: (32 - data.count % 32) % 32)
    }
    return GGUFComposer.file(entries: metadata, tensors: tensors, data: data)
  }
}
