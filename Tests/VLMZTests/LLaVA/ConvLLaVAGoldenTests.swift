import Testing
import VLMConversion
import VLMFoundation
import VLMImages
import VLMModels
import VLMTensor
import VLMTestSupport
import VLMText
import VLMZ

/// ConvLLaVA, checkpoint → container → answer, against what upstream's own code computed.
struct ConvLLaVAGoldenTests {
  /// Of the expected tensor's largest magnitude.
  static let tolerance: Float = 2e-4
  static let logitTolerance: Float = 1e-3

  struct Layout: Sendable, CustomTestStringConvertible {
    let folder: String
    let layout: String
    var testDescription: String { "\(folder)/\(layout)" }
    var checkpoint: String { TestFiles.golden("\(folder)/\(layout)") }
  }

  static let layouts = [
    Layout(folder: "convllava-4stage", layout: "hf-A-safetensors"),
    Layout(folder: "convllava-4stage", layout: "hf-B-bin"),
    Layout(folder: "convllava-5stage", layout: "hf-A-bin"),
    Layout(folder: "convllava-5stage", layout: "hf-B-safetensors"),
  ]

  @Test("pixels, tower and projector agree with upstream at every stage", arguments: layouts)
  func picture(_ layout: Layout) throws {
    let folder = try TemporaryFolder()
    let golden = try ConvLLaVAGolden(layout.folder)
    let session = try conversation(layout.checkpoint, .f32, in: folder)
    let image = try golden.image("input.png")
    let shaped = try session.preprocessing.shape(image, name: "input.png")
    let processed = try golden.image("processed.png")
    #expect(shaped == processed)
    var compared = 0
    let tokens = try session.encode(session.pixels(of: image, name: "input.png")) { seen in
      let (shape, values) = seen.planar
      golden.compare(seen.name, shape, values, Self.tolerance)
      compared += 1
    }
    #expect(tokens.count == golden.visualTokens)
    let stages = layout.folder == "convllava-5stage" ? 5 : 4
    #expect(compared == stages + 4)
  }

  @Test(
    "embeddings, hidden states and logits of a prompt agree with upstream", arguments: layouts)
  func prompt(_ layout: Layout) throws {
    let folder = try TemporaryFolder()
    let golden = try ConvLLaVAGolden(layout.folder)
    let session = try conversation(layout.checkpoint, .f32, in: folder)
    let tokens = try session.encode(session.pixels(of: golden.image("input.png"), name: "input"))
    for prompt in ["single", "multiturn", "textonly"] {
      let ids = try golden.ids(prompt)
      var names = Set<String>()
      try session.inspect(ids, images: ids.contains(ImagePrompt.sentinel) ? [tokens] : []) {
        name, shape, values in
        if golden.compare(
          prompt, name, shape, values, Self.tolerance, logits: Self.logitTolerance)
        {
          names.insert(name)
        }
      }
      // The goldens have hidden states of one prompt.
      let hidden = prompt == "single" ? (0..<4).map { "hidden.\($0)" } : []
      #expect(names.isSuperset(of: ["inputs_embeds", "logits"] + hidden), "\(prompt)")
    }
  }

  @Test("the greedy tokens are upstream's, turn after turn", arguments: layouts)
  func greedy(_ layout: Layout) throws {
    let folder = try TemporaryFolder()
    let golden = try ConvLLaVAGolden(layout.folder)
    let session = try conversation(layout.checkpoint, .f32, in: folder)
    let tokens = try session.encode(session.pixels(of: golden.image("input.png"), name: "input"))
    // The second follows the first in one context, of which it shares the picture.
    for prompt in ["single", "multiturn", "textonly", "single"] {
      let ids = try golden.ids(prompt)
      let text = try golden.prompt(prompt)
      let found = try session.tokenizer.map { try ImagePrompt.ids(PromptText(text), $0) }
      #expect(found == ids)
      let options = GenerationOptions(maximumTokens: 24, stopTokens: [])
      let result = try session.generate(
        ids, images: ids.contains(ImagePrompt.sentinel) ? [tokens] : [], options)
      let expected = try golden.generated(prompt)
      #expect(result.tokens == expected, "\(prompt)")
      let answer = try golden.answer(prompt)
      #expect(result.text == answer)
    }
  }
}

/// What one golden folder says.
struct ConvLLaVAGolden {
  let folder: String
  private let expected: Expected
  private let json: JSONValue

  init(_ folder: String) throws {
    self.folder = folder
    expected = try Expected(TestFiles.golden("\(folder)/expected.safetensors"))
    json = try TestFiles.json(TestFiles.golden("\(folder)/expected.json"))
  }

  func image(_ name: String) throws -> VLMImages.Image {
    try ImageDecoder.decode(path: TestFiles.golden("\(folder)/\(name)"), policy: .pillow)
  }

  var visualTokens: Int? { json["n_visual_tokens"]?.intValue }

  func ids(_ prompt: String) throws -> [Int] { try integers(prompt, "input_ids") }

  func prompt(_ prompt: String) throws -> String {
    try #require(json["prompts"]?[prompt]?["prompt"]?.stringValue)
  }

  func answer(_ prompt: String) throws -> String {
    try #require(json["prompts"]?[prompt]?["text"]?.stringValue)
  }

  func generated(_ prompt: String) throws -> [Int] { try integers(prompt, "ids") }

  private func integers(_ prompt: String, _ key: String) throws -> [Int] {
    let values = try #require(json["prompts"]?[prompt]?[key]?.arrayValue)
    return values.compactMap { $0.intValue }
  }

  func compare(_ name: String, _ shape: [Int], _ values: [Float], _ tolerance: Float) {
    guard let (want, got) = expected.match(name, shape: shape, values: values) else {
      Issue.record("\(name): shape \(shape) does not fit the golden")
      return
    }
    let difference = maxAbsDifference(got, want.values)
    #expect(difference <= tolerance * want.scale, "\(name): differs by \(difference)")
  }

  /// Goldens hold all of some, and the last position or eight of others.
  ///
  /// - Returns: whether there was something to compare with.
  func compare(
    _ prompt: String, _ name: String, _ shape: [Int], _ values: [Float], _ tolerance: Float,
    logits: Float
  ) -> Bool {
    let full = prompt + "." + (name == "logits" ? "logits_last" : name)
    guard let want = expected.tensor(full) ?? expected.tensor(full + "__last8") else {
      return false
    }
    let got = Array(values.suffix(want.values.count))
    let difference = maxAbsDifference(got, want.values)
    let bound = name == "logits" ? logits : tolerance
    #expect(difference <= bound * want.scale, "\(full): differs by \(difference)")
    return true
  }
}

/// Converts `checkpoint` into `folder` and opens the result for a conversation.
func conversation(
  _ checkpoint: String, _ scheme: Scheme, in folder: TemporaryFolder,
  keyValueFormat: KeyValueFormat = .f32, contextLength: Int = 512, visionTower: String? = nil
) throws -> LoadedModel {
  let output = folder.path("model.vlmz")
  let conversion = try Conversion(
    source: try SourceModel.open(path: checkpoint, parts: GivenParts(visionTower: visionTower)),
    policy: QuantizationPolicy(scheme: scheme), ignoreUnexpected: false,
    pool: WorkerPool(threadCount: 2))
  _ = try conversion.run(to: output, overwrite: true) { _, _, _ in }
  return try LoadedModel(
    path: output, kernels: try KernelSet.selected(), threads: 2, contextLength: contextLength,
    keyValueFormat: keyValueFormat)
}
