import Testing
import VLMFoundation
import VLMTensor
import VLMTestSupport

/// What the commands show of a classifier's outputs.
struct ScoreTests {
  static let source = TestFiles.fixture("upstream/classifier")
  static let picture = TestFiles.root.path + "/docs/images/horse.png"
  let folder: TemporaryFolder
  var model: String { folder.path("model.vlmz") }

  init() throws {
    folder = try TemporaryFolder()
    let outcome = try CommandRunner.convert(
      Self.source, model, "--f32", "-q", "--scores", "sigmoid")
    try #require(outcome.status == 0, "\(outcome.errors)")
  }

  /// What transformers' pipeline gives for a problem type, in its order.
  private static func expected(_ kind: String) throws -> [(String, Double)] {
    let scores = try TestFiles.json(TestFiles.fixture("upstream/scores.json"))
    return try #require(scores["classifier." + kind]?.objectValue).members
      .map { ($0.key, $0.value.doubleValue ?? .nan) }
  }

  static let kinds: [([String], String, String)] = [
    ([], "multi_label_classification", "probability"),
    (["--scores", "softmax"], "single_label_classification", "probability"),
    (["--scores", "raw"], "regression", "score"),
  ]

  @Test("what was stored is shown unless another is asked for, under its name", arguments: kinds)
  func json(arguments: [String], kind: String, key: String) throws {
    let outcome = try CommandRunner.run("vlm-run", [model, Self.picture, "--jsonl"] + arguments)
    let top = try #require(try JSONValue.parse(outcome.output)["top"]?.arrayValue)
    let expected = try Self.expected(kind)
    #expect(top.map { $0["label"]?.stringValue } == expected.map(\.0))
    for (found, want) in zip(top, expected) {
      #expect(abs((found[key]?.doubleValue ?? .nan) - want.1) < 1e-4)
      #expect(found.objectValue?.count == 3)
    }
  }

  @Test("probabilities are printed in percent, numbers as they are")
  func text() throws {
    let percent = try CommandRunner.vlmRun(model, Self.picture, "--top", "1", "-q")
    #expect(percent.output.hasSuffix("  47.5 %  horse\n"))
    let raw = try CommandRunner.vlmRun(model, Self.picture, "--top", "1", "-q", "--scores", "raw")
    #expect(raw.output.hasSuffix("   -0.0989  horse\n"), "\(raw.output)")
  }

  @Test("scores of what has no classes, and of texts, are refused")
  func refused() throws {
    let embedding = folder.path("embedding.vlmz")
    let dinov3 = TestFiles.fixture("upstream/dinov3")
    let outcome = try CommandRunner.convert(dinov3, embedding, "--scores", "raw")
    #expect(outcome.status == 64)
    #expect(
      outcome.errorLine == "vlm-convert: --scores: found 'raw', expected a model with classes")
    #expect(try CommandRunner.convert(dinov3, embedding, "-q").status == 0)
    #expect(try CommandRunner.vlmRun(embedding, Self.picture, "--scores", "raw").status == 64)
    let both = try CommandRunner.vlmRun(
      model, Self.picture, "--scores", "raw", "--labels", "a,b")
    #expect(both.status == 64)
    #expect(try CommandRunner.vlmRun(model, Self.picture, "--scores", "tanh").status == 64)
  }

  @Test(
    "a comparison with f32 says what the scores make comparable",
    arguments: [
      ("softmax", "same_top"), ("sigmoid", "same_above_half"), ("raw", "same_top"),
    ])
  func evaluation(scores: String, key: String) throws {
    let outcome = try CommandRunner.convert(
      Self.source, folder.path("q8.vlmz"), "--evaluate", Self.picture, "--json", "--scores", scores)
    let json = try JSONValue.parse(outcome.output)["evaluation"]?.arrayValue?.first
    #expect(json?[key]?.boolValue == (scores == "raw" ? nil : true))
    #expect((json?["kl"]?.doubleValue == nil) == (scores == "raw"))
    #expect((json?["cosine"]?.doubleValue ?? 0) > 0.99)
  }

  @Test("names in a file are stored, and a wrong number of them is refused in one line")
  func names() throws {
    let file = try folder.write("names.txt", Array("ant\r\nbee\r\ncat\r\n".utf8))
    let out = folder.path("named.vlmz")
    let outcome = try CommandRunner.convert(Self.source, out, "--f32", "-q", "--labels-file", file)
    #expect(outcome.status == 0, "\(outcome.errors)")
    let run = try CommandRunner.vlmRun(out, Self.picture, "--top", "1", "-q")
    #expect(run.output.hasSuffix("%  bee\n"), "\(run.output)")
    let short = try folder.write("short.txt", Array("ant\nbee".utf8))
    let refusal = try CommandRunner.convert(Self.source, out, "--force", "--labels-file", short)
    #expect(refusal.status == 65)
    #expect(
      refusal.errorLine
        == "vlm-convert: \(short): names of classes: found 2 names, expected 3, one for each output "
        + "of the model")
  }
}
