import Foundation
import Testing
import VLMFoundation
import VLMTensor
import VLMTestSupport

/// Questions about many pictures, with the model in memory once.
@Suite("A question of each picture", .serialized)
struct EachTests {
  let fixture: BatchFixture
  let model: String

  init() throws {
    fixture = try BatchFixture()
    model = try fixture.llava()
  }

  private static let question = "What is in the picture?"
  private static let answers = ["A tabby cat looks at the camera.", "A cup of coffee on a table."]

  @Test("--each has an answer per picture with its name, and a record for one that fails")
  func each() throws {
    let damaged = try fixture.damaged()
    let names = [BatchFixture.cat, damaged, BatchFixture.cup]
    let ask = names + ["-p", Self.question, "--each", "-q"]
    let lines = try fixture.run(model, ask + ["--jsonl"], status: 65)
    let array = try fixture.run(model, ask + ["--json"], status: 65)
    let all = try JSONValue.parse(Array(array.output.utf8)).arrayValue ?? []
    for objects in [try lines.objects, all] {
      #expect(objects.map { $0["image"]?.stringValue } == names)
      #expect(objects.map { $0["text"]?.stringValue } == [Self.answers[0], nil, Self.answers[1]])
      #expect(objects.map { $0["error"]?["status"]?.intValue } == [nil, 65, nil])
      #expect(objects[0]["visual_tokens"]?.intValue == 36)
      #expect(objects[2]["visual_tokens"]?.intValue == 36)
    }
    #expect(lines.errors == "" && array.errors == "")
    let text = try fixture.run(model, ask, status: 65)
    #expect(
      text.output
        == "\(BatchFixture.cat): \(Self.answers[0])\n\(BatchFixture.cup): \(Self.answers[1])\n")
    #expect(text.errorLine.hasPrefix("vlm-run: \(damaged): "))
  }

  @Test("--each asks about the pictures of a stream, a folder and a list, and writes --embed")
  func sources() throws {
    let ask = ["-p", Self.question, "--each", "--jsonl", "-q"]
    let pictures = try [BatchFixture.cat, BatchFixture.cup].map { try BatchFixture.bytes($0) }
    let stream = try CommandRunner.run(
      "vlm-run", [model, "-"] + ask, input: Data(pictures.flatMap { $0 }))
    #expect(stream.status == 0)
    #expect(try stream.objects.map { $0["text"]?.stringValue } == Self.answers)
    #expect(try stream.objects.map { $0["frame"]?.intValue } == [1, 2])
    let list = "\(BatchFixture.cat)\n\(BatchFixture.cup)\n"
    let file = fixture.folder.path("e.npy")
    let listed = try fixture.run(
      model, ["--files-from", "-", "--embed", file] + ask, input: list)
    #expect(try listed.objects.map { $0["text"]?.stringValue } == Self.answers)
    #expect(numpy(try fixture.folder.read("e.npy")).header.contains("(72, "))
    let found = try fixture.run(model, [BatchFixture.trained, "-r"] + ask)
    #expect(try found.objects.prefix(1).map { $0["text"]?.stringValue } == [Self.answers[0]])
    #expect(try found.objects.count == 4)
    // Without --each a stream of several is no one picture.
    let several = try CommandRunner.run(
      "vlm-run", [model, "-", "-p", Self.question, "-q"], input: Data(pictures.flatMap { $0 }))
    #expect(several.status == 64)
    #expect(several.errorLine.contains("--each asks the question of every one"))
  }

  @Test("an answer about several pictures names them")
  func names() throws {
    let names = [BatchFixture.cup, BatchFixture.cat]
    let outcome = try fixture.run(
      model, names + ["-p", "Is there an animal?", "-n", "2", "--jsonl", "-q"])
    let images = try outcome.objects.first?["images"]?.arrayValue
    let shown = images.map { $0.compactMap(\.stringValue) }
    #expect(shown == names)
  }

  @Test("--each needs a question and pictures, and is no chat")
  func usage() throws {
    for arguments in [
      [BatchFixture.cup, "--each"], ["-p", "x", "--each"], [BatchFixture.cup, "--chat", "--each"],
      [BatchFixture.cup, "-p", "x", "--each", "--explain", "x.png"],
      [BatchFixture.cup, "-p", "<image> or <image>?", "--each"],
    ] {
      _ = try fixture.run(model, arguments, status: 64)
    }
  }

  // MARK: - Scripts for --chat

  private func chat(
    _ lines: [String], _ options: [String] = ["--jsonl"], status: Int32 = 0
  ) throws -> CommandRunner.Outcome {
    try fixture.run(
      model, ["--chat", "-q"] + options, input: lines.map { $0 + "\n" }.joined(), status: status)
  }

  @Test("a script goes on after a picture that cannot be read, whose question has a record")
  func script() throws {
    let damaged = try fixture.damaged()
    let lines = [BatchFixture.cat, damaged, BatchFixture.cup].flatMap {
      ["/image \($0)", Self.question, "/clear"]
    }
    let outcome = try chat(lines, status: 65)
    let objects = try outcome.objects
    #expect(objects.map { $0["text"]?.stringValue } == [Self.answers[0], nil, Self.answers[1]])
    #expect(objects[0]["images"] == [.string(BatchFixture.cat)])
    #expect(objects[1]["image"]?.stringValue == damaged)
    let message = objects[1]["error"]?["message"]?.stringValue ?? ""
    #expect(message.hasPrefix("not asked: \(damaged): damaged PNG"), "\(message)")
    #expect(outcome.errors == "")
    let text = try chat(lines, [], status: 65)
    #expect(text.output == Self.answers.map { $0 + "\n" }.joined())
    #expect(text.errors.split(separator: "\n").count == 2)
  }

  @Test("a question is not asked without one of its pictures, nor the next before another is shown")
  func missing() throws {
    let missing = "/nonexistent.png"
    // Neither with the first nor with the second alone; the third is by itself.
    let lines = [
      "/image \(BatchFixture.cup)", "/image \(missing)", "Which is it?", "And now?",
      "/image \(BatchFixture.cat)", Self.question,
    ]
    let objects = try chat(lines, status: 66).objects
    #expect(objects.map { $0["error"]?["status"]?.intValue } == [66, 66, nil])
    #expect(objects.last?["text"]?.stringValue == Self.answers[0])
    #expect(objects.last?["visual_tokens"]?.intValue == 36)
    // A picture behind it does not make up for it.
    let behind = try chat(
      ["/image \(missing)", "/image \(BatchFixture.cat)", Self.question], status: 66)
    #expect(try behind.objects.map { $0["error"]?["status"]?.intValue } == [66])
    // One that nothing is asked about is told all the same.
    let alone = try chat(["/image \(missing)", "/clear", "/quit"], status: 66)
    #expect(try alone.objects.map { $0["image"]?.stringValue } == [missing])
  }

  @Test(
    "a line of a chat has the limit of a prompt, costs a few times its length, and the next is read"
  )
  func longLine() throws {
    let language = try fixture.language()
    let long = String(repeating: "x", count: 70_000_000)
    let outcome = try fixture.run(
      language, ["--chat", "-n", "1", "--jsonl", "-q", "--template", "none"],
      input: long + "\nOnce\n", status: 65)
    let objects = try outcome.objects
    #expect(objects.map { $0["error"]?["status"]?.intValue } == [65, nil])
    let peak = try #require(objects.last?["peak_memory_bytes"]?.intValue)
    #expect(peak < 4 * 70_000_000, "\(peak)")
  }
}
