import Foundation
import Testing
import VLMFoundation
import VLMImages
import VLMModels
import VLMTensor
import VLMTestSupport
import VLMZ

/// The sizes of SigLIP so400m that no block and no vector register divides: heads of 72, an inner
/// layer of 4304, patches of 14.
struct SigLIPSizeTests {
  private static let (width, hidden, patch, side) = (72, 4304, 14, 28)

  /// Tensors of one layer and the pooling head, by transformers' names.
  private static func shapes() -> [(name: String, shape: [Int])] {
    var shapes: [(String, [Int])] = [
      ("embeddings.patch_embedding.weight", [width, 3, patch, patch]),
      ("embeddings.position_embedding.weight", [4, width]), ("head.probe", [1, 1, width]),
      ("head.attention.in_proj_weight", [3 * width, width]),
      ("head.attention.in_proj_bias", [3 * width]),
    ]
    var modules: [(String, [Int])] = [
      ("post_layernorm", [width]), ("head.layernorm", [width]),
      ("head.attention.out_proj", [width, width]), ("head.mlp.fc1", [hidden, width]),
      ("head.mlp.fc2", [width, hidden]),
    ]
    let layer = "encoder.layers.0."
    for name in ["q", "k", "v", "out"] {
      modules.append((layer + "self_attn.\(name)_proj", [width, width]))
    }
    modules.append((layer + "layer_norm1", [width]))
    modules.append((layer + "layer_norm2", [width]))
    modules.append((layer + "mlp.fc1", [hidden, width]))
    modules.append((layer + "mlp.fc2", [width, hidden]))
    for (name, shape) in modules {
      shapes.append((name + ".weight", shape))
      shapes.append((name + ".bias", [shape[0]]))
    }
    shapes.append(("embeddings.patch_embedding.bias", [width]))
    return shapes
  }

  /// A folder with such a model; its numbers are always the same ones.
  private static func checkpoint() throws -> TemporaryFolder {
    let folder = try TemporaryFolder()
    var state: UInt64 = 1
    func random() -> Float {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return Float(Int32(truncatingIfNeeded: state >> 32)) / Float(Int32.max)
    }
    var header = JSONObject()
    var values: [Float] = []
    for (name, shape) in shapes() {
      let (start, count) = (values.count * 4, shape.reduce(1, *))
      let scale = shape.count > 1 ? 2 / Float(count / shape[0]).squareRoot() : 0.2
      let mean: Float = name.contains("norm") && name.hasSuffix("weight") ? 1 : 0
      for _ in 0..<count { values.append(mean + scale * random()) }
      header.set(
        name,
        [
          "dtype": "F32", "shape": .array(shape.map { .int($0) }),
          "data_offsets": [.int(start), .int(values.count * 4)],
        ])
    }
    let text = Array(JSONValue.object(header).serialized().utf8)
    var bytes = withUnsafeBytes(of: UInt64(text.count).littleEndian) { Array($0) } + text
    values.withUnsafeBytes { bytes.append(contentsOf: $0) }
    try folder.write("model.safetensors", bytes)
    let config: JSONValue = [
      "architectures": ["SiglipVisionModel"], "model_type": "siglip_vision_model",
      "hidden_size": .int(width), "intermediate_size": .int(hidden), "num_hidden_layers": 1,
      "num_attention_heads": 1, "image_size": .int(side), "patch_size": .int(patch),
    ]
    try folder.write("config.json", Array(config.serialized().utf8))
    return folder
  }

  private static func embedding(
    _ checkpoint: TemporaryFolder, _ scheme: Scheme, _ kernels: KernelSet
  ) throws -> [Float] {
    let folder = try TemporaryFolder()
    let session = try convertedSession(
      checkpoint.url.path, scheme, in: folder, kernels: kernels)
    let values = (0..<3 * side * side).map { Float(($0 * 37) % 201) / 100 - 1 }
    let picture = PixelTensor(height: side, width: side, channelsFirst: values)
    return try #require(try session.run([picture]).first).embedding
  }

  @Test("every scheme and instruction set takes them")
  func sizes() throws {
    let checkpoint = try Self.checkpoint()
    let scalar = try #require(KernelSet(named: "scalar"))
    let exact = try Self.embedding(checkpoint, .f32, scalar)
    let scale = exact.reduce(1) { max($0, abs($1)) }
    for (scheme, bound, least) in [
      (Scheme.f32, Float(1e-4), 0.999999), (.bf16, 2e-2, 0.999), (.q8, 2e-2, 0.999),
      (.q4, 2e-2, 0.97),
    ] {
      let reference = try Self.embedding(checkpoint, scheme, scalar)
      let similarity = cosine(reference, exact)
      #expect(similarity >= least, "\(scheme.name): cosine \(similarity)")
      for kernels in KernelSet.all where kernels.name != "scalar" {
        let found = try Self.embedding(checkpoint, scheme, kernels)
        let difference = maxAbsDifference(found, reference)
        #expect(
          difference <= bound * scale, "\(scheme.name) \(kernels.name): differs by \(difference)")
      }
    }
  }
}
