import Testing
import VLMConversion
import VLMImages
import VLMModels
import VLMTensor
import VLMTestSupport
import VLMText
import VLMZ

/// LLaVA-HR, checkpoint → container → answer, against what upstream's own code computed. The tower
/// by itself has tests of its own.
struct LLaVAHRGoldenTests {
  static let checkpoints = [
    "llava-hr/hf-bin", "llava-hr-x/hf-safetensors", "llava-hr-frozen/hf-safetensors",
  ]

  @Test(
    "projected tokens, logits and greedy tokens are upstream's",
    arguments: checkpoints)
  func agrees(_ checkpoint: String) throws {
    let name = String(checkpoint.split(separator: "/")[0])
    let folder = try TemporaryFolder()
    let golden = try ConvLLaVAGolden(name)
    let session = try conversation(
      TestFiles.golden(checkpoint), .f32, in: folder, contextLength: 1280)
    let image = try golden.image("input.png")
    if TestFiles.exists(TestFiles.golden(name + "/processed.png")) {
      let shaped = try session.preprocessing.shape(image, name: "input.png")
      let processed = try golden.image("processed.png")
      #expect(shaped == processed)
    }
    let tokens = try session.encode(session.pixels(of: image, name: "input.png"))
    let expected = try TokenGolden(TestFiles.golden(name + "/expected.safetensors"))
    try expected.compareTokens(
      "projector", tokens.rows.array(),
      FeatureShape(batch: 1, height: 1, width: tokens.count, channels: tokens.columns), 2e-4)
    for prompt in ["single", "multiturn"] {
      let ids = try golden.ids(prompt)
      var compared = 0
      try session.inspect(ids, images: [tokens]) { name, shape, values in
        if golden.compare(prompt, name, shape, values, 2e-4, logits: 1e-3) { compared += 1 }
      }
      #expect(compared >= 4, "\(prompt): \(compared) tensors")
      let result = try session.generate(
        ids, images: [tokens], GenerationOptions(maximumTokens: 24, stopTokens: []))
      let answer = try golden.generated(prompt)
      #expect(result.tokens == answer, "\(prompt)")
    }
  }

  static let questions: [TrainedConvLLaVATests.Question] = {
    let json = try? TestFiles.json(TestFiles.golden("llava-hr-trained/expected.json"))
    return (json?["cases"]?.arrayValue ?? []).map { item in
      func integers(_ key: String) -> [Int] {
        (item[key]?.arrayValue ?? []).compactMap { $0.intValue }
      }
      func string(_ key: String) -> String { item[key]?.stringValue ?? "" }
      return TrainedConvLLaVATests.Question(
        key: string("key"), image: string("image"), ids: integers("input_ids"),
        answer: integers("ids"), text: string("text"), prompt: string("prompt"))
    }
  }()

  @Test(
    "a trained model's every answer is upstream's, whatever the scheme",
    arguments: [Scheme.f32, .f16, .q8, .q4])
  func answers(_ scheme: Scheme) throws {
    #expect(Self.questions.count == 8)
    let folder = try TemporaryFolder()
    let golden = try ConvLLaVAGolden("llava-hr-trained")
    let session = try conversation(
      TestFiles.golden("llava-hr-trained/hf-bin"), scheme, in: folder,
      keyValueFormat: scheme == .f32 ? .f32 : .f16)
    for question in Self.questions {
      let image = try golden.image(question.image)
      let tokens = try session.encode(session.pixels(of: image, name: question.image))
      let result = try session.generate(
        question.ids, images: [tokens], GenerationOptions(maximumTokens: 64))
      #expect(result.tokens == Array(question.answer.dropLast()), "\(question.key)")
      #expect(result.ending == .stopToken)
    }
  }

  @Test(
    "every tensor of the shards is read or known to be dead",
    arguments: checkpoints)
  func tensors(_ checkpoint: String) throws {
    let source = try SourceModel.open(path: TestFiles.golden(checkpoint))
    let used = Set(source.checkpoint.tensors.values.map(\.original))
    let left = source.catalog.tensors.map(\.name).filter { !used.contains($0) }
    let dead = [
      ".post_layernorm.", ".vision_tower.head.",
      ".rotary_emb.inv_freq",
    ]
    for name in left { #expect(dead.contains { name.contains($0) }, "\(name)") }
    #expect(!left.isEmpty)
  }

  @Test("a picture of another size than the grids allow is refused with both counts")
  func sizes() throws {
    let folder = try TemporaryFolder()
    let session = try conversation(TestFiles.golden("llava-hr/hf-bin"), .q8, in: folder)
    for (side, expected) in [(384, 576), (768, 576)] {
      let zeros = PixelTensor(
        height: side, width: side, values: [Float](repeating: 0, count: side * side * 3))
      let count = try session.encode(zeros).count
      #expect(count == expected)
    }
    let odd = PixelTensor(
      height: 512, width: 512, values: [Float](repeating: 0, count: 512 * 512 * 3))
    let error = thrownError(ModelError.self) { try session.encode(odd) }
    #expect(error?.description.contains("576 tokens of low and 256 of high") == true)
    let wide = PixelTensor(
      height: 384, width: 768, values: [Float](repeating: 0, count: 384 * 768 * 3))
    #expect(throws: ModelError.self) { try session.encode(wide) }
  }
}
