import Foundation
import Testing
import VLMTestSupport

/// The same model, whatever it came in, and after it was taken out of a container again.
@Suite("Round trips", .serialized)
struct RoundTripTests {
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  private func convert(_ source: String, _ name: String, _ scheme: String) throws -> String {
    let path = folder.path(name)
    let outcome = try CommandRunner.convert(source, path, scheme, "-q", "--force")
    try #require(outcome.status == 0, "\(source): \(outcome.errors)")
    return path
  }

  private func expectSame(_ a: String, _ b: String, _ comment: Comment) throws {
    let outcome = try CommandRunner.convert("diff", a, b)
    #expect(outcome.status == 0, "\(comment): \(outcome.output)\(outcome.errors)")
  }

  /// Converts a folder, extracts it beside its descriptions, and converts that.
  private func roundTrip(_ source: String, tower: String? = nil, _ scheme: String) throws {
    let files = FileManager.default
    let extracted = folder.path("extracted")
    try? files.removeItem(atPath: extracted)
    try files.createDirectory(atPath: extracted, withIntermediateDirectories: true)
    let first = try convert(source, "first.vlmz", scheme)
    let names = try files.contentsOfDirectory(atPath: source).filter {
      ($0.hasSuffix(".json") && !$0.contains("index")) || $0.hasPrefix("tokenizer")
    }
    var copies = names.map { (source + "/" + $0, $0) }
    if let tower {
      copies.append(
        (source + "/" + tower + "/preprocessor_config.json", "preprocessor_config.json"))
    }
    for (from, name) in copies {
      try files.copyItem(atPath: from, toPath: extracted + "/" + name)
    }
    let outcome = try CommandRunner.convert(
      "extract", first, extracted + "/model.safetensors", "-q")
    try #require(outcome.status == 0, "\(outcome.errors)")
    let second = try convert(extracted, "second.vlmz", scheme)
    try expectSame(first, second, "\(source) \(scheme)")
  }

  @Test(
    "what is extracted converts to the same tensors again", arguments: ["--f32", "--f16", "--bf16"])
  func extracted(scheme: String) throws {
    try roundTrip(TestFiles.fixture("convnext-cifar10"), scheme)
    try roundTrip(
      TestFiles.fixture("goldens/convllava-trained/hf-A-safetensors"), tower: "vision_tower",
      scheme)
  }

  static let models =
    [
      ("clip-vit/hf", nil), ("openclip-convnext", nil), ("convnextv2/hf", nil),
      ("llava-hr-trained/hf-bin", "openai/clip-vit-large-patch14-336"),
      ("convllava-4stage/hf-B-bin", "vision_tower"),
    ] as [(String, String?)]

  @Test(
    "every family of models is the same after a round trip",
    arguments: models)
  func families(model: String, tower: String?) throws {
    try roundTrip(TestFiles.golden(model), tower: tower, "--f32")
  }

  static let sources = [
    [
      "convnext-keys/hf", "convnext-keys/hf-bin", "convnext-keys/facebook.pth",
      "convnext-keys/legacy-nonzip.pth", "convnext-keys/odd-storages.pth",
      "convnext-keys/odd-storages-legacy.pth", "convnext-keys/timm.safetensors",
      "convnext-keys/timm-conv-mlp.safetensors", "convnext-keys/training-checkpoint.pth.tar",
    ],
    ["convnextv2/timm", "convnextv2/hf"],
    ["convllava-4stage/hf-A-safetensors", "convllava-4stage/hf-B-bin"],
    ["convllava-5stage/hf-A-bin", "convllava-5stage/hf-B-safetensors"],
  ]

  @Test("a model is the same from every container and under all its names", arguments: sources)
  func containers(paths: [String]) throws {
    let first = try convert(TestFiles.golden(paths[0]), "first.vlmz", "--f32")
    for path in paths.dropFirst() {
      let second = try convert(TestFiles.golden(path), "second.vlmz", "--f32")
      try expectSame(first, second, "\(path)")
    }
  }

  static let halves = [
    ("convnext-timm/fp16.safetensors", 0.002), ("convnext-timm/bf16.safetensors", 0.01),
  ]

  @Test("a checkpoint in half precision is the model up to its rounding", arguments: halves)
  func halfPrecision(path: String, tolerance: Double) throws {
    let whole = try convert(TestFiles.golden("convnext-timm/fp32"), "first.vlmz", "--f32")
    let half = try convert(TestFiles.golden(path), "second.vlmz", "--f32")
    let outcome = try CommandRunner.convert("diff", whole, half, "--tolerance", "\(tolerance)")
    #expect(outcome.status == 0, "\(outcome.output)")
    #expect(try CommandRunner.convert("diff", whole, half).status == 2)
  }
}
