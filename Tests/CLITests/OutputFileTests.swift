import Foundation
import Testing
import VLMCheckpoint
import VLMFoundation
import VLMImages
import VLMTensor
import VLMTestSupport
import VLMText

/// `--explain`, `--dump` and `--embed` of every kind of model.
@Suite("Files beside the answer", .serialized)
struct ModelOutputTests {
  static let cat = TestFiles.fixture("goldens/convllava-trained/cat.png")
  static let cup = TestFiles.fixture("goldens/convllava-trained/cup.png")
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  private func converted(_ checkpoint: String, _ scheme: String = "--q8") throws -> String {
    let path = folder.path("model.vlmz")
    let outcome = try CommandRunner.convert(checkpoint, path, scheme, "-q", "--force")
    try #require(outcome.status == 0, "\(outcome.errors)")
    return path
  }

  private func llava() throws -> String {
    try converted(TestFiles.fixture("goldens/convllava-trained/hf-A-safetensors"))
  }

  /// The picture that `--explain` drew.
  private func explained(_ arguments: String...) throws -> Image {
    let picture = folder.path("picture.png")
    let outcome = try CommandRunner.run(
      "vlm-run", arguments + ["--explain", picture, "--force", "-q"])
    try #require(outcome.status == 0, "\(outcome.errors)")
    return try ImageDecoder.decode(
      path: picture, policy: .seen(background: .white), limits: ImageLimits())
  }

  @Test("--explain draws a classifier's stages and a LLaVA's tokens, with and without a question")
  func explain() throws {
    let classifier = try explained(
      converted(TestFiles.fixture("convnext-cifar10")), DemonstrationTests.horse)
    #expect(classifier.width > 800 && classifier.height > 400)
    let model = try llava()
    let mute = try explained(model, Self.cat)
    let asked = try explained(model, Self.cat, "-p", "Is there an animal?")
    #expect(mute.width > 800)
    #expect(mute.pixels == asked.pixels)
  }

  @Test("--explain refuses several images, other names, and a file that is there, before the work")
  func explainRefusals() throws {
    let model = try converted(TestFiles.fixture("convnext-cifar10"))
    let there = folder.path("there.png")
    try Data("mine".utf8).write(to: URL(fileURLWithPath: there))
    let horse = DemonstrationTests.horse
    let refused = try CommandRunner.vlmRun(model, horse, "--explain", there)
    #expect(refused.status == 73)
    #expect(refused.output == "")
    #expect(try Data(contentsOf: URL(fileURLWithPath: there)) == Data("mine".utf8))
    for arguments in [
      [horse, horse, "--explain", "a.png"], [horse, "--explain", "a.jpg"],
      [horse, "--embed", "a.txt"], [horse, "--dump", "x.png", "--explain", "x.png"],
    ] {
      let outcome = try CommandRunner.run("vlm-run", [model] + arguments)
      #expect(outcome.status == 64, "\(arguments): \(outcome.errors)")
    }
    #expect(
      try CommandRunner.vlmRun(model, horse, "--explain", "/nonexistent/a.png").status == 73)
  }

  @Test("--embed writes a row per visual token, those of several pictures one after the other")
  func embedTokens() throws {
    let model = try llava()
    let path = folder.path("tokens.safetensors")
    func tokens(_ images: String...) throws -> ExpectedTensor {
      let outcome = try CommandRunner.run(
        "vlm-run", [model] + images + ["--embed", path, "--force"])
      try #require(outcome.status == 0, "\(outcome.errors)")
      return try #require(try Expected(path).tensor("embedding"))
    }
    let (cat, cup) = (try tokens(Self.cat), try tokens(Self.cup))
    let both = try tokens(Self.cat, Self.cup)
    #expect(cat.shape.count == 2)
    #expect(both.shape == [2 * cat.shape[0], cat.shape[1]])
    #expect(both.values == cat.values + cup.values)
    let json = try CommandRunner.vlmRun(
      model, Self.cat, "--embed", folder.path("tokens.npy"), "--jsonl")
    let object = try JSONValue.parse(Array(json.output.utf8))
    #expect(object["visual_tokens"]?.intValue == cat.shape[0])
  }

  @Test("--dump of a LLaVA has the tower, the prompt and the logits, and its input in its place")
  func dump() throws {
    let model = try llava()
    let path = folder.path("dump.safetensors")
    let outcome = try CommandRunner.vlmRun(
      model, Self.cat, "-p", "What is in the picture?", "--dump", path, "-q")
    #expect(outcome.status == 0, "\(outcome.errors)")
    #expect(outcome.output == "A tabby cat looks at the camera.\n")
    let dumped = try Expected(path)
    for name in [
      "pixel_values", "tower.stage0", "tower.features", "projector", "inputs_embeds", "hidden.0",
      "logits",
    ] {
      #expect(dumped.tensor(name) != nil, "\(name)")
    }
    let tokens = try #require(dumped.tensor("projector"))
    let inputs = try #require(dumped.tensor("inputs_embeds"))
    #expect(inputs.shape[2] == tokens.shape[2])
    #expect(dumped.tensor("hidden.0")?.values == inputs.values)
    // The picture's tokens stand in the sequence as they left the projector.
    let (first, width) = (tokens.values[0..<tokens.shape[2]], tokens.shape[2])
    let starts = stride(from: 0, to: inputs.values.count, by: width).filter {
      inputs.values[$0..<$0 + width] == first
    }
    let start = try #require(starts.first)
    #expect(Array(inputs.values[start..<start + tokens.values.count]) == tokens.values)
    // What the tower saw, as a file, gives the same answer and the same numbers.
    let pixels = try #require(dumped.tensor("pixel_values"))
    let file = folder.path("pixels.safetensors")
    try SafetensorsWriter.write(
      path: file, overwrite: true,
      tensors: [.init(name: "pixel_values", shape: pixels.shape, floats: pixels.values)])
    let again = try CommandRunner.vlmRun(
      model, file, "-p", "What is in the picture?", "--dump", path, "-q", "--force")
    #expect(again.output == outcome.output, "\(again.errors)")
    #expect(try Expected(path).tensor("projector")?.values == tokens.values)
  }

  @Test("--dump of a language model needs a prompt and no image")
  func dumpLanguage() throws {
    let model = try converted(TestFiles.fixture("stories260K"))
    let path = folder.path("dump.safetensors")
    #expect(try CommandRunner.vlmRun(model, "--dump", path).status == 64)
    #expect(
      try CommandRunner.vlmRun(model, "--chat", "--dump", path).status == 64)
    let outcome = try CommandRunner.vlmRun(
      model, "-p", "Once upon a time", "-n", "3", "--dump", path)
    #expect(outcome.status == 0, "\(outcome.errors)")
    let dumped = try Expected(path)
    #expect(dumped.tensor("inputs_embeds")?.shape == [1, 5, 64])
    #expect(dumped.tensor("hidden.5")?.shape == [5, 64])
    #expect(dumped.tensor("logits")?.shape == [512])
    #expect(dumped.tensor("input_ids")?.shape == [1, 5])
    #expect(dumped.tensor("argmax_all")?.shape == [5])
    #expect(dumped.tensor("hidden_last.5")?.shape == [64])
    let logits = try #require(dumped.tensor("gen_logits"))
    #expect(logits.shape == [3, 512])
    let ids = try #require(dumped.tensor("gen_ids")).values
    #expect(ids.first == dumped.tensor("argmax_all")?.values.last)
    let margins = try #require(dumped.tensor("gen_margins")).values
    for step in 0..<3 {
      let row = logits.values[step * 512..<(step + 1) * 512].sorted(by: >)
      #expect(logits.values[step * 512 + Int(ids[step])] == row[0])
      #expect(margins[step] == row[0] - row[1])
    }
  }

  @Test("--dump of a CLIP with a classifier on its projection has both's values")
  func dumpHead() throws {
    let model = try converted(TestFiles.fixture("heads/clip-wrapper.safetensors"), "--f32")
    let path = folder.path("dump.safetensors")
    let outcome = try CommandRunner.vlmRun(
      model, Self.cat, "--dump", path, "-q")
    #expect(outcome.status == 0, "\(outcome.errors)")
    let dumped = try Expected(path)
    #expect(dumped.tensor("logits")?.shape == [1, 4])
    #expect(dumped.tensor("image_embedding_raw")?.shape == [1, 10])
    #expect(dumped.tensor("image_embedding")?.shape == [1, 10])
  }

  @Test("CLIP, LLaVA-HR and open_clip are drawn and embedded, and texts are")
  func otherTowers() throws {
    let hr = try converted(TestFiles.golden("llava-hr-trained/hf-bin"))
    let drawn = try explained(hr, Self.cat)
    #expect(drawn.width > 800)
    let file = folder.path("hr.safetensors")
    try #require(try CommandRunner.vlmRun(hr, Self.cat, "--dump", file, "-q").status == 0)
    let dumped = try Expected(file)
    let width = dumped.tensor("projector")?.shape[1] ?? 0
    for name in [
      "fast.pre_layernorm", "fast.layer0", "adapter0.in_fast", "align.slow_proj", "visual_tokens",
      "tower.features",
    ] {
      #expect(dumped.tensor(name)?.shape[1] == width, "\(name)")
    }
    #expect(dumped.tensor("adapter2.gate_pre_tanh")?.shape == [1, 1])
    for name in ["fast.pixel_in", "slow.stage3", "adapter2.fast_proj"] {
      #expect(dumped.tensor(name)?.shape.count == 4, "\(name)")
    }
    // Takes the place of the other's file.
    let clip = try converted(TestFiles.golden("clip-vit/hf"))
    #expect(try explained(clip, Self.cat).width > 800)
    let rows = folder.path("rows.npy")
    #expect(try CommandRunner.vlmRun(clip, Self.cat, "--embed", rows).status == 0)
    #expect(try Data(contentsOf: URL(fileURLWithPath: rows)).count == 128 + 4 * 64)
  }

  @Test("--labels gives probabilities that sum to 1, and --embed writes the texts' rows")
  func textEmbeddings() throws {
    let model = try converted(
      TestFiles.golden("openclip-convnext/open_clip_model.safetensors"), "--f32")
    let both = folder.path("both.safetensors")
    let outcome = try CommandRunner.vlmRun(
      model, Self.cat, "--labels", "a cat, a dog, nothing", "--embed", both, "--json")
    #expect(outcome.status == 0, "\(outcome.errors)")
    let top = try JSONValue.parse(Array(outcome.output.utf8)).arrayValue?.first?["top"]?.arrayValue
    let sum = (top ?? []).reduce(0) { $0 + ($1["probability"]?.doubleValue ?? 0) }
    #expect(abs(sum - 1) < 1e-6)
    let written = try Expected(both)
    let texts = try #require(written.tensor("text_embedding"))
    #expect(written.tensor("embedding")?.shape == [1, 32])
    #expect(texts.shape == [3, 32])
    let length = texts.values[0..<32].reduce(0) { $0 + $1 * $1 }
    #expect(abs(length - 1) < 1e-5)
    let dump = folder.path("dump.safetensors")
    try #require(
      try CommandRunner.vlmRun(
        model, Self.cat, "--labels", "a cat, a dog, nothing", "--dump", dump
      ).status == 0)
    let dumped = try Expected(dump)
    #expect(dumped.tensor("text_embedding")?.values == texts.values)
    #expect(dumped.tensor("image_embedding")?.values == written.tensor("embedding")?.values)
    #expect(dumped.tensor("probs")?.shape == [1, 3])
    #expect(dumped.tensor("trunk_features")?.shape.count == 4)
    // Without an image a .npy has the texts' rows.
    let rows = folder.path("texts.npy")
    #expect(
      try CommandRunner.vlmRun(model, "--labels", "a cat, a dog, nothing", "--embed", rows).status
        == 0)
    let bytes = try Data(contentsOf: URL(fileURLWithPath: rows)).dropFirst(128)
    let values = bytes.withUnsafeBytes { $0.loadUnaligned(as: Float.self) }
    #expect(values == texts.values[0])
    #expect(bytes.count == 4 * texts.values.count)
  }
}
