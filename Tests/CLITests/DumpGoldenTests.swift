import Foundation
import Testing
import VLMCheckpoint
import VLMFoundation
import VLMTensor
import VLMTestSupport

/// What `--dump` writes beside everything that the goldens hold: each of their tensors is there under
/// its own name, with its shape and values.
@Suite("Dumps against goldens", .serialized)
struct DumpGoldenTests {
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  private func converted(_ checkpoint: String) throws -> String {
    let path = folder.path("model.vlmz")
    let outcome = try CommandRunner.convert(TestFiles.golden(checkpoint), path, "--f32", "-q")
    try #require(outcome.status == 0, "\(outcome.errors)")
    return path
  }

  private func dump(_ arguments: [String]) throws -> Expected {
    let path = folder.path("dump.safetensors")
    let outcome = try CommandRunner.run(
      "vlm-run", arguments + ["--dump", path, "--force", "-q"])
    try #require(outcome.status == 0, "\(outcome.errors)")
    return try Expected(path)
  }

  /// The golden's tensor in a dump: the whole one, or the part of it that the golden keeps.
  private static func part(
    of name: String, as want: ExpectedTensor, in dump: Expected
  ) -> ExpectedTensor? {
    guard let mark = name.range(of: "__") else {
      guard let whole = dump.tensor(name), whole.shape != want.shape else {
        return dump.tensor(name)
      }
      // Of some hidden states the goldens have the last position alone.
      guard want.shape.count == 1, whole.shape.count == 2 else { return whole }
      return ExpectedTensor(
        shape: want.shape, values: Array(whole.values.suffix(want.values.count)))
    }
    guard let whole = dump.tensor(String(name[..<mark.lowerBound])) else { return nil }
    let rule = name[mark.upperBound...]
    guard let number = Int(rule.drop { !$0.isNumber }), number > 0, whole.shape.count >= 2 else {
      return nil
    }
    let (height, width) = (whole.shape[whole.shape.count - 2], whole.shape[whole.shape.count - 1])
    let rows: [Int]
    switch rule.prefix(while: { !$0.isNumber }) {
    case "stride", "tokstride": rows = Array(Swift.stride(from: 0, to: height, by: number))
    case "first": rows = Array(0..<min(height, number))
    case "last": rows = Array(max(0, height - number)..<height)
    default: return nil
    }
    let step = rule.hasPrefix("stride") ? number : 1
    let columns = Array(Swift.stride(from: 0, to: width, by: step))
    var values: [Float] = []
    for plane in 0..<whole.values.count / max(1, height * width) {
      for row in rows {
        for column in columns {
          values.append(whole.values[(plane * height + row) * width + column])
        }
      }
    }
    return ExpectedTensor(
      shape: whole.shape.dropLast(2) + [rows.count, columns.count], values: values)
  }

  /// - Parameter known: the golden's name without its prefix for those to look for.
  private func check(
    _ expected: Expected, _ dump: Expected, prefix: String = "",
    where known: (String) -> Bool = { _ in true }
  ) throws {
    var count = 0
    for name in expected.names where name.hasPrefix(prefix) {
      let short = String(name.dropFirst(prefix.count))
      guard known(short) else { continue }
      count += 1
      let want = try #require(expected.tensor(name))
      let part = Self.part(of: short, as: want, in: dump)
      let found = try #require(part, "\(name) is missing")
      #expect(found.shape == want.shape, "\(name)")
      guard found.shape == want.shape else { continue }
      // As the goldens state, and as CLITests has it for what follows softmax.
      let isLate = ["logits", "gen_", "hidden"].contains { short.hasPrefix($0) }
      let difference = maxAbsDifference(found.values, want.values)
      let bound: Float = isLate ? 1e-3 : 2e-4
      #expect(difference <= bound * want.scale, "\(name): differs by \(difference)")
    }
    #expect(count > 0)
  }

  static let answering = [
    "llava-hr/hf-bin", "llava-hr-x/hf-safetensors", "llava-hr-frozen/hf-safetensors",
    "convllava-4stage/hf-A-safetensors", "convllava-5stage/hf-B-safetensors",
  ]

  @Test("every tensor of a LLaVA's golden is in its dump", arguments: answering)
  func answers(_ checkpoint: String) throws {
    let golden = String(checkpoint.prefix { $0 != "/" })
    let model = try converted(checkpoint)
    let expected = try Expected(TestFiles.golden(golden + "/expected.safetensors"))
    let json = try TestFiles.json(TestFiles.golden(golden + "/expected.json"))
    let prompts = try #require(json["prompts"]?.objectValue)
    let names = prompts.members.map { $0.key + "." }
    for member in prompts.members {
      let prompt = try #require(member.value["prompt"]?.stringValue)
      let image = member.value["image"]?.stringValue.map { TestFiles.golden(golden + "/" + $0) }
      let dump = try dump(
        [model] + (image.map { [$0] } ?? []) + [
          "-p", prompt, "--template", "none", "-n", "24", "--kv", "f32",
        ])
      try check(expected, dump, prefix: member.key + ".")
      guard image != nil else { continue }
      try check(expected, dump) { name in !names.contains { name.hasPrefix($0) } }
    }
  }

  @Test(
    "a trained LLaVA's answers are in its dump, their ends included",
    arguments: ["llava-hr-trained/hf-bin", "convllava-trained/hf-A-safetensors"])
  func trained(_ checkpoint: String) throws {
    let golden = String(checkpoint.prefix { $0 != "/" })
    let model = try converted(checkpoint)
    let expected = try Expected(TestFiles.golden(golden + "/expected.safetensors"))
    let json = try TestFiles.json(TestFiles.golden(golden + "/expected.json"))
    for test in try #require(json["cases"]?.arrayValue) {
      let key = try #require(test["key"]?.stringValue)
      let image = try #require(test["image"]?.stringValue)
      let prompt = try #require(test["prompt"]?.stringValue)
      let dump = try dump([
        model, TestFiles.golden(golden + "/" + image), "-p", prompt, "--template", "none",
        "--kv", "f32",
      ])
      try check(expected, dump, prefix: key + ".")
      let tokens = String(key.prefix { $0 != "." }) + "."
      if expected.names.contains(where: { $0.hasPrefix(tokens + "projector") }) {
        try check(expected, dump, prefix: tokens) { $0.hasPrefix("projector") }
      }
    }
  }

  @Test("every tensor of CLIP's golden is in its dump, at each size")
  func clip() throws {
    let model = try converted("clip-vit/hf")
    let expected = try Expected(TestFiles.golden("clip-vit/expected.safetensors"))
    let image = TestFiles.golden("clip-vit/input.png")
    try check(expected, try dump([model, image])) {
      !$0.hasPrefix("s168.") && !$0.hasPrefix("s84.")
    }
    for size in ["168", "84"] {
      try check(expected, try dump([model, image, "--size", size]), prefix: "s\(size).")
    }
  }

  @Test("every tensor of open_clip's golden is in its dump")
  func openCLIP() throws {
    let model = try converted("openclip-convnext")
    let expected = try Expected(TestFiles.golden("openclip-convnext/expected.safetensors"))
    let json = try TestFiles.json(TestFiles.golden("openclip-convnext/expected.json"))
    let labels = (json["labels"]?.arrayValue ?? []).compactMap(\.stringValue)
    let dump = try dump([
      model, TestFiles.golden("openclip-convnext/input.png"), "--labels",
      labels.joined(separator: ","), "--decode", "pillow",
    ])
    try check(expected, dump) { $0 != "text_ids" }
    // The golden's further rows are strings that are no labels.
    let ids = try #require(dump.tensor("text_ids"))
    let want = try #require(expected.tensor("text_ids"))
    #expect(ids.shape == [labels.count, want.shape[1]])
    #expect(ids.values == Array(want.values.prefix(ids.values.count)))
  }

  @Test(
    "every tensor of the ConvNeXts' goldens is in their dumps",
    arguments: [
      ("convnext-timm", "fp32", "input_a.png", "a."), ("convnextv2", "hf", "input.png", ""),
      ("convnext-keys", "hf", "input.png", ""),
    ])
  func convNeXt(_ test: (golden: String, checkpoint: String, image: String, prefix: String)) throws
  {
    let model = try converted("\(test.golden)/\(test.checkpoint)")
    let expected = try Expected(TestFiles.golden(test.golden + "/expected.safetensors"))
    let pixels = try #require(expected.tensor(test.prefix + "pixel_values"))
    // The picture's own steps have goldens of their own; here all forms have one input.
    let input = folder.path("input.safetensors")
    try SafetensorsWriter.write(
      path: input, overwrite: true,
      tensors: [.init(name: "pixel_values", shape: pixels.shape, floats: pixels.values)])
    let dump = try dump([model, input])
    let parts = ["pixel_values", "stem", "stage", "pooled", "head_norm"]
    try check(expected, dump, prefix: test.prefix) { name in
      parts.contains { name.hasPrefix($0) }
    }
    let logits = test.checkpoint == "hf" ? "hf_logits" : test.prefix + "logits"
    let want = try #require(expected.tensor(logits))
    let found = try #require(dump.tensor("logits"))
    #expect(maxAbsDifference(found.values, want.values) <= 1e-4 * want.scale)
  }
}
