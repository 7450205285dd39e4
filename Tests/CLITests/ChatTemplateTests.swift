import Foundation
import Testing
import VLMCheckpoint
import VLMFoundation
import VLMTensor
import VLMTestSupport
import VLMZ

/// Chat templates from wherever they are saved, and the prompts that they make, against transformers'
/// `apply_chat_template`: `scripts/make-chat-fixtures` made the cases and the ids.
@Suite(.serialized)
struct ChatTemplateCommandTests {
  private let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  /// The tiny model with these files beside it, as a container.
  private func convert(
    _ files: [(String, String)], to name: String = "m.vlmz", status: Int32 = 0,
    template: [UInt8]? = nil
  ) throws -> CommandRunner.Outcome {
    let model = folder.url.appendingPathComponent("model")
    try? FileManager.default.removeItem(at: model)
    try FileManager.default.copyItem(atPath: TestFiles.fixture("chat/model"), toPath: model.path)
    for (name, text) in files {
      let path = model.appendingPathComponent(name)
      try FileManager.default.createDirectory(
        at: path.deletingLastPathComponent(), withIntermediateDirectories: true)
      try Data(text.utf8).write(to: path)
    }
    if let template {
      try Data(template).write(to: model.appendingPathComponent("chat_template.jinja"))
    }
    let outcome = try CommandRunner.convert(model.path, folder.path(name), "--f32", "--force")
    try #require(outcome.status == status, "\(outcome.errors)")
    return outcome
  }

  /// The ids that a question becomes.
  private func ids(_ arguments: [String], model: String = "m.vlmz") throws -> [Int] {
    let dump = folder.path("dump.safetensors")
    let outcome = try CommandRunner.run(
      "vlm-run", [folder.path(model), "-n", "1", "-q", "--force", "--dump", dump] + arguments)
    try #require(outcome.status == 0, "\(outcome.errors)")
    return try #require(try Expected(dump).tensor("input_ids")).values.map { Int($0) }
  }

  private static let cases = Result {
    try TestFiles.json(TestFiles.fixture("chat/cases.json")).arrayValue ?? []
  }

  @Test("prompts are those of transformers, wherever the template lies")
  func prompts() throws {
    let cases = try Self.cases.get()
    #expect(cases.count == 16)
    for one in cases {
      let name = one["name"]?.stringValue ?? ""
      let files = try #require(one["files"]?.objectValue).members.map {
        ($0.key, $0.value.stringValue ?? "")
      }
      _ = try convert(files)
      var arguments = ["-p", try #require(one["question"]?.stringValue)]
      for option in ["system", "template"] {
        if let value = one[option]?.stringValue { arguments += ["--" + option, value] }
      }
      if let value = one["arguments"] { arguments += ["--template-args", value.serialized()] }
      if let value = one["special"]?.boolValue {
        arguments.append(value ? "--special" : "--no-special")
      }
      let expected = try #require(one["ids"]?.arrayValue).compactMap(\.intValue)
      #expect(try ids(arguments) == expected, "\(name)")
    }
  }

  @Test("templates of a GGUF file are named, and BOS stands once, where its tokenizer wants it")
  func gguf() throws {
    let outcome = try CommandRunner.convert(
      TestFiles.fixture("chat/named.gguf"), folder.path("m.vlmz"), "--f32")
    try #require(outcome.status == 0, "\(outcome.errors)")
    #expect(try ids(["-p", "Hello"]) == [0, 13, 17])
    #expect(try ids(["-p", "Hello", "--template", "tool_use"]) == [0, 3, 13, 17])
  }

  @Test("a template comes back from the container with all that it needs")
  func roundTrip() throws {
    let source = "{{ bos_token }}{% for m in messages %}{{ m.content }}{{ eos_token }}{% endfor %}"
    _ = try convert([
      ("chat_template.jinja", source), ("additional_chat_templates/other.jinja", "{{ 'x' }}"),
    ])
    let back = folder.path("back.safetensors")
    let extracted = try CommandRunner.convert("extract", folder.path("m.vlmz"), back)
    try #require(extracted.status == 0, "\(extracted.errors)")
    let again = try CommandRunner.convert(back, folder.path("again.vlmz"), "--f32")
    try #require(again.status == 0, "\(again.errors)")
    for arguments in [["-p", "Hi"], ["-p", "Hi", "--template", "other"]] {
      #expect(try ids(arguments, model: "again.vlmz") == ids(arguments))
    }
  }

  @Test("a template from a file, or of our own, is taken by its name")
  func named() throws {
    _ = try convert([])
    let file = folder.path("mine.jinja")
    try Data("<|im_start|>{{ messages[0].content }}<|im_end|>".utf8).write(
      to: URL(fileURLWithPath: file))
    #expect(try ids(["-p", "Hi", "--template", file]).first == 2)
    let chatml = try #require(try Self.cases.get().first)
    #expect(
      try ids(["-p", "What is it?", "--template", "chatml"])
        == [0] + #require(chatml["ids"]?.arrayValue).compactMap(\.intValue))
    let unknown = try CommandRunner.vlmRun(folder.path("m.vlmz"), "-p", "x", "--template", "y")
    #expect(unknown.status == 64)
    #expect(unknown.errors.contains("found 'y', expected a file that ends in .jinja, none, vicuna"))
  }

  @Test("a template may lie in JSON, and a file without one is refused")
  func inJSON() throws {
    _ = try convert([])
    func file(_ name: String, _ text: String) throws -> String {
      try Data(text.utf8).write(to: URL(fileURLWithPath: folder.path(name)))
      return folder.path(name)
    }
    let source = "<|im_start|>{{ messages[0].content }}<|im_end|>"
    let plain = try ids(["-p", "Hi", "--template", file("mine.jinja", source)])
    for (name, text) in [
      ("tokenizer_config.json", #"{"chat_template": "\#(source)", "model_max_length": 8}"#),
      ("list.json", #"{"chat_template": [{"name": "default", "template": "\#(source)"}]}"#),
      ("named", #"{"chat_template": {"default": "\#(source)"}}"#), ("mine.txt", source),
      ("marked.jinja", "\u{feff}\(source)\r\n"),
      ("marked.json", "\u{feff}{\r\n\"chat_template\": \"\(source)\"}"),
    ] {
      #expect(try ids(["-p", "Hi", "--template", file(name, text)]) == plain, "\(name)")
    }
    for (name, text, reason) in [
      ("config.json", "{}", "chat_template: found none, expected one; newer models"),
      ("tools.json", #"{"chat_template": {"tools": "{{ 1 }}"}}"#, "none of the name 'default'"),
      ("notes.txt", "Be brief.", "found no {{ and no {%, expected a chat template in Jinja"),
    ] {
      let refused = try CommandRunner.vlmRun(
        folder.path("m.vlmz"), "-p", "Hi", "--template", file(name, text))
      #expect(refused.status == 65)
      #expect(refused.errors.contains(reason), "\(refused.errors)")
    }
  }

  @Test("tokens that the embeddings have no row for are refused")
  func rowless() throws {
    let path = TestFiles.fixture("chat/model/tokenizer.json")
    let text = try String(decoding: Data(contentsOf: URL(fileURLWithPath: path)), as: UTF8.self)
    let key = "\n  ],\n  \"normalizer\""
    try #require(text.contains(key))
    let added = [322, 323].map { #", {"id": \#($0), "content": "<|x\#($0)|>", "special": true}"# }
    let outcome = try convert(
      [("tokenizer.json", text.replacingOccurrences(of: key, with: added.joined() + key))],
      status: 65)
    #expect(
      outcome.errorLine.contains(
        "found token '<|x322|>' with id 322 and 1 more, expected ids below 322"),
      "\(outcome.errors)")
    #expect(try !convert([]).errors.contains("rows"))
  }

  @Test("slips in the options of a question are said")
  func slips() throws {
    _ = try convert([])
    func said(_ arguments: String..., status: Int32) throws -> String {
      let outcome = try CommandRunner.run(
        "vlm-run", [folder.path("m.vlmz"), "-p", "Hi", "-n", "1", "-q"] + arguments)
      #expect(outcome.status == status, "\(outcome.errors)")
      return outcome.errors
    }
    #expect(try said("--template", "chatlm", status: 64).contains("did you mean 'chatml'?"))
    #expect(try said("--template", "llama3", status: 64).contains("did you mean 'llama-3'?"))
    #expect(try !said("--template", "zzzzzz", status: 64).contains("did you mean"))
    #expect(try said("--special", "--no-special", status: 64).contains("--no-special"))
    #expect(
      try said("--system", "Be brief.", "--template", "none", status: 0).contains(
        "--system: left out"))
    #expect(try said("-n", "-1", status: 64).contains("--max-tokens: found -1, expected 1"))
    #expect(try said("--temp", "-1", status: 64).contains("found -1.0, expected 0.0 to 100.0"))
  }

  @Test("a template that is missing, broken or of no default name is said, and what happens then")
  func missing() throws {
    func said(_ files: [(String, String)]) throws -> (converted: String, asked: String) {
      let converted = try convert(files).errors
      let asked = try CommandRunner.vlmRun(
        folder.path("m.vlmz"), "-p", "Once", "-n", "1", "-q")
      #expect(asked.status == 0)
      return (converted, asked.errors)
    }
    let missing = try said([])
    #expect(missing.converted.contains("no chat template"))
    #expect(missing.asked.contains("has no chat template: questions are sent as bare text"))
    for source in ["", " \n\t"] {
      let empty = try said([("chat_template.jinja", source)])
      let text = "chat_template.jinja: an empty template, with which every prompt would be empty"
      #expect(empty.converted.contains(text), "\(empty.converted)")
      #expect(empty.asked.contains("has no chat template: questions are sent as bare text"))
    }
    let broken = try said([("chat_template.jinja", "a\n{% for %}")])
    for text in [broken.converted, broken.asked] {
      #expect(text.contains("chat template 'default': line 2: "), "\(text)")
      #expect(text.contains("questions are sent as bare text"), "\(text)")
    }
    // A defect of the file, which the library does not pass over either, as it cannot say so.
    let checked = try CommandRunner.run("vlm-convert", ["verify", folder.path("m.vlmz")])
    #expect(checked.status == 2)
    #expect(checked.errors.contains("chat template 'default': line 2: "), "\(checked.errors)")
    let model = try Model(opening: folder.path("m.vlmz"))
    let error = thrownError(VLMZError.self) { try Conversation(with: model) }
    #expect(error?.code == .badData)
    #expect(error?.message.contains("chat template 'default': line 2: ") == true)
    _ = try Conversation(with: model, options: .init(template: .none))
    let other = try said([("additional_chat_templates/other.jinja", "{{ 1 }}")])
    for text in [other.converted, other.asked] {
      #expect(text.contains("--template names one of other"), "\(text)")
    }
  }

  @Test("a byte order mark is none of a template, and one in UTF-16 or UTF-32 is told as that")
  func marks() throws {
    let source = "{{ messages[0]['content'] }}"
    let text = "chat_template.jinja: its byte order mark is left out"
    let plain = try convert([("chat_template.jinja", source)])
    let wanted = try ids(["-p", "Once"])
    let marked = try convert([("chat_template.jinja", "\u{feff}" + source)])
    #expect(marked.errors.contains(text) && !plain.errors.contains(text), "\(marked.errors)")
    #expect(try ids(["-p", "Once"]) == wanted)
    let marks: [(mark: [UInt8], name: String)] = [
      ([0xff, 0xfe], "UTF-16"), ([0xff, 0xfe, 0, 0], "UTF-32"),
    ]
    for (mark, name) in marks {
      let told = try convert([], template: mark + [0x61, 0, 0, 0]).errors
      #expect(told.contains("found a text in \(name), expected UTF-8: left out"), "\(told)")
    }
  }

  @Test("a template that refuses a question is an error with its words, and a chat goes on")
  func refusal() throws {
    let source = """
      {% if 'bad' in messages[-1].content %}{{ raise_exception('No bad words, please') }}{% endif %}\
      {{ messages[-1].content }}
      """
    _ = try convert([("chat_template.jinja", source)])
    let model = folder.path("m.vlmz")
    let refused = try CommandRunner.vlmRun(model, "-p", "bad", "-q")
    #expect(refused.status == 65)
    #expect(refused.errorLine.contains("chat template 'default': line 1: "))
    #expect(refused.errorLine.contains("No bad words, please"))
    let chat = try CommandRunner.run(
      "vlm-run", [model, "--chat", "-q", "-n", "1", "--jsonl"], input: Data("bad\ngood\n".utf8))
    #expect(chat.status == 65)
    // An error in the place of the first answer.
    #expect(try chat.objects.map { $0["error"]?["status"]?.intValue } == [65, nil])
  }

  @Test("a system message that a template drops, and arguments that it ignores, are said")
  func dropped() throws {
    _ = try convert([("chat_template.jinja", "{{ messages[-1].content }}")])
    let outcome = try CommandRunner.vlmRun(
      folder.path("m.vlmz"), "-p", "Hi", "-n", "1", "-q", "--system", "Be brief.",
      "--template-args", #"{"tones": 1}"#)
    #expect(outcome.status == 0)
    #expect(outcome.errors.contains("--system: the template 'default' leaves it out"))
    #expect(outcome.errors.contains("'default' does not look at tones"))
  }

  @Test(
    "cases of the field give transformers' ids",
    .enabled(
      if: TestFiles.exists(TestFiles.shared.appendingPathComponent("cases/checkpoints").path),
      "needs the cases in ../shared, which are not here"),
    arguments: [
      (
        "chat-template-jinja-file",
        [1500, 1039, 199, 274, 76, 323, 1501, 199, 1500, 381, 83, 370, 538, 199]
      ),
      (
        "chat-template-list",
        [1500, 1039, 199, 274, 76, 323, 1501, 199, 1500, 381, 83, 370, 538, 199]
      ),
    ])
  func field(_ name: String, _ expected: [Int]) throws {
    let path = TestFiles.shared.appendingPathComponent("cases/checkpoints/" + name).path
    let outcome = try CommandRunner.convert(path, folder.path("m.vlmz"), "--f32")
    try #require(outcome.status == 0, "\(outcome.errors)")
    #expect(try ids(["-p", "hello"]) == expected)
  }
}
