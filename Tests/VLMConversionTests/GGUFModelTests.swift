import Foundation
import Testing
import VLMCheckpoint
import VLMContainer
import VLMConversion
import VLMFoundation
import VLMModels
import VLMTensor
import VLMTestSupport

/// Conversion of GGUF files.
@Suite("GGUF: models")
struct GGUFModelTests {
  typealias Make = GGUFComposer

  let make: GGUFComposer
  let pool = WorkerPool(threadCount: 2)

  init() throws { make = try GGUFComposer() }

  private func convert(
    _ path: String, _ scheme: Scheme, ignoreUnexpected: Bool = false
  ) throws -> Container {
    let conversion = try Conversion(
      source: try SourceModel.open(path: path), policy: QuantizationPolicy(scheme: scheme),
      ignoreUnexpected: ignoreUnexpected, pool: pool)
    let output = make.folder.path("out.vlmz")
    _ = try conversion.run(to: output, overwrite: true) { _, _, _ in }
    return try Container.open(path: output)
  }

  @Test("a converted model has the values of the file, queries and keys in transformers' order")
  func values() throws {
    let path = try make.folder.write("m.gguf", SmallGGUFModel.file())
    let container = try convert(path, .f32)
    let names = [
      "token_embd.weight": "embed_tokens.weight",
      "blk.0.attn_v.weight": "layers.0.self_attn.v_proj.weight",
      "blk.0.attn_q.weight": "layers.0.self_attn.q_proj.weight",
      "blk.0.attn_k.weight": "layers.0.self_attn.k_proj.weight",
      "blk.0.ffn_down.weight": "layers.0.mlp.down_proj.weight",
      "output_norm.weight": "norm.weight",
    ]
    for (index, (name, shape)) in SmallGGUFModel.shapes.enumerated() {
      guard let ours = names[name] else { continue }
      let stored = SmallGGUFModel.values(index, shape)
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
    let other = [Make.entry("general.architecture", "mamba")] + SmallGGUFModel.metadata.dropFirst()
    let path = try make.folder.write("m.gguf", SmallGGUFModel.file(metadata: other))
    let error = thrownError(ModelError.self) { try SourceModel.open(path: path) }
    #expect(error?.description.contains("mamba") == true)

    let more = SmallGGUFModel.file(more: [("blk.0.attn_sub_norm.weight", [32])])
    try make.folder.write("m.gguf", more)
    let unexpected = thrownError(ConversionError.self) { try convert(path, .q8) }
    #expect(unexpected?.problem == .unexpected(["blk.0.attn_sub_norm.weight"]))
    _ = try convert(path, .q8, ignoreUnexpected: true)
  }

  @Test("a description beside a GGUF file is not taken for its own, and a folder may hold one")
  func folder() throws {
    try make.folder.write("m.gguf", SmallGGUFModel.file())
    try make.folder.write("config.json", Array("{\"architectures\": [\"ConvNeXt\"]}".utf8))
    let source = try SourceModel.open(path: make.folder.url.path)
    #expect(source.checkpoint.naming == "gguf")
    #expect(source.files == [make.folder.path("m.gguf")])
  }

  @Test("blocks whose scale is no number are refused as weights that are not finite")
  func notFinite() throws {
    var bytes = SmallGGUFModel.file()
    // The data begins with the table of embeddings, whose first block's scale becomes NaN.
    let start = try #require(try make.read(bytes).catalog["token_embd.weight"]?.range.lowerBound)
    bytes[start] = 0xff
    bytes[start + 1] = 0x7f
    let path = try make.folder.write("m.gguf", bytes)
    let error = thrownError(ConversionError.self) { try convert(path, .q8) }
    #expect(error?.problem == .nonFinite(tensor: "token_embd.weight", count: 32))
  }
}
