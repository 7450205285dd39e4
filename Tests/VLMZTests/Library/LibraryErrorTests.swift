import Foundation
import Testing
import VLMTestSupport
import VLMZ

/// Every mistake of a caller is thrown, with its kind.
@Suite("Mistakes of callers")
struct LibraryErrorTests {
  private func expect(
    _ code: VLMZError.Code, _ part: String = "", sourceLocation: SourceLocation = #_sourceLocation,
    _ body: () throws -> Void
  ) {
    let error = libraryError(body)
    #expect(error?.code == code, "\(String(describing: error))", sourceLocation: sourceLocation)
    #expect(
      part.isEmpty || error?.message.contains(part) ?? false, "\(String(describing: error))",
      sourceLocation: sourceLocation)
    #expect(!(error?.message.contains("\n") ?? true), sourceLocation: sourceLocation)
  }

  @Test("a file that is missing, a folder, no model, or options that cannot be, when opening")
  func opening() throws {
    let made = try LibraryModels.classifier()
    expect(.notFound, "nowhere.vlmz") { _ = try Model(opening: made.folder.path("nowhere.vlmz")) }
    expect(.notFound) { _ = try Model(opening: "") }
    expect(.notFound) { _ = try Model(opening: made.folder.url.path) }
    expect(.badData) { _ = try Model(opening: SchemeQualityTests.photo) }
    for threads in [0, -1, 1025, Int.max, Int.min] {
      expect(.invalidArgument, "threads") {
        _ = try Model(opening: made.path, options: .init(threads: threads))
      }
      expect(.invalidArgument, "threads") {
        _ = try Session(of: made.open(), options: .init(threads: threads))
      }
    }
    expect(.unsupported, "avx1024") {
      _ = try Model(opening: made.path, options: .init(instructionSet: "avx1024"))
    }
    let scalar = try Model(opening: made.path, options: .init(instructionSet: "scalar"))
    #expect(try scalar.describe().contains("\"instruction_set\":\"scalar\""))
  }

  @Test("pixels that are nowhere, too few, too many, or overlap")
  func pixels() throws {
    expect(.invalidArgument, "pixels") {
      _ = try Image(noCopy: nil, width: 1, height: 1, format: .rgb8)
    }
    let bytes = [UInt8](repeating: 7, count: 24)
    for (width, height) in [(0, 1), (1, 0), (-1, 2), (2, Int.min), (Int.max, 1), (1, Int.max)] {
      expect(.invalidArgument) {
        _ = try Image(pixels: bytes, width: width, height: height, format: .gray8)
      }
    }
    for format in Image.PixelFormat.allCases {
      for stride in [0, -1, 4 * format.bytesPerPixel - 1, Int.max] {
        expect(.invalidArgument, "bytes per row") {
          _ = try Image(pixels: bytes, width: 4, height: 1, bytesPerRow: stride, format: format)
        }
      }
    }
    expect(.invalidArgument, "25 or more") {
      _ = try Image(pixels: bytes, width: 5, height: 5, format: .gray8)
    }
    // The last row ends where its pixels do.
    let padded = try Image(pixels: bytes, width: 4, height: 2, bytesPerRow: 12, format: .rgb8)
    #expect(padded.width == 4 && padded.height == 2)
    expect(.invalidArgument, "background") {
      _ = try Image(
        pixels: bytes, width: 1, height: 1, format: .rgb8, options: .init(background: 0x100_0000))
    }
    for limit in [0, -5] {
      expect(.invalidArgument, "maximum of pixels") {
        _ = try Image(
          pixels: bytes, width: 1, height: 1, format: .rgb8, options: .init(maximumPixels: limit))
      }
    }
    expect(.badData) {
      _ = try Image(
        pixels: bytes, width: 4, height: 2, format: .rgb8, options: .init(maximumPixels: 7))
    }
  }

  @Test("files that are missing or are no pictures")
  func pictures() throws {
    expect(.notFound, "nowhere.png") { _ = try Image(contentsOf: "/nowhere.png") }
    expect(.notFound) { _ = try Image(contentsOf: "-") }
    expect(.badData) { _ = try Image(encoded: []) }
    expect(.badData, "the name") { _ = try Image(encoded: [1, 2, 3], name: "the name") }
    let file = [UInt8](try Data(contentsOf: URL(fileURLWithPath: SchemeQualityTests.photo)))
    let cut = try Image(encoded: Array(file.dropLast(file.count / 2)), name: "cut")
    let session = try Session(of: LibraryModels.classifier().open())
    expect(.badData, "cut") { _ = try session.classify(cut) }
    // The session is as it was.
    #expect(try session.classify(LibraryModels.horse()).candidates.count == 5)
  }

  @Test("what an image model cannot do, and numbers of classes that are none")
  func classifier() throws {
    let made = try LibraryModels.classifier()
    let model = try made.open()
    let session = try Session(of: model)
    let horse = try LibraryModels.horse()
    for top in [0, -1, Int.min] {
      expect(.invalidArgument, "top") { _ = try session.classify(horse, top: top) }
    }
    #expect(try session.classify(horse, top: .max).candidates.count == 10)
    #expect(try session.classify([Image]()).isEmpty)
    expect(.notCapable) { _ = try session.embed("a text") }
    expect(.notCapable) { _ = try session.textClasses(["a text"]) }
    expect(.notCapable) { _ = try session.encode(horse) }
    expect(.notCapable) { _ = try Conversation(with: model) }
  }

  @Test("texts that say nothing, templates without a place, and classes of another model")
  func texts() throws {
    let (first, second) = (try LibraryModels.clip(), try LibraryModels.clip())
    let session = try Session(of: first.open())
    expect(.invalidArgument, "labels") { _ = try session.textClasses([]) }
    expect(.invalidArgument, "labels") { _ = try session.textClasses(["cat", " \n"]) }
    expect(.invalidArgument, "{}") {
      _ = try session.textClasses(["cat"], templates: ["a photo"])
    }
    let others = try Session(of: second.open()).textClasses(["cat", "dog"])
    let horse = try LibraryModels.horse()
    expect(.invalidArgument, "another model") { _ = try session.classify(horse, as: others) }
    let own = try session.textClasses(["cat", "dog"])
    expect(.invalidArgument, "top") { _ = try session.classify(horse, as: own, top: 0) }
    #expect(try session.classify(horse, as: own).candidates.count == 2)
    // It has no classes of its own, whatever was asked before.
    expect(.notCapable) { _ = try session.classify(horse) }
    let narrow = try Session(of: LibraryModels.classifier().open()).embed(horse)
    expect(.invalidArgument, "embedding") { _ = try session.embed("cat").similarity(to: narrow) }
  }

  @Test("options of conversations and answers that are out of range")
  func conversations() throws {
    let made = try LibraryModels.stories()
    let model = try made.open()
    for length in [0, -1, Int.max] {
      expect(.invalidArgument, "context length") {
        _ = try Conversation(with: model, options: .init(contextLength: length))
      }
    }
    expect(.invalidArgument, "nothing_like_it") {
      _ = try Conversation(with: model, options: .init(template: .named("nothing_like_it")))
    }
    expect(.badData) {
      _ = try Conversation(with: model, options: .init(template: .program("{% if %}")))
    }
    for arguments in ["[1]", "{", "{\"messages\": 1}"] {
      expect(.invalidArgument, "template arguments") {
        _ = try Conversation(
          with: model, options: .init(template: .named("chatml"), templateArguments: arguments))
      }
    }
    let conversation = try Conversation(
      with: model, options: .init(contextLength: 64, template: .none))
    for options in [
      AnswerOptions(maximumTokens: 0), .init(maximumTokens: .min), .init(temperature: -1),
      .init(temperature: .nan), .init(temperature: 1, topK: -1), .init(topP: 1.5),
      .init(minP: .infinity), .init(repeatPenalty: 0),
    ] {
      expect(.invalidArgument) { try conversation.ask("Once", options: options) }
    }
    expect(.invalidArgument, "the context's") {
      try conversation.ask(String(repeating: "Once upon a time. ", count: 100))
    }
    #expect(try conversation.ask("Once", options: .init(maximumTokens: 3)).tokens.count == 3)
  }

  @Test("pictures that a model cannot see, of another model, or more than are named")
  func pictureQuestions() throws {
    let sighted = try LibraryModels.sighted()
    let cup = try LibraryModels.picture("cup.png")
    let blind = try Conversation(with: LibraryModels.stories().open())
    expect(.notCapable) { _ = try blind.encode(cup) }
    let first = try Conversation(with: sighted.open())
    let encoded = try first.encode(cup)
    expect(.invalidArgument, "another model") { try blind.ask("What?", about: [encoded]) }
    let second = try Conversation(with: sighted.open())
    expect(.invalidArgument, "another model") { try second.ask("What?", about: [encoded]) }
    expect(.invalidArgument, "<image>") { try first.ask("<image> <image> What?", about: [encoded]) }
    for side in [-1, 0, 1, Int.max] {
      expect(.invalidArgument, "resolution") {
        _ = try first.encode(cup, options: .init(resolution: side))
      }
    }
    // Nothing of that is left in the conversation.
    let answer = try first.ask("What is in the picture?", about: [encoded])
    #expect(answer.text == "A cup of coffee on a table.")
  }

  @Test("a call from the callback of another is refused, and the other goes on")
  func busy() throws {
    let conversation = try Conversation(
      with: LibraryModels.stories().open(), options: .init(template: .none))
    var codes: [VLMZError.Code?] = []
    let answer = try conversation.ask("Once", options: .init(maximumTokens: 4)) { _ in
      codes.append(libraryError { try conversation.ask("more") }?.code)
      codes.append(libraryError { try conversation.clear() }?.code)
    }
    #expect(answer.tokens.count == 4)
    #expect(!codes.isEmpty && codes.allSatisfy { $0 == .busy })
  }
}
