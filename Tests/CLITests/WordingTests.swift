import Testing
import VLMCommandLine
import VLMFoundation

/// What can be set and what helps, as libraries say it and as the commands do.
struct WordingTests {
  private static let files: [Remedy] = [
    .overwrite, .skipChecksums, .convert("my model", to: "model.vlmz"), .anotherState,
    .chooseState(["ema", "a b"]), .leaveOutHead, .leaveOutTensors, .extractValues,
  ]
  private static let parts: [Remedy] = [
    .visionTower(download: "hf download a/b"), .visionTowerSlow(download: nil),
    .languageModel(stated: "vicuna", download: nil), .languageHalf(vision: "v.gguf"),
    .visionHalf("v.gguf"), .nameHalves(language: "l.gguf", vision: "v.gguf"), .visionHalfOfGGUF,
  ]
  private static let descriptions: [Remedy] = [
    .headActivation, .scores, .rawScores, .otherLabels, .labels(file: "n.txt"),
    .preprocessor(.otherSteps), .preprocessor(.missing), .preprocessor(.absent),
    .preprocessor(.ofKnownKind), .preprocessor(.ofModel), .frame("one of a, b"),
  ]
  private static let running: [Remedy] = [
    .anotherTemplate, .shorterContext(512), .smallerSide, .smallerSize, .saveAgain("as PNG"),
    .acceptDamage, .sign("my model.vlmz"), .password,
    .getSignature(isNamed: true),
  ]

  @Test("a setting has a name in a library's words and one as an option")
  func settings() {
    for setting in Setting.allCases {
      let name = Wording.library.name(of: setting)
      #expect(!name.isEmpty && !name.contains("-"), "\(setting)")
      #expect(Wording.options.name(of: setting).hasPrefix("--"), "\(setting)")
    }
    // A conversion's size is of its file, a picture's of its sides: two commands have a `--size`.
    let others = Setting.allCases.filter { $0 != .resolution }
    let options = others.map { Wording.options.name(of: $0) }
    #expect(Set(options).count == options.count)
  }

  @Test("a remedy names an option to who types one, and none to who calls a library")
  func remedies() {
    for remedy in Self.files + Self.parts + Self.descriptions + Self.running {
      #expect(!Wording.library.end(remedy).contains("--"), "\(remedy)")
      let isTyped =
        switch remedy {
        case .convert, .saveAgain: false
        default: true
        }
      #expect(Wording.options.end(remedy).contains("--") == isTyped, "\(remedy)")
    }
    #expect(Wording.library.end(nil).isEmpty && Wording.options.end(nil).isEmpty)
  }

  @Test("the end of a message has its own punctuation")
  func ends() {
    #expect(
      Wording.options.end(.chooseState(["ema", "a b"]))
        == "; choose it with --state ema, or --state 'a b'")
    #expect(Wording.library.end(.chooseState(["ema", "a b"])) == "; choose 'ema' or 'a b'")
    #expect(
      Wording.options.end(.convert("my model", to: "model.vlmz"))
        == "; if vlm-convert reads its model, convert it first: vlm-convert 'my model' model.vlmz")
    #expect(
      Wording.library.end(.convert("my model", to: "model.vlmz"))
        == "; convert it first, if its model is read")
    #expect(Wording.options.end(.shorterContext(512)) == "; --ctx 512 fits")
    #expect(Wording.library.end(.shorterContext(512)) == "; one of 512 fits")
  }

  @Test("an error and a note read as a library says them, unless a command shows them")
  func shown() {
    let error = FileError(path: "a.vlmz", problem: .exists)
    #expect(error.description == "a.vlmz: already exists")
    #expect("\(error)" == error.description)
    #expect(error.shown == "a.vlmz: already exists; use --force to replace it")
    let note = Note("one output: its sigmoid is the score", .rawScores)
    #expect(note.shown.hasSuffix("; --scores raw if it is a quantity"))
    #expect(note.description.hasSuffix("; say so if it is a quantity"))
    let both = Note("compared by names alone: ", error, ".").following("shard: ")
    #expect(both.description == "shard: compared by names alone: a.vlmz: already exists.")
    #expect(both.shown.hasSuffix("already exists; use --force to replace it."))
    #expect(Note(.labelsFile, "empty").shown == "--labels-file: empty")
    #expect(Note(.labelsFile, "empty").description == "labels file: empty")
  }
}
