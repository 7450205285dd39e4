import Foundation
import Testing
import VLMCheckpoint
import VLMFoundation
import VLMTensor
import VLMTestSupport

/// Checkpoints that hold more than a model, or the model in the layout of those who trained it.
struct TrainingCheckpointTests {
  static let language = TestFiles.fixture("stories260K")
  static let classifier = TestFiles.fixture("convnext-cifar10")
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  private func entries(
    _ source: String, _ prefix: String, scale: Float = 1
  ) throws -> [SafetensorsWriter.Entry] {
    try Checkpoint.read(path: source).tensors.map {
      .init(name: prefix + $0.name, shape: $0.shape, floats: try $0.floats().map { $0 * scale })
    }
  }

  private func write(
    _ entries: [SafetensorsWriter.Entry], _ name: String = "model.safetensors"
  ) throws {
    try SafetensorsWriter.write(path: folder.path(name), overwrite: true, tensors: entries)
  }

  private func copy(_ names: [String], from source: String = language) throws {
    for name in names {
      try FileManager.default.copyItem(atPath: source + "/" + name, toPath: folder.path(name))
    }
  }

  private func configure(_ changes: [(String, JSONValue)]) throws {
    var config = try #require(try TestFiles.json(Self.language + "/config.json").objectValue)
    for (key, value) in changes { config.set(key, value) }
    try folder.write("config.json", Array(JSONValue.object(config).serialized().utf8))
  }

  /// Whether both convert to the same weights.
  private func expectSame(
    _ a: String, _ b: String, _ options: [String] = [], notes: [String] = [],
    location: SourceLocation = #_sourceLocation
  ) throws {
    let (first, second) = (folder.path("first.vlmz"), folder.path("second.vlmz"))
    let plain = try CommandRunner.convert(a, first, "--f32", "-q", "--force")
    try #require(plain.status == 0, "\(plain.errors)", sourceLocation: location)
    let outcome = try CommandRunner.run(
      "vlm-convert", [b, second, "--f32", "--force"] + options)
    try #require(outcome.status == 0, "\(outcome.errors)", sourceLocation: location)
    for note in notes {
      #expect(outcome.errors.contains(note), "\(outcome.errors)", sourceLocation: location)
    }
    let difference = try CommandRunner.convert("diff", first, second)
    #expect(difference.status == 0, "\(difference.output)", sourceLocation: location)
  }

  private func refusal(_ options: String...) throws -> String {
    let outcome = try CommandRunner.run(
      "vlm-convert", [folder.url.path, folder.path("out.vlmz"), "-q"] + options)
    #expect(outcome.status == 65 || outcome.status == 64)
    #expect(outcome.errors.split(separator: "\n").count == 1, "\(outcome.errors)")
    return outcome.errorLine
  }

  private static var loss: SafetensorsWriter.Entry {
    .init(
      name: "loss.weight", shape: [2], floats: [1, 2])
  }
  private static var valueHead: SafetensorsWriter.Entry {
    .init(
      name: "v_head.summary.weight", shape: [1, 2], floats: [1, 2])
  }

  @Test("a language model is found in what it was trained in, and the rest is left out and said")
  func wrapped() throws {
    try copy(["config.json", "tokenizer.model"])
    for (prefix, other) in [
      ("net.", Self.loss), ("pretrained_model.", Self.valueHead), ("model.policy.", Self.loss),
    ] {
      try write(try entries(Self.language, prefix) + [other])
      try expectSame(
        Self.language, folder.url.path,
        notes: ["1 tensor is no part of the model, left out: '\(other.name)'"])
    }
  }

  @Test("CLIP is found beside other tensors too")
  func clip() throws {
    let source = TestFiles.fixture("upstream/clip")
    try copy(["config.json"], from: source)
    let text = #"""
      {"crop_size": 32, "size": 32, "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5],
       "image_processor_type": "CLIPImageProcessor"}
      """#
    let processor = try folder.write("other.json", Array(text.utf8))
    try write(try entries(source, "encoder.net.") + [Self.loss])
    let (first, second) = (folder.path("first.vlmz"), folder.path("second.vlmz"))
    for (path, out) in [(source, first), (folder.url.path, second)] {
      let outcome = try CommandRunner.convert(path, out, "--f32", "--preprocessor", processor)
      try #require(outcome.status == 0, "\(outcome.errors)")
      #expect(outcome.errors.contains("'loss.weight'") == (path != source))
    }
    #expect(try CommandRunner.convert("diff", first, second).status == 0)
  }

  @Test(
    "averaged weights are taken, which is said with what else there is",
    arguments: [("online_model", "ema_model"), ("net", "ema.module"), ("model.net", "model_ema")])
  func averaged(online: String, average: String) throws {
    try copy(["config.json", "tokenizer.model"])
    try write(
      try entries(Self.language, online + ".", scale: 2) + entries(Self.language, average + ".")
        + [.init(name: "step", shape: [1], floats: [1])])
    // The writer sorts the names.
    let names = [online, average].sorted()
    let note =
      "reading the state '\(average)' of '\(names[0])', '\(names[1])'; --state chooses another"
    try expectSame(Self.language, folder.url.path, notes: [note, "left out: 'step'"])
    try expectSame(Self.language, folder.url.path, ["--state", average])
    let (first, second) = (folder.path("first.vlmz"), folder.path("second.vlmz"))
    let outcome = try CommandRunner.convert(
      folder.url.path, second, "--f32", "--force", "-q", "--state", online)
    #expect(outcome.status == 0, "\(outcome.errors)")
    #expect(try CommandRunner.convert("diff", first, second).status == 2)
  }

  @Test("of several models none is guessed: the error has the options that choose one")
  func several() throws {
    try copy(["config.json", "tokenizer.model"])
    let names = ["teacher.backbone", "student.backbone", "it's"]
    try write(try names.flatMap { try entries(Self.language, $0 + ".") })
    let text = try refusal()
    #expect(text.contains("holds 3 models, expected one; choose it with "))
    for option in ["--state teacher.backbone", "--state student.backbone", #"--state 'it'\''s'"#] {
      #expect(text.contains(option), "\(text)")
    }
    try expectSame(Self.language, folder.url.path, ["--state", "student.backbone"])
    try write(try names.prefix(2).flatMap { try entries(Self.classifier, $0 + ".") })
    #expect(try refusal().contains("--state student.backbone, or --state teacher.backbone"))
  }

  @Test("averages without names are refused as what they are")
  func shadows() throws {
    try write([.init(name: "ema.shadow_params[0]", shape: [1], floats: [1])])
    #expect(try refusal().contains("averages of parameters in a list"))
  }

  // MARK: - Heads

  @Test("a head of its own is kept though config.json says that it is tied, and said")
  func ownHead() throws {
    try copy(["tokenizer.model"])
    try configure([("tie_word_embeddings", true)])
    let own = try entries(Self.language, "").filter { $0.name != "lm_head.weight" }
    let table = try #require(own.first { $0.name == "model.embed_tokens.weight" })
    let note = "the file's head is kept, as transformers 5 does"
    func head(_ change: (inout [Float]) -> Void) throws -> String {
      var values =
        try Checkpoint.read(path: Self.language).tensors.first {
          $0.name == table.name
        }?.floats() ?? []
      change(&values)
      try write(own + [.init(name: "lm_head.weight", shape: table.shape, floats: values)])
      let outcome = try CommandRunner.convert(
        folder.url.path, folder.path("out.vlmz"), "--f32", "--force")
      #expect(outcome.status == 0, "\(outcome.errors)")
      return outcome.errors
    }
    // The last bit of all.
    #expect(try head { $0[$0.count - 1] = $0[$0.count - 1].nextUp }.contains(note))
    let listing = try CommandRunner.convert("inspect", folder.path("out.vlmz")).output
    #expect(listing.contains("lm_head.weight"))
    #expect(try !head { _ in }.contains(note))
    let tied = try CommandRunner.convert("inspect", folder.path("out.vlmz")).output
    #expect(!tied.contains("lm_head.weight"))
  }

  // MARK: - Meta's layout

  /// The tensors of a LLaMA as Meta's code has them: its names, and the rows of queries and keys
  /// for a rotation of neighbours.
  private func meta(_ source: String) throws -> [(name: String, shape: [Int], values: [Float])] {
    let names = [
      "self_attn.q_proj": "attention.wq", "self_attn.k_proj": "attention.wk",
      "self_attn.v_proj": "attention.wv", "self_attn.o_proj": "attention.wo",
      "mlp.gate_proj": "feed_forward.w1", "mlp.down_proj": "feed_forward.w2",
      "mlp.up_proj": "feed_forward.w3", "input_layernorm": "attention_norm",
      "post_attention_layernorm": "ffn_norm", "embed_tokens": "tok_embeddings", "lm_head": "output",
    ]
    return try Checkpoint.read(path: source).tensors.map { tensor in
      var name = tensor.name.hasPrefix("model.") ? String(tensor.name.dropFirst(6)) : tensor.name
      for (theirs, metas) in names { name = name.replacingOccurrences(of: theirs, with: metas) }
      var values = try tensor.floats()
      if name.contains(".wq.") || name.contains(".wk.") {
        let (width, half) = (tensor.shape[1], 4)
        let rows = (0..<tensor.shape[0]).map { row in
          let (head, place) = (row / 8, row % 8)
          return head * 8 + place % 2 * half + place / 2
        }
        let old = values
        values = rows.flatMap { (row: Int) -> ArraySlice<Float> in
          old[row * width..<(row + 1) * width]
        }
      }
      return (name, tensor.shape, values)
    }
  }

  /// Writes them cut for `count` devices.
  private func writeMeta(_ count: Int, tableAxis: Int) throws {
    let tensors = try meta(Self.language)
    for part in 0..<count {
      let own = tensors.map { name, shape, values -> SafetensorsWriter.Entry in
        guard shape.count == 2 else { return .init(name: name, shape: shape, floats: values) }
        let isRow = name.contains(".wo.") || name.contains(".w2.")
        let axis = name.hasPrefix("tok") ? tableAxis : isRow ? 1 : 0
        let (rows, columns) = (shape[0], shape[1])
        if axis == 0 {
          let size = rows / count * columns
          return .init(
            name: name, shape: [rows / count, columns],
            floats: Array(values[part * size..<(part + 1) * size]))
        }
        let size = columns / count
        var cut: [Float] = []
        for row in 0..<rows {
          let first = row * columns + part * size
          cut += values[first..<first + size]
        }
        return .init(name: name, shape: [rows, size], floats: cut)
      }
      try write(own, "consolidated.0\(part).safetensors")
    }
    let params = #"""
      {"dim": 64, "n_layers": 5, "n_heads": 8, "n_kv_heads": 4, "norm_eps": 1e-05,
       "vocab_size": -1, "multiple_of": 4}
      """#
    try folder.write("params.json", Array(params.utf8))
  }

  @Test(
    "a model in Meta's layout is the same as in transformers'",
    arguments: [(1, 1), (2, 1), (2, 0), (4, 1)])
  func metaLayout(parts: Int, tableAxis: Int) throws {
    try copy(["tokenizer.model"])
    try writeMeta(parts, tableAxis: tableAxis)
    try expectSame(
      Self.language, folder.url.path,
      notes: ["params.json does not say how many positions the model was made for: assuming 4096"])
    // The same text comes out.
    let texts = try ["first.vlmz", "second.vlmz"].map { name in
      try CommandRunner.vlmRun(
        folder.path(name), "-p", "Once upon", "--template", "none", "--max-tokens", "12", "-q"
      ).output
    }
    #expect(texts[0] == texts[1] && !texts[0].isEmpty)
  }

  @Test("one part of a model in Meta's layout, and a lost params.json, are told")
  func metaDefects() throws {
    try copy(["tokenizer.model"])
    try writeMeta(2, tableAxis: 1)
    try FileManager.default.removeItem(atPath: folder.path("consolidated.01.safetensors"))
    #expect(try refusal().contains("all 2 files consolidated.NN.pth of the model"))
    try writeMeta(2, tableAxis: 1)
    try folder.write("params.json", Array(#"{"dim": 64, "moe": {"num_experts": 8}}"#.utf8))
    #expect(try refusal().contains("moe"))
    try FileManager.default.removeItem(atPath: folder.path("params.json"))
    #expect(try refusal().contains("params.json: found none beside the weights"))
  }

  @Test("tiktoken's tokenizer.model is told apart from SentencePiece's")
  func ranks() throws {
    try writeMeta(1, tableAxis: 1)
    try folder.write("tokenizer.model", Array("IQ== 0\nIg== 1\n".utf8))
    #expect(try refusal().contains("tiktoken's list of ranks"))
  }

  // MARK: - Classes

  @Test(
    "a class that is not run is refused by its name",
    arguments: ["PhimoeForCausalLM", "MixtralForCausalLM", "Qwen3MoeForCausalLM", "MyModel"])
  func architecture(name: String) throws {
    try configure([("architectures", [.string(name)]), ("model_type", "other")])
    try write(
      try entries(Self.language, "").map {
        .init(
          name: $0.name.replacingOccurrences(of: "gate_proj", with: "gate_up_proj"),
          shape: [1], floats: [1])
      })
    let text = try refusal()
    #expect(text.contains(name), "\(text)")
  }

  @Test("a model with parts that only its own class knows is refused by the class")
  func unknownParts() throws {
    try folder.write(
      "config.json", Array(#"{"architectures": ["UperNetForSemanticSegmentation"]}"#.utf8))
    try write(
      try entries(Self.classifier, "backbone.") + [
        .init(name: "decode_head.weight", shape: [2], floats: [1, 2])
      ])
    #expect(try refusal().contains("UperNetForSemanticSegmentation"))
  }
}
