import Foundation
import Testing
import VLMFoundation
import VLMTestSupport

/// `vlm-run --schema` and `--grammar`.
struct AnswerFormTests {
  private func model(_ folder: TemporaryFolder) throws -> String {
    let path = folder.path("stories.vlmz")
    let outcome = try CommandRunner.convert(TestFiles.fixture("stories260K"), path, "--f32")
    try #require(outcome.status == 0, "\(outcome.errors)")
    return path
  }

  private static let schema =
    "{\"type\": \"object\", \"properties\": {\"a\": {\"enum\": [\"yes\", \"no\"]}}, \"required\": [\"a\"]}"

  @Test("an answer has the form of a schema, on the command line or in a file, and of a grammar")
  func answers() throws {
    let folder = try TemporaryFolder()
    let ask = [try model(folder), "-p", "Once", "-q", "--jsonl"]
    let file = folder.path("answer.json")
    try Self.schema.write(toFile: file, atomically: true, encoding: .utf8)
    let marked = try folder.write("marked.json", Array("\u{feff}\(Self.schema)\r\n".utf8))
    for schema in [Self.schema, file, marked] {
      let outcome = try CommandRunner.run("vlm-run", ask + ["--schema", schema])
      #expect(outcome.status == 0, "\(outcome.errors)")
      let json = try JSONValue.parse(Array(outcome.output.utf8))
      #expect(json["ending"]?.stringValue == "complete")
      let answer = try JSONValue.parse(try #require(json["text"]?.stringValue))
      #expect(["yes", "no"].contains(try #require(answer["a"]?.stringValue)))
    }
    let grammar = try folder.write(
      "answer.gbnf", Array("\u{feff}root ::= x{5}\r\nx ::= \"a\" |\r\n  [b-c]\r\n".utf8))
    let outcome = try CommandRunner.run("vlm-run", ask + ["--grammar", grammar, "--temp", "1"])
    let text = try #require(try JSONValue.parse(Array(outcome.output.utf8))["text"]?.stringValue)
    #expect(text.utf8.count == 5 && Set(text).isSubset(of: Set("abc")))
  }

  @Test("a form that cannot be read ends the command before it runs the model")
  func refusals() throws {
    let folder = try TemporaryFolder()
    let model = try model(folder)
    let grammar = folder.path("bad.gbnf")
    try "root ::= x".write(toFile: grammar, atomically: true, encoding: .utf8)
    let wide = try folder.write("wide.gbnf", [0xff, 0xfe, 0x72, 0])
    for (options, status, message) in [
      (
        ["--grammar", grammar], 65,
        "\(grammar): line 1, column 10: found 'x', expected a rule that is defined"
      ),
      (["--schema", "{\"not\": {}}"], 65, "--schema: #/not: 'not' is not supported"),
      (["--grammar", wide], 65, "\(wide): text: found UTF-16, expected UTF-8"),
      (["--schema", folder.path("none.json")], 66, folder.path("none.json")),
      (["--schema", "{}", "--grammar", grammar], 64, "--schema and --grammar exclude each other"),
    ] as [([String], Int32, String)] {
      let outcome = try CommandRunner.run("vlm-run", [model, "-p", "Once"] + options)
      #expect(outcome.status == status)
      #expect(outcome.output == "")
      #expect(outcome.errors.contains(message), "\(outcome.errors)")
    }
  }

  @Test("a model that writes no text takes neither")
  func noText() throws {
    let folder = try TemporaryFolder()
    let path = folder.path("convnext.vlmz")
    let outcome = try CommandRunner.convert(TestFiles.fixture("convnext-cifar10"), path, "--q8")
    try #require(outcome.status == 0, "\(outcome.errors)")
    let run = try CommandRunner.vlmRun(path, "photo.png", "--schema", "{}")
    #expect(run.status == 64)
    #expect(run.errors.contains("no effect of --schema"), "\(run.errors)")
  }
}
