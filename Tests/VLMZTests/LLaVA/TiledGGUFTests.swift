import Foundation
import Testing
import VLMCheckpoint
import VLMConversion
import VLMFoundation
import VLMImages
import VLMModels
import VLMTensor
import VLMTestSupport
import VLMText
import VLMZ

/// LLaVA-NeXT in two GGUF files, named as llama.cpp's converters name them.
@Suite("LLaVA-NeXT in GGUF")
struct TiledGGUFTests {
  let files: GGUFComposer
  let folder: TemporaryFolder

  init() throws { (files, folder) = (try GGUFComposer(), try TemporaryFolder()) }

  private typealias Named = (name: String, shape: [Int], values: [Float])

  /// All tensors as f32, after each other.
  private func write(_ name: String, _ entries: [[UInt8]], _ tensors: [Named]) throws -> String {
    var (headers, data): ([[UInt8]], [UInt8]) = ([], [])
    for tensor in tensors {
      headers.append(
        GGUFComposer.tensor(
          tensor.name, tensor.shape.reversed().map { UInt64($0) }, offset: UInt64(data.count)))
      for value in tensor.values { data += GGUFComposer.little(value.bitPattern) }
      data += [UInt8](repeating: 0, count: (32 - data.count % 32) % 32)
    }
    return try files.folder.write(
      name, GGUFComposer.file(entries: entries, tensors: headers, data: data))
  }

  /// Rows for a rotation of neighbours.
  private static func permuted(_ values: [Float], rows: Int, heads: Int) -> [Float] {
    let (columns, half) = (values.count / rows, rows / heads / 2)
    return (0..<rows).flatMap { row -> ArraySlice<Float> in
      let (head, place) = (row / (2 * half), row % (2 * half))
      let source = head * 2 * half + place % 2 * half + place / 2
      return values[source * columns..<(source + 1) * columns]
    }
  }

  private static let text = [
    ("language_model.model.layers.", "blk."), ("language_model.model.embed_tokens.", "token_embd."),
    ("language_model.model.norm.", "output_norm."), ("language_model.lm_head.", "output."),
  ]
  private static let inner = [
    "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output", "self_attn.out_proj": "attn_out",
    "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm",
    "layer_norm1": "ln1", "layer_norm2": "ln2", "mlp.fc1": "ffn_up", "mlp.fc2": "ffn_down",
  ]
  private static let vision = [
    ("vision_tower.encoder.layers.", "v.blk."), ("vision_tower.pre_layrnorm.", "v.pre_ln."),
    ("vision_tower.embeddings.class_embedding", "v.class_embd"),
    ("vision_tower.embeddings.patch_embedding.", "v.patch_embd."),
    ("vision_tower.embeddings.position_embedding.", "v.position_embd."),
    ("multi_modal_projector.linear_1.", "mm.0."), ("multi_modal_projector.linear_2.", "mm.2."),
    ("image_newline", "model.image_newline"),
  ]

  private static func renamed(_ name: String, _ prefixes: [(String, String)]) -> String? {
    let outer = name.replacing(prefixes)
    guard outer != name else { return nil }
    let part = outer.split(separator: ".").map(String.init)
    guard let index = part.firstIndex(of: "blk"), part.count > index + 3 else { return outer }
    let own = part[(index + 2)..<part.count - 1].joined(separator: ".")
    return (part[...(index + 1)] + [inner[own] ?? own, part[part.count - 1]])
      .joined(separator: ".")
  }

  /// The two halves of a golden; `newline` false leaves that row out.
  private func halves(newline: Bool = true, pinpoints: [UInt32]) throws -> (String, String) {
    let golden = try TiledLLaVA("next")
    var (language, vision): ([Named], [Named]) = ([], [])
    for tensor in try Checkpoint.read(path: golden.path).tensors {
      var values = try tensor.floats()
      for (name, heads) in [("q_proj", 6), ("k_proj", 2)]
      where tensor.name.contains("language_model") && tensor.name.contains(name) {
        values = Self.permuted(values, rows: tensor.shape[0], heads: heads)
      }
      if let name = Self.renamed(tensor.name, Self.text) {
        language.append((name, tensor.shape, values))
      } else if let name = Self.renamed(tensor.name, Self.vision), !name.hasPrefix("v.blk.2."),
        newline || name != "model.image_newline"
      {
        vision.append((name, tensor.shape, values))
      }
    }
    typealias G = GGUFComposer
    func floats(_ values: [Float]) -> [UInt8] {
      G.array(6, count: UInt64(values.count), values.flatMap { G.little($0.bitPattern) })
    }
    let text = try write(
      "model.gguf",
      [
        G.entry("general.architecture", "llama"), G.entry("llama.block_count", u32: 2),
        G.entry("llama.context_length", u32: 512), G.entry("llama.embedding_length", u32: 48),
        G.entry("llama.feed_forward_length", u32: 88),
        G.entry("llama.attention.head_count", u32: 6),
        G.entry("llama.attention.head_count_kv", u32: 2),
        G.entry("llama.attention.layer_norm_rms_epsilon", f32: 1e-6),
        G.entry("llama.rope.freq_base", f32: 500),
      ], language)
    let half = try write(
      "mmproj.gguf",
      [
        G.entry("general.architecture", "clip"), G.entry("clip.projector_type", "mlp"),
        G.entry("clip.vision.image_size", u32: 21), G.entry("clip.vision.patch_size", u32: 7),
        G.entry("clip.vision.embedding_length", u32: 24),
        G.entry("clip.vision.feed_forward_length", u32: 40),
        G.entry("clip.vision.attention.head_count", u32: 3),
        G.entry("clip.vision.attention.layer_norm_epsilon", f32: 1e-5),
        G.entry("clip.vision.block_count", u32: 2),
        G.entry("clip.vision.mm_patch_merge_type", "spatial_unpad"),
        G.entry("clip.vision.image_aspect_ratio", "anyres"),
        G.entry("clip.vision.image_split_resolution", u32: 224),
        G.entry(
          "clip.vision.image_grid_pinpoints", 9,
          G.array(4, count: UInt64(pinpoints.count), pinpoints.flatMap { G.little($0) })),
        G.entry(
          "clip.vision.image_mean", 9, floats([0.48145466, 0.4578275, 0.40821073])),
        G.entry(
          "clip.vision.image_std", 9, floats([0.26862954, 0.26130258, 0.27577711])),
      ], vision)
    return (text, half)
  }

  private static let pinpoints: [UInt32] = [42, 21, 21, 42, 42, 42, 21, 63, 63, 21]

  @Test("both halves make the rows and logits of transformers' layout")
  func answers() throws {
    let golden = try TiledLLaVA("next")
    let (text, half) = try halves(pinpoints: Self.pinpoints)
    let conversion = try Conversion(
      source: try SourceModel.open(path: text, parts: GivenParts(mmproj: half)),
      policy: QuantizationPolicy(scheme: .f32), ignoreUnexpected: false,
      pool: WorkerPool(threadCount: 2))
    _ = try conversion.run(to: folder.path("model.vlmz"), overwrite: true) { _, _, _ in }
    let session = try LoadedModel(
      path: folder.path("model.vlmz"), kernels: try KernelSet.selected(), threads: 2,
      contextLength: 256, keyValueFormat: .f32)
    for picture in TiledLLaVA.pictures {
      let tokens = try session.encode(session.prepare(golden.image(picture), name: picture))
      try golden.check(tokens.rows.array(), picture + ".merged")
      var logits: [Float] = []
      try session.inspect(golden.ids(picture), images: [tokens]) { name, _, values in
        if name == "logits" { logits = values }
      }
      try golden.check(logits, picture + ".logits")
    }
  }

  @Test("a vision half with a part of what tiles need is refused by its key")
  func refused() throws {
    for (newline, pinpoints) in [(false, Self.pinpoints), (true, []), (true, [42, 21, 21])] {
      let (text, half) = try halves(newline: newline, pinpoints: pinpoints)
      let error = thrownError(ModelError.self) {
        try SourceModel.open(path: text, parts: GivenParts(mmproj: half))
      }
      let key = newline ? "clip.vision.image_grid_pinpoints" : "clip.vision.mm_patch_merge_type"
      #expect(error?.description.contains(key) == true, "\(error?.description ?? "none")")
    }
  }
}
