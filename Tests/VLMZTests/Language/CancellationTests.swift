import Testing
import VLMFoundation
import VLMImages
import VLMModels
import VLMTensor
import VLMTestSupport
import VLMText
import VLMZ

/// A prompt that is broken off while it is read.
struct CancellationTests {
  let language: CheckpointLLaMA
  static let prompt = [1] + (0..<39).map { 300 + $0 }

  init() throws { language = try CheckpointLLaMA(TestFiles.fixture("stories260K")) }

  @Test("the model stops between blocks, holds whole chunks, and goes on to the same end")
  func betweenBlocks() throws {
    let context = try language.context(capacity: 64, chunkRows: 10)
    let whole = try language.model(.tokens(Self.prompt), position: 0, context).array()
    var asked = 0
    let layers = language.model.config.layers
    // In the middle of the third of four chunks.
    try language.model(
      .tokens(Self.prompt), position: 0, context,
      isCancelled: {
        asked += 1
        return asked > 2 * layers + layers / 2
      })
    #expect(context.count == 20)
    let rest = Array(Self.prompt[20...])
    let resumed = try language.model(.tokens(rest), position: 20, context).array()
    #expect(maxAbsDifference(resumed, whole) < 1e-4)
  }

  @Test("a prompt cancelled at once gives no text, and the next one is run whole")
  func generator() throws {
    let generator = TextGenerator(
      model: language.model, context: try language.context(capacity: 64), stopTokens: [])
    let flag = CancellationFlag()
    flag.cancel()
    let options = GenerationOptions(maximumTokens: 5)
    let none = try generator.generate(.tokens(Self.prompt), options, cancelled: flag)
    #expect(none.ending == .cancelled)
    #expect(none.tokens.isEmpty && none.text.isEmpty)
    #expect(none.timings.promptTokens == 0)
    #expect(generator.history.isEmpty)
    flag.reset()
    let full = try generator.generate(.tokens(Self.prompt), options, cancelled: flag)
    #expect(full.tokens.count == 5)
    #expect(full.timings.promptTokens == Self.prompt.count)
  }

  @Test("a question cancelled before its answer began is forgotten, and its picture waits")
  func dialogue() throws {
    let folder = try TemporaryFolder()
    let golden = try ConvLLaVAGolden("convllava-trained")
    let session = try conversation(
      TestFiles.golden("convllava-trained/hf-A-safetensors"), .q4, in: folder)
    let dialogue = try Conversation(
      with: session.model, session.generator, template: ConversationTemplate.named("vicuna_v1"),
      options: GenerationOptions(maximumTokens: 64))
    dialogue.add(
      try session.encode(session.pixels(of: golden.image("cup.png"), name: "cup.png")))
    let flag = CancellationFlag()
    flag.cancel()
    let none = try dialogue.answer("Describe the image in detail.", cancelled: flag)
    #expect(none.endedBeforeStart)
    flag.reset()
    let answer = try dialogue.answer("What is in the picture?", cancelled: flag)
    #expect(!answer.endedBeforeStart)
    #expect(answer.text == "A cup of coffee on a table.")
    // Nothing of the question that was broken off is in the conversation.
    #expect(answer.promptTokenCount < 110)
  }
}
