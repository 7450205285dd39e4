import Foundation
import Testing
import VLMFoundation
import VLMTensor
import VLMTestSupport

/// `vlm-run` on a language model: the small trained one that the project carries.
@Suite(.serialized)
struct ConversationTests {
  private func model(_ folder: TemporaryFolder) throws -> String {
    let path = folder.path("stories.vlmz")
    let outcome = try CommandRunner.convert(TestFiles.fixture("stories260K"), path, "--f32")
    try #require(outcome.status == 0, "\(outcome.errors)")
    return path
  }

  private static let trained = TestFiles.fixture("goldens/convllava-trained")

  /// The LLaVA that was taught a dozen answers about the pictures beside it.
  private func llava(_ folder: TemporaryFolder) throws -> String {
    let path = folder.path("llava.vlmz")
    let outcome = try CommandRunner.convert(
      Self.trained + "/hf-A-safetensors", path, "--q4", "-q")
    try #require(outcome.status == 0, "\(outcome.errors)")
    return path
  }

  @Test("a prompt is continued, and the timings go to standard error")
  func prompt() throws {
    let folder = try TemporaryFolder()
    let outcome = try CommandRunner.vlmRun(
      try model(folder), "-p", "Once upon a time", "-n", "10")
    #expect(outcome.status == 0)
    #expect(outcome.output == ", there was a little girl named Lily\n")
    #expect(outcome.errors.contains("prompt 5 tokens"))
  }

  @Test("a prompt from standard input gives what the option gives, as JSON with its tokens")
  func standardInput() throws {
    let folder = try TemporaryFolder()
    let model = try model(folder)
    let outcome = try CommandRunner.run(
      "vlm-run", [model, "-p", "-", "-n", "10", "--json", "-q"],
      input: Data("\u{feff}Once upon a time\r\n".utf8))
    #expect(outcome.status == 0)
    #expect(outcome.errors == "")
    let json = try JSONValue.parse(Array(outcome.output.utf8))
    #expect(json["text"]?.stringValue == ", there was a little girl named Lily")
    #expect(json["token_ids"]?.arrayValue?.count == 10)
    #expect(json["prompt_tokens"]?.intValue == 5)
    #expect(json["visual_tokens"]?.intValue == 0)
    #expect(json["ending"]?.stringValue == "length")
  }

  @Test("a chat answers line by line, keeps what it computed, and ends with /quit")
  func chat() throws {
    let folder = try TemporaryFolder()
    let outcome = try CommandRunner.run(
      "vlm-run",
      [try model(folder), "--chat", "-n", "5", "--template", "vicuna_v1", "--jsonl", "-q"],
      input: Data("Hello\n\nAgain\n/quit\nnever read\n".utf8))
    #expect(outcome.status == 0)
    let lines = try outcome.output.split(separator: "\n").map {
      try JSONValue.parse(Array($0.utf8))
    }
    #expect(lines.count == 2)
    #expect(lines.first?["timings"]?["reused_tokens"]?.intValue == 0)
    #expect((lines.last?["timings"]?["reused_tokens"]?.intValue ?? 0) > 100)
  }

  @Test("a chat shows pictures, and a command that is none ends one that no person types")
  func chatCommands() throws {
    let folder = try TemporaryFolder()
    let model = try llava(folder)
    func chat(_ lines: String...) throws -> CommandRunner.Outcome {
      try CommandRunner.run(
        "vlm-run", [model, "--chat", "-q"],
        input: Data((lines.joined(separator: "\n") + "\n").utf8))
    }
    let question = "What is in the picture?"
    let answered = try chat("/image \(Self.trained)/cup.png", question, "/help", "/clear", "/quit")
    #expect(answered.status == 0)
    #expect(answered.output == "A cup of coffee on a table.\n")
    #expect(answered.errors.contains("/image FILE"))
    let unknown = try chat("/imgae \(Self.trained)/cup.png")
    #expect(unknown.status == 64)
    #expect(unknown.errorLine.contains("found '/imgae', expected /image FILE"))
    #expect(try chat("/image").status == 64)
    #expect(try chat("/image /nonexistent.png").status == 66)
  }

  @Test("several pictures stand in front of the question, or where it says")
  func severalPictures() throws {
    let folder = try TemporaryFolder()
    let model = try llava(folder)
    let pictures = ["cup", "cat"].map { "\(Self.trained)/\($0).png" }
    func ask(_ question: String) throws -> JSONValue {
      let outcome = try CommandRunner.run(
        "vlm-run", [model] + pictures + ["-p", question, "--jsonl", "-q", "-n", "4"])
      try #require(outcome.status == 0, "\(outcome.errors)")
      return try JSONValue.parse(Array(outcome.output.utf8))
    }
    let front = try ask("Is there an animal?")
    let named = try ask("<image>\n<image>\nIs there an animal?")
    #expect(front["visual_tokens"]?.intValue == 72)
    #expect(front["token_ids"] == named["token_ids"])
    #expect(front["timings"]?["encode_tokens"]?.intValue == 72)
    let wrong = try CommandRunner.run("vlm-run", [model] + pictures + ["-p", "<image>?"])
    #expect(wrong.status == 64)
  }

  @Test("<image> that is not one per picture is an error that counts, and a chat goes on")
  func countedPictures() throws {
    let folder = try TemporaryFolder()
    let model = try llava(folder)
    let cup = "\(Self.trained)/cup.png"
    let more = try CommandRunner.vlmRun(model, cup, "-p", "<image> or <image>?", "-q")
    #expect(more.status == 64)
    #expect(
      more.errorLine.contains("found <image> 2 times and 1 picture, expected one <image> per"))
    let none = try CommandRunner.vlmRun(model, "-p", "<image>?", "-q")
    #expect(none.errorLine.contains("found <image> once and 0 pictures"))
    let lines = ["<image>?", "/image \(cup)", "<image> <image>", "What is in the picture?"]
    let chat = try CommandRunner.run(
      "vlm-run", [model, "--chat", "-q"], input: Data(lines.joined(separator: "\n").utf8))
    #expect(chat.output == "A cup of coffee on a table.\n")
    #expect(chat.status == 64)
    #expect(chat.errors.contains("once and 0 pictures") && chat.errors.contains("2 times and 1"))
  }

  @Test("<image> in a question to a model without eyes is text")
  func blind() throws {
    let folder = try TemporaryFolder()
    let model = try model(folder)
    for template in ["none", "vicuna_v1", "chatml"] {
      let dump = folder.path(template + ".safetensors")
      let outcome = try CommandRunner.vlmRun(
        model, "-p", "<image> or <image>?", "-n", "1", "-q", "--template", template, "--dump", dump)
      #expect(outcome.status == 0, "\(outcome.errors)")
      let ids = try #require(try Expected(dump).tensor("input_ids")).values
      #expect(ids.allSatisfy { $0 >= 0 })
    }
  }

  @Test(
    "what fills the context is an error that counts pictures, and --ctx with its number is enough")
  func filledContext() throws {
    let folder = try TemporaryFolder()
    let model = try llava(folder)
    let pictures = ["cup", "cat"].map { "\(Self.trained)/\($0).png" }
    let ask = pictures + ["-p", "Which?", "-n", "1", "-q", "--jsonl"]
    let full = try CommandRunner.run("vlm-run", [model, "--ctx", "100"] + ask)
    #expect(full.status == 65 && full.output == "")
    let line = full.errorLine
    #expect(line.contains("prompt: found 2 pictures of 72 tokens and "), "\(line)")
    #expect(line.contains("expected at most 100, the context's; --ctx 1024 allows more"), "\(line)")
    let enough = try CommandRunner.run("vlm-run", [model, "--ctx", "1024"] + ask)
    #expect(enough.status == 0)
    // To the last position.
    let json = try JSONValue.parse(Array(enough.output.utf8))
    let count = try #require(json["prompt_tokens"]?.intValue) + 72
    #expect(try CommandRunner.run("vlm-run", [model, "--ctx", "\(count)"] + ask).status == 0)
    #expect(try CommandRunner.run("vlm-run", [model, "--ctx", "\(count - 1)"] + ask).status == 65)
  }

  @Test("a prompt longer than those of the training is answered whole, with a warning")
  func longerThanTrained() throws {
    let folder = try TemporaryFolder()
    let model = try llava(folder)
    let outcome = try CommandRunner.run(
      "vlm-run", [model, "-p", "-", "-n", "1", "--json", "-q", "--ctx", "8192"],
      input: Data(String(repeating: "word ", count: 1100).utf8))
    #expect(outcome.status == 0, "\(outcome.errors)")
    let json = try JSONValue.parse(Array(outcome.output.utf8))
    let count = try #require(json["prompt_tokens"]?.intValue)
    #expect(count > 2048)
    #expect(json["timings"]?["prefill_tokens"]?.intValue == count)
    #expect(json["truncated_tokens"]?.intValue == 0)
    #expect(
      outcome.errors.contains("the prompt has \(count) positions, and the model was trained with"))
  }

  @Test("options that choose among tokens say so where only the most probable one is taken")
  func idleOptions() throws {
    let folder = try TemporaryFolder()
    let model = try model(folder)
    let ask = [model, "-p", "Once", "-n", "1", "-q", "--top-p", "0.9", "--top-k", "5"]
    let idle = try CommandRunner.run("vlm-run", ask)
    #expect(idle.status == 0)
    #expect(
      idle.errorLine
        == "vlm-run: warning: --top-k and --top-p: no effect at temperature 0; --temp sets another")
    #expect(try CommandRunner.run("vlm-run", ask + ["--temp", "0.5"]).errors == "")
  }

  @Test("a stop string ends the answer and is no part of it")
  func stop() throws {
    let folder = try TemporaryFolder()
    let outcome = try CommandRunner.vlmRun(
      try model(folder), "-p", "Once upon a time", "-n", "50", "--stop", "girl", "-q")
    #expect(outcome.output == ", there was a little \n")
  }

  @Test("a full context ends the answer with a warning that says how to have more")
  func fullContext() throws {
    let folder = try TemporaryFolder()
    let path = try model(folder)
    let outcome = try CommandRunner.vlmRun(path, "-p", "Once upon a time", "--ctx", "12", "-q")
    #expect(outcome.status == 0)
    #expect(outcome.errors.contains("--ctx 24 allows more"))
    let most = try CommandRunner.vlmRun(path, "-p", "Once upon a time", "--ctx", "300", "-q")
    #expect(most.errors.isEmpty || most.errors.contains("--ctx 512 allows more"), "\(most.errors)")
    let longer = try CommandRunner.vlmRun(
      path, "-p", "Once upon a time", "--ctx", "600", "-n", "2", "-q")
    #expect(longer.errors.contains("made for 512 positions"))
  }

  @Test("a prompt that does not fit is an error before the answer, of every model")
  func longPrompts() throws {
    let folder = try TemporaryFolder()
    let long = String(repeating: "Once upon a time ", count: 400)
    let refused = try CommandRunner.vlmRun(try model(folder), "-p", long, "-n", "2")
    #expect(refused.status == 65 && refused.output == "")
    let told = "expected at most 512, the context's; the model was made for 512"
    #expect(refused.errors.contains(told))
    #expect(!refused.errors.contains("--ctx"))
    let seeing = try llava(folder)
    let longer = String(repeating: long, count: 4)
    let blind = try CommandRunner.vlmRun(
      seeing, "-p", longer, "-n", "2", "--jsonl", "-q")
    #expect(blind.status == 65 && blind.output == "")
    let answered = try CommandRunner.vlmRun(
      seeing, "-p", "Once", "-n", "2", "--jsonl", "-q")
    let object = try JSONValue.parse(Array(answered.output.utf8))
    #expect(object["timings"]?["load_seconds"]?.doubleValue != nil)
  }

  @Test("options that do not fit the model are usage errors")
  func usage() throws {
    let folder = try TemporaryFolder()
    let model = try model(folder)
    let horse = TestFiles.root.appendingPathComponent("docs/images/horse.png").path
    for arguments in [
      [model], [model, horse, "-p", "x"], [model, "-p", "x", "--template", "no-such"],
      [model, "-p", "x", "--chat"], [model, "--chat", "--json"], [model, "-p", "x", "-n", "0"],
      [model, "-p", "x", "--embed", folder.path("e.npy")], [model, "-p", "x", "--labels", "a,b"],
    ] {
      let outcome = try CommandRunner.run("vlm-run", arguments)
      #expect(outcome.status == 64, "\(arguments.dropFirst())")
    }
  }
}
