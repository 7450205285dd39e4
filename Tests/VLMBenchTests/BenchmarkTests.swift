import CVLMPeak
import Foundation
import Testing
import VLMBench
import VLMFoundation
import VLMImages
import VLMModels
import VLMTensor
import VLMTestSupport
import VLMText
import VLMZ

@Suite("Benchmarks, but for their times")
struct BenchmarkTests {
  private func temporaryPath() -> String {
    FileManager.default.temporaryDirectory
      .appendingPathComponent("bench-\(UUID().uuidString).vlmz").path
  }

  @Test(
    "a random model of every scheme opens and gives finite numbers",
    arguments: Scheme.allCases)
  func randomModel(_ scheme: Scheme) throws {
    let path = temporaryPath()
    defer { try? FileManager.default.removeItem(atPath: path) }
    // 20 classes: a panel and a part of one.
    let config = try RandomModel.config(depths: [1, 1], channels: [8, 72], classes: 20)
    try RandomModel.write(config, scheme: scheme, to: path)
    let session = try Session(
      path: path, kernels: try KernelSet.selected(), threads: 1)
    let image = PixelTensor(
      height: 16, width: 24, values: (0..<16 * 24 * 3).map { Float($0 % 7) - 3 })
    let result = try #require(try session.run([image]).first)
    let logits = try #require(result.logits)
    #expect(logits.count == 20)
    #expect(logits.allSatisfy { $0.isFinite })
    #expect(Set(logits).count > 1)
  }

  @Test("the same seed writes the same bytes")
  func sameSeed() throws {
    let paths = [temporaryPath(), temporaryPath()]
    defer { for path in paths { try? FileManager.default.removeItem(atPath: path) } }
    let config = try RandomModel.config(depths: [1], channels: [16], classes: nil)
    for path in paths { try RandomModel.write(config, scheme: .q8, to: path, seed: 7) }
    #expect(FileManager.default.contentsEqual(atPath: paths[0], andPath: paths[1]))
  }

  @Test(
    "operations are those that the papers state",
    arguments: [
      // Liu et al., table 1: 4.5, 8.7, 15.4, 34.4 G multiply-adds at 224.
      ("convnext_tiny", 4.5), ("convnext_small", 8.7), ("convnext_base", 15.4),
      ("convnext_large", 34.4),
    ])
  func operations(_ name: String, _ expected: Double) throws {
    let config = try RandomModel.config(named: name)
    let found = config.operations(height: 224, width: 224) / 2e9
    #expect(abs(found - expected) < 0.06, "\(found)")
  }

  @Test(
    "operations of towers for language models are those counted by hand",
    arguments: [
      // Convolutions, transformer, adapters and the last fusion, in G multiply-adds.
      ("llava_hr", 384, 296.7), ("llava_hr", 768, 604.7),
      ("llava_hr", 1024, 1097.6), ("llava_hr_x", 1024, 3575.2),
      // The tower and, for 576 tokens, 3072 · 4096 + 4096² of the projector.
      ("convllava-7b", 1536, 1887.9 + 16.9),
    ])
  func encoderOperations(_ name: String, _ side: Int, _ expected: Double) throws {
    let encoder = try #require(try RandomEncoder(named: name))
    let found = try encoder.operations(side: side) / 2e9
    #expect(abs(found - expected) < 0.01 * expected, "\(found)")
  }

  @Test("operations of SigLIP are those counted by hand")
  func sigLIPOperations() throws {
    let model = try RandomModel.image(named: "siglip_so400m_384")
    let tower = try #require(model.config.image as? SigLIPConfig)
    // 729 patches: 0.494 G multiply-adds to embed them, 27 layers of 12.323, and 1.949 of the head.
    let found = try RandomEncoder(tower: tower).operations(side: 384) / 2e9
    #expect(abs(found - 335.17) < 0.01, "\(found)")
    let patches = SigLIPConfig(
      imageSize: tower.imageSize, patchSize: tower.patchSize, encoder: tower.encoder,
      feature: .patches)
    #expect(abs(patches.operations(patches: 729) / 2e9 - 333.22) < 0.01)
    #expect(throws: BenchError(.unknownModel("siglip"))) { try RandomModel.image(named: "siglip") }
  }

  @Test(
    "MobileNetV4's operations are those that timm's layers have, and the small models are named")
  func smallModels() throws {
    // 256 patches and a class token through 12 layers, and the patches' embedding.
    let (tokens, width) = (257.0, 384.0)
    let layer: Double = tokens * 12 * width * width + 2 * tokens * tokens * width
    let models: [(name: String, side: Int, operations: Double)] = [
      // timm's convolutions and its linear layer at 224 pixels.
      ("mobilenetv4_conv_small", 224, 186_005_568),
      ("dinov2_small", 224, 12 * layer + 256 * 588 * width),
    ]
    for (name, side, operations) in models {
      let model = try RandomModel.image(named: name)
      let tower = try #require(model.config.image, "\(name)")
      let found = try RandomEncoder(tower: tower).operations(side: side)
      #expect(found == 2 * operations, "\(name): \(found)")
    }
    for name in ["smollm2-360m", "qwen2-0.5b", "qwen2-1.5b.2"] {
      #expect(try RandomModel.language(named: name).tiedEmbeddings)
    }
  }

  @Test("every named encoder makes tokens of its language model's width, and no other is known")
  func encoderNames() throws {
    for name in RandomEncoder.names {
      let encoder = try #require(try RandomEncoder(named: name))
      let width = encoder.projector?.outputs ?? encoder.tower.geometry.channels
      let small = ["fastvithd": 3072, "fastvlm-0.5b": 896, "smolvlm-256m": 16 * 768][name]
      let widths = small.map { [$0] } ?? [1024, name.hasSuffix("13b") ? 5120 : 4096]
      #expect(widths.contains(width), "\(name)")
    }
    let other = try RandomEncoder(named: "convnext_tiny")
    #expect(other == nil)
  }

  @Test("every named model has a valid geometry, and an unknown one is refused")
  func names() throws {
    for name in RandomModel.names {
      #expect(try RandomModel.config(named: name).featureChannels > 0)
    }
    #expect(throws: BenchError(.unknownModel("resnet"))) {
      try RandomModel.config(named: "resnet")
    }
  }

  @Test("a run has one result per case with as many samples as asked for, and every peak")
  func smallRun() throws {
    let names = try [
      "gemm/q8/M70.K40.N20", "gemm/q4/M3.K40.N20", "gemm/bf16/M3.K40.N20", "gemm/f32/M70.K40.N20",
      "gemv/q8/K64.N33", "depthwise3/f32/5x6x7", "layer_norm/f32/R3.C5", "gelu/f32/R3.C5",
      "quantize/u8/R3.C5", "rms_norm/f32/R3.C5", "attention/q8/R3.K7.H4.G2.D8",
    ].map { try CaseName(parsing: $0, isa: "scalar", threads: 2) }
    let outcome = try Benchmark(names: names, runs: 2).run { _, _, _ in }
    #expect(outcome.results.map(\.name) == names)
    for result in outcome.results {
      #expect(result.seconds.values.count == 2)
      #expect(result.operationsPerSecond > 0)
    }
    #expect(outcome.peaks.contains { $0.bound == .bandwidth && $0.rate > 0 })
    #expect(outcome.peaks.allSatisfy { $0.threads == 2 })
    let json = BenchReport(outcome, profiles: [], runs: 2).json
    #expect(json["cases"]?.arrayValue?.count == names.count)
    #expect(json["cases"]?.arrayValue?.first?["name"]?.stringValue == "\(names[0])")
    #expect(try JSONValue.parse(json.serialized(pretty: true)) == json)
  }

  @Test("kernels that cannot run here are refused, naming those that can")
  func unknownKernels() throws {
    let name = try CaseName(parsing: "gelu/f32/R1.C1", isa: "mmx", threads: 1)
    #expect(throws: BenchError(.unavailableKernels("mmx", available: KernelSet.all.map(\.name)))) {
      _ = try Benchmark(names: [name], runs: 1).run { _, _, _ in }
    }
  }

  @Test("the counting table calls the table it wraps and counts under the right name")
  func countingTable() throws {
    let kernels = try #require(KernelSet(named: "scalar"))
    let counting = KernelSet(table: try #require(vlm_counted_kernels(kernels.table)))
    #expect(counting.name == "scalar")
    var counts = [UInt64](repeating: 0, count: Int(VLM_COUNTED_KINDS.rawValue))
    vlm_counted_take(&counts)
    let memory = Activations(count: 2 * 4000)
    let x = memory.matrix(rows: 2, columns: 4000)
    for column in 0..<4000 { x[0, column] = Float(column) }
    counting.layerNorm(x, weight: nil, bias: nil, epsilon: 1e-6, into: x)
    vlm_counted_take(&counts)
    #expect(counts[Int(VLM_COUNTED_LAYER_NORM.rawValue)] > 0)
    #expect(counts.filter { $0 > 0 }.count == 1)
    #expect(abs(x[0, 0] + x[0, 3999]) < 1e-3)
    vlm_counted_take(&counts)
    #expect(counts.allSatisfy { $0 == 0 })
  }
}
