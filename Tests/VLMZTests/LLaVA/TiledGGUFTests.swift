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

/// LLaVA-NeXT in two GGUF files, named as llama.cpp's converters name them; goldens are transformers'.
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

  /// A golden, and what its halves say.
  private struct Model {
    var golden = "next"
    var language = "llama"
    var heads = (6, 2)
    var width: UInt32 = 48
    var inner: UInt32 = 88
    /// Blocks of the tower that the file has.
    var blocks = 2
    var towerInner: UInt32 = 40
    /// What the projector reads, in transformers' order.
    var layers: [UInt32] = []
    var stated: [UInt32]?
    /// Of a Granite.
    var scales: [(String, Float)] = []
    var ropeBase: Float = 500

    static let clip = Model(golden: "layers-clip", layers: [2, 1])
    static let siglip = Model(
      golden: "layers-siglip", language: "granite", heads: (3, 1), width: 24, inner: 40, blocks: 3,
      towerInner: 43, layers: [2, 0, 3],
      scales: [
        ("embedding_scale", 3.5), ("attention.scale", 0.4), ("residual_scale", 0.3),
        ("logit_scale", 2.5),
      ], ropeBase: 10_000)
    static let embeddings = Model(
      golden: "embeddings-siglip", language: "granite", heads: (3, 1), width: 24, inner: 40,
      blocks: 1, towerInner: 43, layers: [0], scales: siglip.scales, ropeBase: 10_000)

    /// The same columns of the projector for layers in ascending order.
    func sorted(_ values: [Float], columns: Int) -> [Float] {
      guard layers.count > 1 else { return values }
      let (part, order) = (columns / layers.count, layers.sorted())
      return stride(from: 0, to: values.count, by: columns).flatMap { row in
        order.flatMap { layer -> ArraySlice<Float> in
          let first = row + (layers.firstIndex(of: layer) ?? 0) * part
          return values[first..<first + part]
        }
      }
    }
  }

  /// The two halves of a golden; `newline` false leaves that row out.
  private func halves(
    _ model: Model = Model(), newline: Bool = true, pinpoints: [UInt32] = pinpoints
  ) throws -> (String, String) {
    let golden = try TiledLLaVA(model.golden)
    var (language, vision): ([Named], [Named]) = ([], [])
    for tensor in try Checkpoint.read(path: golden.path).tensors {
      var values = try tensor.floats()
      for (name, heads) in [("q_proj", model.heads.0), ("k_proj", model.heads.1)]
      where tensor.name.contains("language_model") && tensor.name.contains(name) {
        values = Self.permuted(values, rows: tensor.shape[0], heads: heads)
      }
      if let name = Self.renamed(tensor.name, Self.text) {
        language.append((name, tensor.shape, values))
      } else if let name = Self.renamed(tensor.name, Self.vision),
        !name.hasPrefix("v.blk.\(model.blocks)."), newline || name != "model.image_newline"
      {
        if name == "mm.0.weight" { values = model.sorted(values, columns: tensor.shape[1]) }
        vision.append((name, tensor.shape, values))
      }
    }
    // llama.cpp's projectors have biases.
    for name in ["mm.0.bias", "mm.2.bias"] where !vision.contains(where: { $0.name == name }) {
      vision.append(
        (name, [Int(model.width)], [Float](repeating: 0, count: Int(model.width))))
    }
    typealias G = GGUFComposer
    func floats(_ values: [Float]) -> [UInt8] {
      G.array(6, count: UInt64(values.count), values.flatMap { G.little($0.bitPattern) })
    }
    func integers(_ values: [UInt32]) -> [UInt8] {
      G.array(4, count: UInt64(values.count), values.flatMap { G.little($0) })
    }
    let prefix = model.language + "."
    var entries = [
      G.entry("general.architecture", model.language), G.entry(prefix + "block_count", u32: 2),
      G.entry(prefix + "context_length", u32: 512),
      G.entry(prefix + "embedding_length", u32: model.width),
      G.entry(prefix + "feed_forward_length", u32: model.inner),
      G.entry(prefix + "attention.head_count", u32: UInt32(model.heads.0)),
      G.entry(prefix + "attention.head_count_kv", u32: UInt32(model.heads.1)),
      G.entry(prefix + "attention.layer_norm_rms_epsilon", f32: 1e-6),
      G.entry(prefix + "rope.freq_base", f32: model.ropeBase),
    ]
    entries += model.scales.map { G.entry(prefix + $0.0, f32: $0.1) }
    let text = try write("model.gguf", entries, language)
    entries = [
      G.entry("general.architecture", "clip"), G.entry("clip.projector_type", "mlp"),
      G.entry("clip.vision.image_size", u32: 21), G.entry("clip.vision.patch_size", u32: 7),
      G.entry("clip.vision.embedding_length", u32: 24),
      G.entry("clip.vision.feed_forward_length", u32: model.towerInner),
      G.entry("clip.vision.attention.head_count", u32: 3),
      G.entry(
        "clip.vision.attention.layer_norm_epsilon", f32: model.language == "llama" ? 1e-5 : 1e-6),
      G.entry("clip.vision.block_count", u32: UInt32(model.blocks)),
      G.entry("clip.vision.mm_patch_merge_type", "spatial_unpad"),
      G.entry("clip.vision.image_aspect_ratio", "anyres"),
      G.entry("clip.vision.image_split_resolution", u32: 224),
      G.entry("clip.vision.image_grid_pinpoints", 9, integers(pinpoints)),
      G.entry(
        "clip.vision.image_mean", 9, floats([0.48145466, 0.4578275, 0.40821073])),
      G.entry(
        "clip.vision.image_std", 9, floats([0.26862954, 0.26130258, 0.27577711])),
    ]
    if !model.layers.isEmpty {
      let stated = model.stated ?? model.layers.sorted()
      entries.append(G.entry("clip.vision.feature_layer", 9, integers(stated)))
    }
    return (text, try write("mmproj.gguf", entries, vision))
  }

  private static let pinpoints: [UInt32] = [42, 21, 21, 42, 42, 42, 21, 63, 63, 21]

  private func session(_ model: Model = Model()) throws -> LoadedModel {
    let (text, half) = try halves(model)
    let conversion = try Conversion(
      source: try SourceModel.open(path: text, parts: GivenParts(mmproj: half)),
      policy: QuantizationPolicy(scheme: .f32), ignoreUnexpected: false,
      pool: WorkerPool(threadCount: 2))
    _ = try conversion.run(to: folder.path("model.vlmz"), overwrite: true) { _, _, _ in }
    return try LoadedModel(
      path: folder.path("model.vlmz"), kernels: try KernelSet.selected(), threads: 2,
      contextLength: 256, keyValueFormat: .f32)
  }

  @Test("both halves make the rows and logits of transformers' layout")
  func answers() throws {
    let session = try session()
    for picture in TiledLLaVA.pictures {
      try check(session, try TiledLLaVA("next"), picture)
    }
  }

  private func check(
    _ session: LoadedModel, _ golden: TiledLLaVA, _ picture: String, logitsTimes factor: Float = 1
  ) throws {
    let tokens = try session.encode(session.prepare(golden.image(picture), name: picture))
    try golden.check(tokens.rows.array(), picture + ".merged")
    var logits: [Float] = []
    try session.inspect(golden.ids(picture), images: [tokens]) { name, _, values in
      if name == "logits" { logits = values }
    }
    try golden.check(logits.map { $0 * factor }, picture + ".logits")
  }

  /// Of a CLIP, and of a SigLIP under a Granite, as Granite Vision has it; the embeddings may be all.
  @Test("several layers of feature_layer are side by side in ascending order")
  func layers() throws {
    try check(try session(.clip), try TiledLLaVA("layers-clip"), "odd")
    for model in [Model.siglip, .embeddings] {
      // transformers' class around a language model leaves out Granite's division of logits.
      try check(try session(model), try TiledLLaVA(model.golden), "odd", logitsTimes: 2.5)
    }
  }

  @Test("a feature_layer out of order, twice or that there is not is refused by its key")
  func refusedLayers() throws {
    let lists: [[UInt32]] = [[2, 1], [1, 1], [1, 3], [], [0, 1, 2]]
    for list in lists {
      var model = Model.clip
      model.stated = list
      let (text, half) = try halves(model)
      let error = thrownError(ModelError.self) {
        try SourceModel.open(path: text, parts: GivenParts(mmproj: half))
      }
      let message = error?.description ?? "none"
      #expect(message.contains("mmproj.gguf: config: clip.vision.feature_layer: "), "\(message)")
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
