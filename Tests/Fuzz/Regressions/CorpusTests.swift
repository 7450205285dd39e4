import Foundation
import Testing
import VLMFuzzTargets

/// Inputs that once went wrong, or that reach far: `Tests/Fuzz/corpus/<format>/`.
@Suite struct CorpusTests {
  private static let folder = URL(fileURLWithPath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().appendingPathComponent("corpus")

  @Test(
    "every regression input of every fuzz target is handled without a trap",
    arguments: FuzzTarget.allCases)
  func corpus(_ target: FuzzTarget) throws {
    let folder = Self.folder.appendingPathComponent(target.rawValue)
    let names = try FileManager.default.contentsOfDirectory(atPath: folder.path)
      .filter { !$0.hasPrefix(".") }
    #expect(!names.isEmpty, "a target has regression inputs")
    for name in names {
      let data = try Data(contentsOf: folder.appendingPathComponent(name))
      #expect(data.count <= 64 << 10, "'\(name)' is small")
      data.withUnsafeBytes { target.run($0) }
    }
  }

  @Test(
    "every prefix of the first regression input of a target is handled without a trap",
    arguments: FuzzTarget.allCases)
  func prefixes(_ target: FuzzTarget) throws {
    let folder = Self.folder.appendingPathComponent(target.rawValue)
    let names = try FileManager.default.contentsOfDirectory(atPath: folder.path)
      .filter { !$0.hasPrefix(".") }.sorted()
    var data = Data()
    for name in names where data.isEmpty {
      data = try Data(contentsOf: folder.appendingPathComponent(name))
    }
    for count in 0...min(data.count, 512) {
      data.prefix(count).withUnsafeBytes { target.run($0) }
    }
    #expect(data.count > 0)
  }

  private static func input(_ path: String) throws -> Data {
    try Data(contentsOf: folder.appendingPathComponent(path))
  }

  @Test(
    "a small model of every family runs in the session target",
    arguments: [
      "clip-vit", "convnext", "convnext-v2-q8", "fastvit", "llama-bf16", "llama-q4", "llava",
      "llava-hr", "llava-next", "mobilenet", "open-clip", "siglip", "siglip-timm-q8", "siglip-wide",
      "vit", "vit-wide",
    ])
  func sessions(_ name: String) throws {
    let data = try Self.input("session/" + name)
    #expect(data.withUnsafeBytes { SessionTarget.run($0) })
  }

  @Test(
    "a checkpoint of every family is recognised in the checkpoint-config target",
    arguments: [
      "clip-vit", "convllava", "convnext-hf", "convnext-v2", "convnext-v2-hf", "dinov2-giant",
      "dinov2-timm", "dinov2-timm-wide", "efficientvit", "fastvit-timm", "fastvlm-apple", "gemma3",
      "llama-3.1", "llava-hr", "llava-hr-frozen", "llava-hr-x", "llava-next", "llava-onevision",
      "mlp-head", "mobileclip-b", "mobilenetv4", "mobilenetv4-hybrid", "open-clip", "phi4",
      "qwen2-yarn", "siglip-classifier", "siglip-joint", "siglip-naflex", "siglip-open-clip",
      "siglip-timm", "siglip-timm-wide", "siglip-vision", "smolvlm", "smolvlm2", "tiered-stem",
    ])
  func checkpoints(_ name: String) throws {
    let data = try Self.input("checkpoint-config/" + name)
    #expect(data.withUnsafeBytes { ModelTargets.checkpoint($0) })
  }

  @Test(
    "an extracted file of every kind is a whole model in the extracted target",
    arguments: ["convnext", "llama", "llava", "renamed", "repeated"])
  func extracted(_ name: String) throws {
    let data = try Self.input("extracted/" + name)
    #expect(data.withUnsafeBytes { ExtractedTarget.run($0) })
  }

  @Test("every folder of regression inputs belongs to a fuzz target")
  func folders() throws {
    let names = try FileManager.default.contentsOfDirectory(atPath: Self.folder.path)
      .filter { !$0.hasPrefix(".") }
    #expect(Set(names) == Set(FuzzTarget.allCases.map(\.rawValue)))
  }
}
