import Testing
import VLMImages
import VLMModels
import VLMTensor
import VLMTestSupport
import VLMText
import VLMZ

/// A tiny ConvLLaVA that was trained to answer questions about four photographs.
struct TrainedConvLLaVATests {
  static let folder = "convllava-trained"

  struct Question: Sendable, CustomTestStringConvertible {
    let key: String
    let image: String
    let ids: [Int]
    let answer: [Int]
    let text: String
    let prompt: String
    var testDescription: String { key }
  }

  static let questions: [Question] = {
    let json = try? TestFiles.json(TestFiles.golden("\(folder)/expected.json"))
    return (json?["cases"]?.arrayValue ?? []).map { item in
      func integers(_ key: String) -> [Int] {
        (item[key]?.arrayValue ?? []).compactMap { $0.intValue }
      }
      func string(_ key: String) -> String { item[key]?.stringValue ?? "" }
      return Question(
        key: string("key"), image: string("image"), ids: integers("input_ids"),
        answer: integers("ids"), text: string("text"), prompt: string("prompt"))
    }
  }()

  @Test("every answer is upstream's, whatever the scheme", arguments: Scheme.allCases)
  func answers(_ scheme: Scheme) throws {
    #expect(Self.questions.count == 12)
    let folder = try TemporaryFolder()
    let golden = try ConvLLaVAGolden(Self.folder)
    let session = try conversation(
      TestFiles.golden(Self.folder + "/hf-A-safetensors"), scheme, in: folder,
      keyValueFormat: scheme == .f32 ? .f32 : .f16)
    var pictures: [String: VisualTokens] = [:]
    for question in Self.questions {
      let tokens =
        try pictures[question.image]
        ?? session.encode(session.pixels(of: golden.image(question.image), name: question.image))
      pictures[question.image] = tokens
      let result = try session.generate(
        question.ids, images: [tokens], GenerationOptions(maximumTokens: 64))
      #expect(result.tokens == Array(question.answer.dropLast()), "\(question.key)")
      #expect(result.ending == .stopToken)
    }
  }

  @Test("a question as text gives the answer as text, as it is written")
  func text() throws {
    let folder = try TemporaryFolder()
    let golden = try ConvLLaVAGolden(Self.folder)
    let session = try conversation(
      TestFiles.golden(Self.folder + "/hf-A-safetensors"), .q4, in: folder)
    let tokenizer = try #require(session.tokenizer)
    let name = try #require(session.language.templateName)
    let template = try #require(ConversationTemplate.named(name))
    #expect(session.language.pictures != nil)
    for question in Self.questions {
      let image = try golden.image(question.image)
      let tokens = try session.encode(session.pixels(of: image, name: question.image))
      let asked = question.prompt.split(separator: "\n").last?.dropLast(" ASSISTANT:".count) ?? ""
      let prompt = template.prompt([
        .init(.user, "<image>\n" + String(asked)), .init(.assistant, nil),
      ])
      #expect(prompt.text == question.prompt)
      let ids = try ImagePrompt.ids(prompt, tokenizer)
      #expect(ids == question.ids)
      var streamed = ""
      let result = try session.generate(
        ids, images: [tokens], GenerationOptions(maximumTokens: 64), cancelled: nil
      ) { streamed += $0 }
      #expect(result.text == question.text)
      #expect(streamed == question.text)
    }
  }

  @Test("projected tokens and first logits are upstream's at f32")
  func values() throws {
    let folder = try TemporaryFolder()
    let golden = try ConvLLaVAGolden(Self.folder)
    let expected = try Expected(TestFiles.golden("\(Self.folder)/expected.safetensors"))
    let session = try conversation(
      TestFiles.golden(Self.folder + "/hf-A-safetensors"), .f32, in: folder)
    for question in Self.questions {
      let image = try golden.image(question.image)
      let tokens = try session.encode(session.pixels(of: image, name: question.image))
      let subject = String(question.key.prefix { $0 != "." })
      let want = try #require(expected.tensor("\(subject).projector__tokstride5"))
      let rows = stride(from: 0, to: tokens.count, by: 5).flatMap { row in
        tokens.rows[row..<row + 1].array()
      }
      #expect(maxAbsDifference(rows, want.values) <= 2e-4 * want.scale)
      var compared = false
      try session.inspect(question.ids, images: [tokens]) { name, _, values in
        if name == "logits" {
          compared = golden.compare(question.key, name, [], values, 2e-4, logits: 1e-3)
        }
      }
      #expect(compared, "\(question.key)")
    }
  }

  @Test("a picture asked about again is not run again, and the answer is the same")
  func reuse() throws {
    let folder = try TemporaryFolder()
    let golden = try ConvLLaVAGolden(Self.folder)
    let session = try conversation(
      TestFiles.golden(Self.folder + "/hf-A-safetensors"), .q8, in: folder)
    let questions = Self.questions.filter { $0.image == "cat.png" }
    let image = try golden.image("cat.png")
    let tokens = try session.encode(session.pixels(of: image, name: "cat"))
    let other = try session.encode(session.pixels(of: image, name: "cat"))
    let options = GenerationOptions(maximumTokens: 64)
    let first = try session.generate(questions[0].ids, images: [tokens], options)
    #expect(first.timings.reusedTokens == 0)
    let second = try session.generate(questions[1].ids, images: [tokens], options)
    let shared = zip(questions[0].ids, questions[1].ids).prefix { $0 == $1 }.count
    #expect(second.timings.reusedTokens == shared - 1 + tokens.count)
    #expect(second.tokens == Array(questions[1].answer.dropLast()))
    // Another picture, though it looks the same, is another picture.
    let third = try session.generate(questions[1].ids, images: [other], options)
    let before = questions[1].ids.prefix { $0 != ImagePrompt.sentinel }.count
    #expect(third.timings.reusedTokens == before)
    #expect(third.tokens == second.tokens)
  }

  @Test("a prompt with more or fewer pictures than places is refused")
  func counts() throws {
    let folder = try TemporaryFolder()
    let session = try conversation(
      TestFiles.golden(Self.folder + "/hf-A-safetensors"), .q8, in: folder)
    let ids = try #require(Self.questions.first).ids
    #expect(throws: ModelError.self) {
      try session.generate(ids, images: [], GenerationOptions(maximumTokens: 1))
    }
    #expect(throws: GenerationError.self) {
      try session.generate([], images: [], GenerationOptions(maximumTokens: 1))
    }
  }
}
