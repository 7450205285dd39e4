import Foundation
import Testing
import VLMCheckpoint
import VLMFoundation
import VLMTensor
import VLMTestSupport

private let root = TestFiles.shared.appendingPathComponent("cases/checkpoints").path
private let hasCheckpointCases = TestFiles.exists(root)

/// Checkpoints as people met them, with what the library that wrote them computes.
@Suite(.enabled(if: hasCheckpointCases, "needs the cases in ../shared, which are not here"))
struct CheckpointCaseTests {
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  private func convert(_ input: String, _ options: [String] = []) throws -> CommandRunner.Outcome {
    try CommandRunner.run(
      "vlm-convert", [root + "/" + input, folder.path("out.vlmz"), "--f32"] + options)
  }

  static let classifiers: [(input: String, options: [String], note: String)] = [
    ("pickle-mmengine-getattr/epoch_1.pth", [], ""),
    ("state-ema-pytorch/ema.pth", [], "reading the state 'ema_model' of"),
    ("state-ema-pytorch/ema.pth", ["--state", "online_model"], ""),
    ("state-lightning-two-models/last.ckpt", [], "'state_dict.net', 'state_dict.ema.module'"),
    ("state-lightning-two-models/last.ckpt", ["--state", "state_dict.net"], ""),
  ]

  @Test("classifiers give the probabilities of upstream's logits", arguments: classifiers)
  func classifier(input: String, options: [String], note: String) throws {
    let outcome = try convert(input, options)
    try #require(outcome.status == 0, "\(outcome.errors)")
    #expect(note.isEmpty || outcome.errors.contains(note), "\(outcome.errors)")
    let expected = root + "/" + input.split(separator: "/")[0] + "/expected.safetensors"
    let file = try SafetensorsFile.read(path: expected)
    let logits = try #require(file.tensors.first { $0.name != "pixel_values" }).floats()
    let total = logits.reduce(0) { $0 + Foundation.exp(Double($1)) }
    let run = try CommandRunner.vlmRun(
      folder.path("out.vlmz"), expected, "--json", "--top", "\(logits.count)", "-q")
    try #require(run.status == 0, "\(run.errors)")
    let top =
      try JSONValue.parse(Array(run.output.utf8)).arrayValue?.first?["top"]?.arrayValue ?? []
    #expect(top.count == logits.count)
    for entry in top {
      let (index, found) = (entry["index"]?.intValue ?? 0, entry["probability"]?.doubleValue ?? -1)
      #expect(abs(found - Foundation.exp(Double(logits[index])) / total) < 1e-4)
    }
  }

  static let converted: [(input: String, note: String)] = [
    ("single-and-shards", "reading 'model.safetensors', as transformers does"),
    ("tied-flag-but-own-head", "the file's head is kept, as transformers 5 does"),
    ("wrapper-not-convnext/last.ckpt", "left out: 'loss.weight'"),
    ("names-arch-not-named", "no tokenizer.model or tokenizer.json"),
  ]

  @Test("language models convert, and what was chosen is said", arguments: converted)
  func language(input: String, note: String) throws {
    let outcome = try convert(input)
    #expect(outcome.status == 0)
    #expect(outcome.errors.contains(note), "\(outcome.errors)")
  }

  static let refused: [(input: String, words: [String])] = [
    ("text-instead-of-weights", ["the text \"Entry not found\"", "download it again"]),
    (
      "text-instead-of-weights/pytorch_model.bin",
      ["Invalid username or password", "hf auth login"]
    ),
    ("upernet-misnamed", ["UperNetForSemanticSegmentation"]),
    ("llava-lora-advice", ["scripts/merge_lora_weights.py", "--model-base"]),
    ("llava-lora-advice/non_lora_trainables.bin", ["scripts/merge_lora_weights.py"]),
    ("hf-cache-root-and-trainer-dir/out", ["out/checkpoint-500"]),
    // A file without norms.
    ("meta-original", ["Meta's original layout", "3 tensors missing"]),
  ]

  @Test(
    "what cannot be converted is told truly, in one line with the next step", arguments: refused)
  func refusals(input: String, words: [String]) throws {
    let outcome = try convert(input, ["-q"])
    #expect(outcome.status == 65)
    #expect(outcome.errors.split(separator: "\n").count == 1)
    for word in words { #expect(outcome.errorLine.contains(word), "\(outcome.errors)") }
  }
}
