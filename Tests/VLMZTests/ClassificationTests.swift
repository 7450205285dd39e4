import Testing
import VLMFoundation
import VLMModels
import VLMTensor
import VLMTestSupport
import VLMZ

struct ClassificationTests {
  @Test("probabilities are the softmax, best first, equal ones by index")
  func top() {
    let top = ClassScores.top(3, of: [0, 1, 1, -1000], as: .softmax)
    #expect(top.map(\.index) == [1, 2, 0])
    // e / (1 + 2e)
    #expect(abs(top[0].score - 0.42231879825) < 1e-9)
    #expect(abs(top[2].score - 0.15536240350) < 1e-9)
  }

  @Test("sigmoids are each output's own, numbers what they are, both the highest first")
  func others() {
    let sigmoids = ClassScores.top(3, of: [0, -1, 2], as: .sigmoid)
    #expect(sigmoids.map(\.index) == [2, 0, 1])
    #expect(abs(sigmoids[0].score - 0.88079707797) < 1e-9)
    #expect(sigmoids[1].score == 0.5)
    #expect(abs(sigmoids[2].score - 0.26894142136) < 1e-9)
    let numbers = ClassScores.top(2, of: [0.25, -1, 200], as: .raw)
    #expect(numbers.map(\.score) == [200, 0.25])
    #expect(ClassScores.top(1, of: [-3e38], as: .sigmoid).map(\.score) == [0])
  }

  @Test("huge logits do not overflow, and NaN is the least likely", arguments: Scores.allCases)
  func extremes(_ scores: Scores) {
    let top = ClassScores.top(2, of: [3e38, -3e38, .nan], as: scores)
    #expect(top[0].index == 0)
    #expect(scores == .raw || top[0].score == 1)
    #expect(ClassScores.top(1, of: [.nan, 2], as: scores)[0].index == 1)
    #expect(ClassScores.top(1, of: [.nan], as: scores).isEmpty)
    #expect(ClassScores.top(5, of: [], as: scores).isEmpty)
  }

  @Test("the divergence of two fair coins from a biased one is what the formula gives")
  func divergence() throws {
    // p = (3/4, 1/4), q = (1/2, 1/2): 3/4 ln(3/2) + 1/4 ln(1/2)
    let three = Float(1.0986122886681098)
    for (p, q, scores) in [
      ([three, 0], [5, 5], Scores.softmax), ([three], [0], .sigmoid),
    ] as [([Float], [Float], Scores)] {
      let value = try #require(ClassScores.divergence(of: q, from: p, as: scores))
      #expect(abs(value - 0.13081203594) < 1e-6)
    }
    for scores in [Scores.softmax, .sigmoid] {
      let none = try #require(
        ClassScores.divergence(of: [1, 2, 900], from: [1, 2, 900], as: scores))
      #expect(abs(none) < 1e-12)
    }
    #expect(ClassScores.divergence(of: [1], from: [2], as: .raw) == nil)
  }

  @Test("answers agree where they decide alike")
  func agreement() {
    #expect(ClassScores.agree([1, 2], [3, 4], as: .softmax) == true)
    #expect(ClassScores.agree([1, 2], [4, 3], as: .softmax) == false)
    #expect(ClassScores.agree([1, -2], [0.1, -9], as: .sigmoid) == true)
    #expect(ClassScores.agree([1, 2], [1, -2], as: .sigmoid) == false)
    #expect(ClassScores.agree([1], [-2], as: .raw) == nil)
  }
}

/// The content of the container's `labels`.
struct LabelsTests {
  private func text(_ names: [String]?, _ scores: Scores) -> String? {
    Labels(names: names, scores: scores).json?.serialized()
  }

  @Test("names of a softmax are a plain array, as ever; other scores are an object")
  func json() throws {
    #expect(text(nil, .softmax) == nil)
    #expect(text(["a", "b"], .softmax) == #"["a","b"]"#)
    #expect(text(["a", "b"], .sigmoid) == #"{"scores":"sigmoid","names":["a","b"]}"#)
    #expect(text(nil, .raw) == #"{"scores":"raw"}"#)
    for labels in [Labels(names: ["a"], scores: .raw), Labels(names: ["b"])] {
      let json = try #require(labels.json)
      #expect(try Labels(json: json, count: 1) == labels)
    }
    #expect(
      try Labels(json: ["scores": "sigmoid"], count: 7) == Labels(names: nil, scores: .sigmoid))
  }

  @Test(
    "what is no labels of the model is refused",
    arguments: [
      (#"["a"]"#, 2), (#"["a", 1]"#, 2), (#"["a"]"#, nil), (#""a""#, 1), ("{}", 1),
      (#"{"scores": "softplus"}"#, 1), (#"{"scores": "sigmoid", "names": ["a"]}"#, 2),
      (#"{"scores": "sigmoid", "names": "a"}"#, 1), (#"{"scores": "raw"}"#, nil),
    ] as [(String, Int?)])
  func refused(text: String, count: Int?) throws {
    let json = try JSONValue.parse(text)
    #expect(throws: ModelError.self) { try Labels(json: json, count: count) }
  }
}

/// Models with a text tower that nothing makes ids for.
struct TokenizerlessModelTests {
  @Test("a model without a tokenizer promises no texts")
  func capabilities() throws {
    let folder = try TemporaryFolder()
    _ = try convertedSession(TestFiles.fixture("fastvit/mobileclip"), .f32, in: folder)
    let model = try Model(opening: folder.path("model.vlmz"))
    #expect(model.capabilities == [.embedsImages])
    #expect(model.architecture == "mobileclip")
    let described = try JSONValue.parse(try model.describe())
    #expect(described["capabilities"] == ["embeds_images"])
    let error = libraryError { _ = try Session(of: model).embed("a cat") }
    #expect(error?.code == .notCapable)
  }
}
