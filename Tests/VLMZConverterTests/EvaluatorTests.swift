import Foundation
import Testing
import VLMFoundation
import VLMImages
import VLMModels
import VLMTensor
import VLMTestSupport
import VLMZ

@testable import VLMZConverter

/// What `Evaluator` says of models of every kind.
@Suite("Judging conversions")
struct EvaluatorTests {
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  private func convert(_ input: String, _ scheme: WeightScheme) throws -> String {
    let path = folder.path("\(scheme.name).vlmz")
    try CalibrationFixture.converter(input, scheme, nil).convert(to: path)
    return path
  }

  private func evaluate(
    _ model: String, _ reference: String?, on paths: [String],
    _ change: (inout Evaluator.Options) -> Void = { _ in }
  ) throws -> Evaluation {
    var options = Evaluator.Options()
    options.threads = 2
    change(&options)
    return try Evaluator(judging: model, against: reference, options: options)
      .evaluate(on: paths)
  }

  private func write(_ text: String, _ name: String) throws -> String {
    let path = folder.path(name)
    try Data(text.utf8).write(to: URL(fileURLWithPath: path))
    return path
  }

  /// The pieces of `photographs.json` as pictures, in folders that are named as the classes which
  /// `evaluation/expected.json` takes them to be of.
  private func pieces(_ classes: [Int], _ names: [String]) throws -> String {
    let json = try TestFiles.json(TestFiles.fixture("convnext-cifar10/photographs.json"))
    let root = folder.url.appendingPathComponent("pieces")
    for (index, entry) in (json.arrayValue ?? []).enumerated() {
      let file = try #require(entry["file"]?.stringValue)
      let box = try #require(entry["box"]?.arrayValue).compactMap(\.intValue)
      let image = try ImageDecoder.decode(
        path: TestFiles.root.appendingPathComponent(file).path, policy: .pillow
      ).cropped(x: box[0], y: box[1], width: box[2], height: box[3])
      let place = root.appendingPathComponent(names[classes[index]])
      try FileManager.default.createDirectory(at: place, withIntermediateDirectories: true)
      let header = Data("P6 \(image.width) \(image.height) 255\n".utf8)
      try (header + Data(image.pixels)).write(to: place.appendingPathComponent("\(index).ppm"))
    }
    return root.path
  }

  @Test("accuracy and calibration error are those that numpy finds in PyTorch's logits")
  func classes() throws {
    let expected = try TestFiles.json(TestFiles.fixture("evaluation/expected.json"))
    let classes = try #require(expected["classes"]?.arrayValue).compactMap(\.intValue)
    let names = [
      "Airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "TRUCK",
    ]
    let data = try pieces(classes, names)
    let model = try convert(CalibrationFixture.classifier, .q8)
    let result = try evaluate(model, CalibrationFixture.classifier, on: [data])
    let found = try #require(result.classes)
    #expect(found.pictureCount == 54)
    #expect(found.knownCount == 54)
    let reference = try #require(found.referenceReliability)
    #expect(reference.accuracy == expected["reference"]?["accuracy"]?.doubleValue)
    let error = try #require(expected["reference"]?["calibration_error"]?.doubleValue)
    #expect(abs(reference.calibrationError - error) <= 1e-5)
    #expect(try #require(found.agreement) > 0.9)
    #expect(found.divergence?.values.count == 54)
    #expect(result.loss == found.divergence?.mean)
    #expect(result.lossOfItems == found.divergence?.values)
    #expect(result.pictures.count == 54)
    let svg = try #require(result.plot)
    #expect(svg.hasPrefix("<svg ") && svg.contains("calibration error"))
    // Alone it says as much of itself.
    let alone = try evaluate(model, nil, on: [data])
    #expect(alone.classes?.reliability == found.reliability)
    #expect(alone.loss == nil)
    #expect(alone.classes?.divergence == nil)
    let files = try FileManager.default.contentsOfDirectory(atPath: folder.url.path)
    #expect(files.sorted() == ["pieces", "q8.vlmz"])
  }

  @Test("formulas agree with numpy's")
  func formulas() throws {
    let expected = try TestFiles.json(TestFiles.fixture("evaluation/expected.json"))
    let classes = try #require(expected["classes"]?.arrayValue).compactMap(\.intValue)
    let json = try TestFiles.json(TestFiles.fixture("convnext-cifar10/photographs.json"))
    let p = try #require(json.arrayValue).map { entry in
      (entry["logits"]?.arrayValue ?? []).map { Float($0.doubleValue ?? .nan) }
    }
    let q = p.map { $0.map { ($0 * 2).rounded(.toNearestOrEven) / 2 } }
    for (scores, key) in [(Scores.softmax, "divergence"), (.sigmoid, "sigmoid_divergence")] {
      let values = zip(p, q).compactMap { ClassScores.divergence(of: $1, from: $0, as: scores) }
      let spread = try #require(Evaluation.Spread(values))
      for (value, name) in [
        (spread.mean, "mean"), (spread.median, "median"), (spread.percentile99, "percentile_99"),
        (spread.least, "least"), (spread.largest, "largest"),
      ] {
        let want = try #require(expected[key]?[name]?.doubleValue)
        #expect(abs(value - want) <= 1e-6, "\(key) \(name)")
      }
    }
    let cosine = try #require(
      Evaluation.Spread(zip(p, q).map { Comparison.cosine($0, $1) }))
    #expect(abs(cosine.mean - (expected["cosine"]?["mean"]?.doubleValue ?? 0)) <= 1e-7)
    for (logits, key) in [(p, "reference"), (q, "model")] {
      let decisions = zip(logits, classes).compactMap { logits, known in
        ClassScores.top(1, of: logits, as: .softmax).first.map {
          (confidence: $0.score, isRight: $0.index == known)
        }
      }
      let found = Reliability(decisions)
      #expect(found.accuracy == expected[key]?["accuracy"]?.doubleValue)
      let want = try #require(expected[key]?["calibration_error"]?.doubleValue)
      #expect(abs(found.calibrationError - want) <= 1e-6)
    }
  }

  @Test("folders name classes by label, synonym, WordNet id or number")
  func folders() {
    let labels = ["n01440764 tench, Tinca tinca", "n02012849 crane", "n03126707 crane", "sea lion"]
    func classes(_ paths: String...) -> [Int?] {
      ClassFolders(of: paths, labels: labels, count: 4).classes
    }
    #expect(classes("v/tench/a.png", "v/Tinca_tinca/b.png", "v/n01440764/c") == [0, 0, 0])
    // Two classes have the name.
    #expect(classes("v/crane/a.png", "v/n03126707/b.png", "v/Sea-Lion/b.png") == [nil, 2, 3])
    #expect(classes("v/0/a.png", "v/3/b.png") == [0, 3])
    #expect(classes("v/0/a.png", "v/4/b.png") == [nil, nil])
    #expect(classes("a.png", "/a.png") == [nil, nil])
    #expect(ClassFolders(of: ["v/tench/a"], labels: labels, count: 4).naming == .labels)
    #expect(ClassFolders(of: ["v/2/a"], labels: nil, count: 4).naming == .numbers)
  }

  @Test("of texts perplexity and divergence are told, of both models")
  func texts() throws {
    let text = try write(CalibrationFixture.text(words: 900), "text.txt")
    let model = try convert(CalibrationFixture.stories, .q4)
    let result = try evaluate(model, CalibrationFixture.stories, on: [text])
    let found = try #require(result.text)
    #expect(found.tokenCount == found.sequenceCount * 255)
    #expect(found.perplexity > 1)
    #expect(try #require(found.referencePerplexity) > 1)
    #expect(try #require(found.sameBestToken) > 0.5)
    #expect(result.loss == found.divergence?.mean)
    #expect(result.answers == nil)
    #expect(result.diskByteCount == found.tokenCount * 512 * 4)
    let alone = try evaluate(model, nil, on: [text])
    #expect(alone.text?.perplexity == found.perplexity)
    #expect(alone.text?.referencePerplexity == nil)
    let exact = try convert(CalibrationFixture.stories, .f32)
    let same = try evaluate(exact, CalibrationFixture.stories, on: [text])
    #expect(same.loss == 0)
    #expect(same.text?.sameBestToken == 1)
  }

  @Test("a trained LLaVA keeps its answers at 8 and 4 bits", arguments: [WeightScheme.q8, .q4])
  func answers(_ scheme: WeightScheme) throws {
    let names = ["cat.png", "coins.png", "cup.png", "rocket.png"]
    let lines = names.map { name -> String in
      let picture = TestFiles.golden("convllava-trained/" + name)
      return #"{"image": "\#(picture)", "messages": [{"role": "user", "content": "#
        + #""What is in the picture?"}]}"#
    }
    let data = try write(lines.joined(separator: "\n"), "questions.jsonl")
    let model = try convert(CalibrationFixture.llava, scheme)
    let result = try evaluate(model, CalibrationFixture.llava, on: [data])
    let own = try #require(result.ownAnswers)
    #expect(own.count == 4)
    #expect(own.changed.isEmpty, "\(own.changed)")
    #expect(try #require(result.visualTokens).mean > 0.99)
    #expect(try #require(result.answers?.divergence).mean >= 0)
    #expect(result.answers?.sequenceCount == 4)
  }

  @Test("conversations without room for their picture are among what is skipped, with why")
  func longConversations() throws {
    let picture = TestFiles.golden("convllava-trained/cat.png")
    func line(_ before: String) -> String {
      #"{"image": "\#(picture)", "messages": [{"role": "user", "content": "\#(before)<image>\nA?"}, "#
        + #"{"role": "assistant", "content": "A picture."}]}"#
    }
    let long = line(CalibrationFixture.text(words: 4000))
    let lines = [line(""), long, long, #"{"messages": 3}"#, #"{"messages": 4}"#]
    let data = try write(lines.joined(separator: "\n"), "long.jsonl")
    let model = try convert(CalibrationFixture.llava, .q8)
    for reference in [CalibrationFixture.llava, nil] {
      let result = try evaluate(model, reference, on: [data])
      let told = result.skipped.map(\.message)
      #expect(result.skipped.map(\.count) == [2, 2], "\(told)")
      #expect(told.first?.hasPrefix("\(data): 2 of 5 conversations, the first in line 4: ") == true)
      #expect(told.last?.hasPrefix("2 of 3 conversations: the first picture takes ") == true)
    }
  }

  @Test("an answer that changed is listed with both texts")
  func changedAnswers() throws {
    let picture = TestFiles.golden("convllava-trained/cat.png")
    let line =
      #"{"image": "\#(picture)", "conversations": [{"from": "human", "value": "What is it?"}, "#
      + #"{"from": "gpt", "value": "A picture."}]}"#
    let data = try write(line, "c.jsonl")
    // Another trained model of the same shape is not at hand: 3 bits everywhere come near to one.
    let path = folder.path("q3.vlmz")
    var options = Converter.Options(scheme: .q3)
    options.tensorSchemes = [.init("*", .q3)]
    try Converter(opening: CalibrationFixture.llava, options: options).convert(to: path)
    let result = try evaluate(path, CalibrationFixture.llava, on: [data])
    let own = try #require(result.ownAnswers)
    #expect(own.count == 1)
    for answer in own.changed {
      #expect(answer.pictures == [picture])
      #expect(answer.question == "What is it?")
      #expect(answer.text != answer.referenceText)
    }
    // The answer in the data is what counts.
    #expect(result.answers?.sequenceCount == 1)
    let none = try evaluate(path, CalibrationFixture.llava, on: [data]) { $0.answerCount = 0 }
    #expect(none.ownAnswers == nil)
    #expect(none.loss == result.loss)
  }

  @Test("of a model of pictures and texts embeddings are compared, and what they find")
  func embeddings() throws {
    let captions = try write("a red square\na blue circle\na dog\n", "captions.txt")
    let model = try convert(CalibrationFixture.clip, .q8)
    let result = try evaluate(
      model, CalibrationFixture.clip, on: [CalibrationFixture.pictures, captions])
    let found = try #require(result.embeddings)
    #expect(try #require(found.pictures).mean > 0.999)
    #expect(try #require(found.texts).values.count == 3)
    #expect(found.fiveBestTexts == 1)
    #expect(found.sameBestText != nil)
    #expect(try #require(result.loss) < 0.001)
  }

  @Test("models that cannot be compared, and data that say nothing, are errors")
  func refusals() throws {
    let text = try write(CalibrationFixture.text(words: 300), "text.txt")
    let language = try convert(CalibrationFixture.stories, .q8)
    let classifier = folder.path("classifier.vlmz")
    try CalibrationFixture.converter(CalibrationFixture.classifier, .q8, nil)
      .convert(to: classifier)
    let clip = folder.path("clip.vlmz")
    try CalibrationFixture.converter(CalibrationFixture.clip, .q8, nil).convert(to: clip)
    func code(_ body: () throws -> Void) -> VLMZError.Code? {
      thrownError(VLMZError.self, by: body)?.code
    }
    #expect(code { _ = try evaluate(language, classifier, on: [text]) } == .badData)
    #expect(
      code { _ = try evaluate(language, nil, on: [CalibrationFixture.pictures]) }
        == .invalidArgument)
    #expect(code { _ = try evaluate(classifier, nil, on: [text]) } == .invalidArgument)
    #expect(
      code { _ = try evaluate(clip, nil, on: [CalibrationFixture.pictures]) } == .invalidArgument)
    let empty = folder.path("empty")
    try FileManager.default.createDirectory(atPath: empty, withIntermediateDirectories: true)
    #expect(code { _ = try evaluate(classifier, nil, on: [empty]) } == .badData)
    #expect(code { _ = try evaluate(classifier, nil, on: [folder.path("none")]) } == .notFound)
    let damaged = TestFiles.fixture("pictures/png-cut.png")
    #expect(code { _ = try evaluate(classifier, nil, on: [damaged]) } == .badData)
    #expect(
      code { _ = try evaluate(classifier, nil, on: [text]) { $0.tokenCount = 0 } }
        == .invalidArgument)
    let some = try evaluate(
      classifier, nil, on: [damaged, CalibrationFixture.pictures + "/horse.png"])
    #expect(some.skipped.count == 1)
    #expect(some.classes?.pictureCount == 1)
  }

  @Test("a quantized reference is noted, and so is what the model does not read")
  func notes() throws {
    let model = try convert(CalibrationFixture.classifier, .q4)
    let reference = folder.path("reference.vlmz")
    try CalibrationFixture.converter(CalibrationFixture.classifier, .q8, nil)
      .convert(to: reference)
    let text = try write("some text", "text.txt")
    let result = try evaluate(model, reference, on: [CalibrationFixture.pictures, text])
    #expect(result.notes.contains { $0.contains("quantized itself (q8)") })
    #expect(result.notes.contains { $0.contains("1 text left out") })
    #expect(result.classes?.reliability == nil)
  }
}

/// The same on CIFAR-10's test images, which may not lie in the project.
@Suite(.enabled(if: TestFiles.hasAssets, Comment(rawValue: TestFiles.assetsReason)))
struct EvaluatedAccuracyTests {
  @Test("the sample model has the accuracy that PyTorch finds, by the names of folders")
  func accuracy() throws {
    let folder = try TemporaryFolder()
    let path = folder.path("f32.vlmz")
    try CalibrationFixture.converter(CalibrationFixture.classifier, .f32, nil).convert(to: path)
    let result = try Evaluator(judging: path).evaluate(on: [TestFiles.asset("cifar10-test")])
    let classes = try #require(result.classes)
    #expect(classes.pictureCount == 2000)
    #expect(classes.knownCount == 2000)
    let accuracy = try #require(classes.reliability?.accuracy)
    let wanted = try Self.percentOfPyTorch()
    #expect(abs(100 * accuracy - wanted) < 1e-9)
  }

  private static func percentOfPyTorch() throws -> Double {
    let expected = try TestFiles.json(TestFiles.fixture("convnext-cifar10/expected.json"))
    return try #require(expected["top1_shared_2000"]?.doubleValue)
  }

  @Test("q3 calibrated on a few photographs is right within half a point of PyTorch")
  func threeBits() throws {
    let folder = try TemporaryFolder()
    let path = folder.path("q3.vlmz")
    let calibration = Converter.Calibration(on: [CalibrationFixture.pictures])
    try CalibrationFixture.converter(CalibrationFixture.classifier, .q3, calibration)
      .convert(to: path)
    let result = try Evaluator(judging: path).evaluate(on: [TestFiles.asset("cifar10-test")])
    let accuracy = try #require(result.classes?.reliability?.accuracy)
    let wanted = try Self.percentOfPyTorch()
    #expect(100 * accuracy >= wanted - 0.5, "\(accuracy)")
  }
}
