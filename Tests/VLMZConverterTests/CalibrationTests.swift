import Foundation
import Testing
import VLMConversion
import VLMFoundation
import VLMImages
import VLMTensor
import VLMTestSupport
import VLMText
import VLMZ

@testable import VLMZConverter

@Suite("Calibrated conversions")
struct CalibrationTests {
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  private func write(_ text: String, _ name: String) throws -> String {
    let path = folder.path(name)
    try Data(text.utf8).write(to: URL(fileURLWithPath: path))
    return path
  }

  private func files() throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: folder.url.path).sorted()
  }

  private func generator(_ path: String) throws -> TextGenerator {
    let model = try Model(path: path, kernels: .best, threads: 2)
    return try model.requireLanguage().generator(pool: model.pool, contextLength: 256)
  }

  /// Stories that stories260K in f32 tells, as ids: one for each seed.
  private func stories(_ generator: TextGenerator, seeds: Range<UInt64>) throws -> [Int] {
    try seeds.flatMap { seed in
      generator.forget()
      return try generator.generate(
        .tokens([1]),
        GenerationOptions(
          sampling: SamplingOptions(temperature: 1, seed: seed), maximumTokens: 200)
      ).tokens
    }
  }

  @Test("a text changes the weights of a language model for the better")
  func text() throws {
    let exactPath = folder.path("exact.vlmz")
    try CalibrationFixture.converter(CalibrationFixture.stories, .f32, nil).convert(to: exactPath)
    let exact = try generator(exactPath)
    let told = try stories(exact, seeds: 100..<112)
    let data = try write(try #require(exact.tokenizer).decode(told), "text.txt")
    let plain = try CalibrationFixture.bytes(
      CalibrationFixture.stories, nil, to: folder.path("plain.vlmz"))
    let calibrated = try CalibrationFixture.bytes(
      CalibrationFixture.stories, .init(on: [data], tokenCount: 2048),
      to: folder.path("text.vlmz"))
    #expect(plain != calibrated)
    // The report says more, the tensors take no more.
    #expect(calibrated.count < plain.count + 4096)
    // Other stories than it was calibrated on.
    let ids = try stories(exact, seeds: 0..<6)
    let divergences = try ["plain.vlmz", "text.vlmz"].map { name in
      let quality = try LanguageQuality(
        try generator(folder.path(name)), ids: ids, window: 128, bos: 1, reference: exact)
      return try #require(quality.meanDivergence)
    }
    #expect(divergences[1] < 0.95 * divergences[0], "\(divergences)")
    #expect(!(try files()).contains { $0.contains("calibration") || $0.contains("statistics") })
  }

  @Test("saved statistics give the same bytes, and any number of threads does")
  func saved() throws {
    let data = try write(CalibrationFixture.text(words: 400), "text.txt")
    let kept = folder.path("kept.safetensors")
    var options = Converter.Calibration(on: [data], tokenCount: 512)
    let first = try CalibrationFixture.bytes(
      CalibrationFixture.stories, options, to: folder.path("a.vlmz"), threads: 1)
    options.statisticsFile = kept
    let second = try CalibrationFixture.bytes(
      CalibrationFixture.stories, options, to: folder.path("b.vlmz"), threads: 3)
    #expect(try files().contains("kept.safetensors"))
    let third = try CalibrationFixture.bytes(
      CalibrationFixture.stories, .init(statisticsFile: kept), to: folder.path("c.vlmz"))
    // With the data it is checked that they are the same.
    let fourth = try CalibrationFixture.bytes(
      CalibrationFixture.stories, options, to: folder.path("d.vlmz"))
    #expect(first == second)
    #expect(second == third)
    #expect(third == fourth)
    options.tokenCount = 600
    #expect(throws: VLMZError.self) {
      try CalibrationFixture.converter(CalibrationFixture.stories, .q4, options)
        .convert(to: folder.path("e.vlmz"))
    }
    #expect(throws: VLMZError.self) {
      try CalibrationFixture.converter(
        CalibrationFixture.classifier, .q4, .init(statisticsFile: kept)
      ).convert(to: folder.path("e.vlmz"))
    }
  }

  @Test("pictures bring a classifier's answers closer to those of f32")
  func pictures() throws {
    func outputs(_ scheme: WeightScheme, _ calibration: Converter.Calibration?) throws -> [[Float]]
    {
      let path = folder.path("m.vlmz")
      try CalibrationFixture.converter(CalibrationFixture.classifier, scheme, calibration)
        .convert(to: path)
      let session = try Session(path: path, kernels: .best, threads: 2)
      return try ["cat.png", "coins.png", "cup.png", "rocket.png"].map { name in
        let file = TestFiles.golden("convllava-trained/" + name)
        let pixels = try session.preprocessing.apply(ImageDecoder.open(path: file), name: name)
        return try session.run([pixels])[0].embedding
      }
    }
    let exact = try outputs(.f32, nil)
    func error(_ found: [[Float]]) -> Double {
      zip(exact.joined(), found.joined()).reduce(0) { $0 + pow(Double($1.0 - $1.1), 2) }
    }
    let plain = error(try outputs(.q4, nil))
    let calibrated = error(
      try outputs(.q4, .init(on: [CalibrationFixture.pictures], tokenCount: 256)))
    #expect(calibrated < plain, "squared error \(plain) without, \(calibrated) with")
  }

  @Test("both towers of a CLIP are calibrated, and a LLaVA with eyes and text")
  func families() throws {
    let captions = try write("a photo of a cat\na dog\n\ntwo birds on a wire\n", "captions")
    for (input, data) in [
      (CalibrationFixture.clip, [CalibrationFixture.pictures, captions]),
      (
        CalibrationFixture.llava,
        ["cup", "cat", "coins"].map {
          TestFiles.golden("convllava-trained/\($0).png")
        }
      ),
    ] {
      let kept = folder.path("kept")
      let converter = try CalibrationFixture.converter(
        input, .q4, .init(on: data, tokenCount: 256, statisticsFile: kept))
      try converter.convert(to: folder.path("m.vlmz"))
      let file = try StatisticsFile.open(path: kept)
      let known = Set(file.groups.flatMap(\.tensors))
      for (name, _) in converter.conversion.plan.wantedDetails {
        #expect(known.contains(name), "\(name)")
      }
      try FileManager.default.removeItem(atPath: kept)
    }
  }

  @Test("a model that is given no data writes its own, always the same")
  func own() throws {
    let options = Converter.Calibration(usesOwnData: true, tokenCount: 256)
    let (a, b) = (folder.path("a.vlmz"), folder.path("b.vlmz"))
    let first = try CalibrationFixture.bytes(CalibrationFixture.stories, options, to: a)
    #expect(try CalibrationFixture.bytes(CalibrationFixture.stories, options, to: b) == first)
    let plain = try CalibrationFixture.bytes(CalibrationFixture.stories, nil, to: b)
    #expect(plain != first)
    #expect(DeadLeaves.picture(4) == DeadLeaves.picture(4))
    #expect(DeadLeaves.picture(4) != DeadLeaves.picture(7))
  }

  @Test(
    "matrices that a checkpoint has in one tensor are calibrated",
    arguments: ["dinov2/timm-dinov3", "dinov2/timm-dinov3-gated", "dinov2/facebook-dinov3"])
  func fused(name: String) throws {
    let options = Converter.Calibration(on: [CalibrationFixture.pictures], tokenCount: 256)
    let input = TestFiles.fixture(name)
    let calibrated = try CalibrationFixture.bytes(input, options, to: folder.path("a.vlmz"))
    let plain = try CalibrationFixture.bytes(input, nil, to: folder.path("b.vlmz"))
    #expect(plain != calibrated)
  }

  @Test("a cancelled calibration leaves nothing behind")
  func cancelled() throws {
    let data = try write(CalibrationFixture.text(words: 400), "text.txt")
    let converter = try CalibrationFixture.converter(
      CalibrationFixture.stories, .q4, .init(on: [data], tokenCount: 512))
    var seen: [Double] = []
    #expect(throws: VLMZError.self) {
      try converter.convert(to: folder.path("m.vlmz")) { progress in
        seen.append(progress.calibratedFraction)
        if seen.count == 30 { converter.cancel() }
      }
    }
    #expect(seen.count >= 30 && seen.allSatisfy { (0...1).contains($0) })
    #expect(try files() == ["text.txt"])
  }

  @Test("a calibration that was broken off goes on, to the same bytes")
  func resumed() throws {
    let data = try write(CalibrationFixture.text(words: 400), "text.txt")
    func convert(_ name: String, stopAt: Int? = nil) throws -> [String] {
      var options = Converter.Options(scheme: .q4)
      options.calibration = .init(on: [data], tokenCount: 512)
      options.threads = 2
      options.resumes = true
      let converter = try Converter(opening: CalibrationFixture.stories, options: options)
      let flag = CancellationFlag()
      var (notes, texts) = ([String](), 0)
      _ = try converter.write(
        to: folder.path(name), cancelled: flag, note: { notes.append($0) },
        calibrating: { _, _, what in
          texts += what == "text" ? 1 : 0
          if texts == stopAt { flag.cancel() }
        }, progress: { _ in })
      return notes
    }
    _ = try convert("whole.vlmz")
    // A stage has one sequence or two here; in the third or later it ends.
    #expect(throws: WorkCancelled.self) { try convert("m.vlmz", stopAt: 4) }
    let left = try files()
    #expect(left.contains("m.vlmz.partial.statistics.partial"), "\(left)")
    #expect(left.contains("m.vlmz.partial.statistics.progress"), "\(left)")
    let notes = try convert("m.vlmz")
    #expect(notes.contains { $0.hasPrefix("calibration goes on: ") }, "\(notes)")
    #expect(try files() == ["m.vlmz", "text.txt", "whole.vlmz"])
    let bytes = try ["whole.vlmz", "m.vlmz"].map {
      try Data(contentsOf: URL(fileURLWithPath: folder.path($0)))
    }
    #expect(bytes[0] == bytes[1])
    // Damaged progress is none.
    #expect(throws: WorkCancelled.self) { try convert("n.vlmz", stopAt: 4) }
    let progress = folder.path("n.vlmz.partial.statistics.progress")
    var damaged = try Data(contentsOf: URL(fileURLWithPath: progress))
    damaged[damaged.count / 2] ^= 1
    try damaged.write(to: URL(fileURLWithPath: progress))
    #expect(try !convert("n.vlmz").contains { $0.hasPrefix("calibration goes on: ") })
    #expect(try Data(contentsOf: URL(fileURLWithPath: folder.path("n.vlmz"))) == bytes[0])
  }

  @Test("conversations without room for their picture are left out with their number and why")
  func longConversations() throws {
    let picture = TestFiles.golden("convllava-trained/cup.png")
    func line(_ before: String) -> String {
      #"{"image": "\#(picture)", "messages": [{"role": "user", "content": "\#(before)<image>\nA?"}, "#
        + #"{"role": "assistant", "content": "b"}]}"#
    }
    let long = CalibrationFixture.text(words: 4000)
    let lines = (0..<12).map { $0 % 4 == 3 ? line(long) : line("") }
    let data = try write(lines.joined(separator: "\n"), "talk.jsonl")
    let converter = try CalibrationFixture.converter(
      CalibrationFixture.llava, .q4, .init(on: [data], tokenCount: 256))
    var notes: [String] = []
    _ = try converter.write(
      to: folder.path("m.vlmz"), note: { notes.append($0) }, progress: { _ in })
    let told = notes.filter { $0.hasPrefix("calibration: left out: 3 of 12 conversations: ") }
    #expect(told.count == 1, "\(notes)")
    #expect(told.first?.contains(" positions behind ") == true, "\(told)")
    // A model without eyes reads none of them.
    notes = []
    let text = try write(CalibrationFixture.text(words: 400), "text.txt")
    let blind = try CalibrationFixture.converter(
      CalibrationFixture.stories, .q4, .init(on: [data, text], tokenCount: 256))
    _ = try blind.write(
      to: folder.path("b.vlmz"), note: { notes.append($0) }, progress: { _ in })
    #expect(
      notes.contains("calibration: 12 conversations left out: the model sees no pictures"),
      "\(notes)")
  }

  @Test("conversations that the template refuses are left out with what it says, unless all are")
  func refusedConversations() throws {
    let model = folder.path("model")
    try FileManager.default.copyItem(atPath: CalibrationFixture.stories, toPath: model)
    let template =
      "{% if messages[0].role == 'system' %}{{ raise_exception('no ' ~ messages[-1].content) }}"
      + "{% endif %}"
      + "{% for m in messages %}{{ m.content }}\n{% endfor %}"
    _ = try write(template, "model/chat_template.jinja")
    let text = CalibrationFixture.text(words: 80)
    func lines(_ reason: (Int) -> String?) -> String {
      (0..<12).map { number in
        let (role, question) = reason(number).map { ("system", $0) } ?? ("user", "a")
        return #"{"messages": [{"role": "\#(role)", "content": "\#(text)"}, "#
          + #"{"role": "user", "content": "\#(question)"}, {"role": "assistant", "content": "b"}]}"#
      }.joined(separator: "\n")
    }
    let reasons = [1: "one", 2: "two", 5: "five", 6: "six"]
    let some = try write(lines { $0 % 4 == 3 ? "system" : reasons[$0] }, "some.jsonl")
    let converter = try CalibrationFixture.converter(
      model, .q4, .init(on: [some], tokenCount: 256))
    var notes: [String] = []
    _ = try converter.write(
      to: folder.path("m.vlmz"), note: { notes.append($0) }, progress: { _ in })
    let told = notes.filter { $0.hasPrefix("calibration: left out: ") }
    #expect(
      told == [
        "calibration: left out: 1 of 12 conversations: the chat template refuses: no one",
        "calibration: left out: 1 of 12 conversations: the chat template refuses: no two",
        "calibration: left out: 3 of 12 conversations: the chat template refuses: no system",
        "calibration: left out: 2 of 12 conversations: other reasons",
      ])
    let all = try write(lines { _ in "system" }, "all.jsonl")
    let other = try CalibrationFixture.converter(model, .q4, .init(on: [all], tokenCount: 256))
    var words = ""
    do { try other.convert(to: folder.path("n.vlmz")) } catch { words = "\(error)" }
    #expect(words.contains("the template refuses: no system"))
  }

  @Test("one damaged picture is left out with its name, and counted")
  func damagedPicture() throws {
    let pictures = folder.path("pictures")
    try FileManager.default.createDirectory(atPath: pictures, withIntermediateDirectories: true)
    for name in ["coffee.png", "chelsea.png"] {
      try FileManager.default.copyItem(
        atPath: CalibrationFixture.pictures + "/" + name, toPath: pictures + "/" + name)
    }
    let png = try Data(contentsOf: URL(fileURLWithPath: pictures + "/coffee.png"))
    try png.prefix(png.count / 2).write(to: URL(fileURLWithPath: pictures + "/broken.png"))
    let kept = folder.path("kept")
    let converter = try CalibrationFixture.converter(
      CalibrationFixture.classifier, .q4,
      .init(on: [pictures], tokenCount: 256, statisticsFile: kept))
    var notes: [String] = []
    _ = try converter.write(
      to: folder.path("m.vlmz"), note: { notes.append($0) }, progress: { _ in })
    #expect(notes.contains { $0.contains("left out") && $0.contains("broken.png") }, "\(notes)")
    let data = try StatisticsFile.open(path: kept).provenance
    #expect(data["pictures"]?.intValue == 2)
    #expect(data["left_out"]?.intValue == 1)
    // Of few pictures the model would get worse: drawn ones join them.
    #expect(data["drawn"]?.intValue == 30)
  }

  @Test("data of a kind that a model does not take are refused with what to give")
  func kinds() throws {
    let text = try write(CalibrationFixture.text(words: 400), "text.txt")
    let short = try write("Once upon a time", "short.txt")
    let cases: [(String, [String], VLMZError.Code)] = [
      (CalibrationFixture.classifier, [text], .invalidArgument),
      (CalibrationFixture.stories, [CalibrationFixture.pictures], .invalidArgument),
      (CalibrationFixture.clip, [CalibrationFixture.pictures], .invalidArgument),
      (CalibrationFixture.llava, [text], .invalidArgument),
      (CalibrationFixture.stories, [short], .badData),
      (CalibrationFixture.stories, [folder.path("absent")], .notFound),
    ]
    for (input, paths, code) in cases {
      let converter = try CalibrationFixture.converter(
        input, .q4, .init(on: paths, tokenCount: 256))
      do {
        try converter.convert(to: folder.path("m.vlmz"))
        Issue.record("\(input) took \(paths)")
      } catch { #expect(error.code == code, "\(error)") }
    }
    let needless = try CalibrationFixture.converter(
      CalibrationFixture.stories, .f16, .init(on: [text]))
    #expect(throws: VLMZError.self) { try needless.convert(to: folder.path("m.vlmz")) }
    #expect(throws: VLMZError.self) {
      _ = try CalibrationFixture.converter(CalibrationFixture.stories, .q4, .init())
    }
    #expect(try files() == ["short.txt", "text.txt"])
  }
}
