import Testing
import VLMFoundation
import VLMTestSupport

@testable import VLMText

/// Built-in templates, properties of templates determined by rendering them, and the section that
/// stores templates. The Jinja tests compare the interpreter with jinja2.
@Suite("Chat templates")
struct ChatTemplateTests {
  typealias Turn = ConversationTemplate.Turn

  struct Family: Sendable, CustomTestStringConvertible {
    let name: String
    /// Prompts for a question alone, and for a system message, a question, an answer and a
    /// question, as jinja2 renders them with the models' own templates.
    let alone: String
    let chat: String

    var testDescription: String { name }
  }

  private static let llama3 = "<|start_header_id|>"
  private static let date = "Cutting Knowledge Date: December 2023\nToday Date: 26 Jul 2024\n\n"

  static let families = [
    Family(
      name: "chatml",
      alone: "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n",
      chat: "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n"
        + "<|im_start|>assistant\nHello!<|im_end|>\n<|im_start|>user\nWhy?<|im_end|>\n"
        + "<|im_start|>assistant\n"),
    Family(
      name: "qwen2.5",
      alone: "<|im_start|>system\nYou are Qwen, created by Alibaba Cloud. You are a helpful "
        + "assistant.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n",
      chat: "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n"
        + "<|im_start|>assistant\nHello!<|im_end|>\n<|im_start|>user\nWhy?<|im_end|>\n"
        + "<|im_start|>assistant\n"),
    Family(
      name: "qwq",
      alone: "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n<think>\n",
      chat: "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n"
        + "<|im_start|>assistant\nHello!<|im_end|>\n<|im_start|>user\nWhy?<|im_end|>\n"
        + "<|im_start|>assistant\n<think>\n"),
    Family(
      name: "llama-2-chat",
      alone: "<s>[INST] Hi [/INST]",
      chat: "<s>[INST] <<SYS>>\nBe brief.\n<</SYS>>\n\nHi [/INST] Hello! </s><s>[INST] Why? [/INST]"
    ),
    Family(
      name: "mistral",
      alone: "[INST] Hi [/INST]",
      chat: "[INST] Be brief.\n\nHi [/INST]Hello!</s>[INST] Why? [/INST]"),
    Family(
      name: "mistral-v1",
      alone: " [INST] Hi [/INST]",
      chat: " [INST] Be brief.\n\nHi [/INST] Hello!</s> [INST] Why? [/INST]"),
    Family(
      name: "mistral-v3",
      alone: "[INST] Hi[/INST]", chat: "[INST] Hi[/INST] Hello!</s>[INST] Be brief.\n\nWhy?[/INST]"),
    Family(
      name: "mistral-v3-tekken",
      alone: "[INST]Hi[/INST]", chat: "[INST]Hi[/INST]Hello!</s>[INST]Be brief.\n\nWhy?[/INST]"),
    Family(
      name: "mistral-v7",
      alone: "[INST] Hi[/INST]",
      chat: "[SYSTEM_PROMPT] Be brief.[/SYSTEM_PROMPT][INST] Hi[/INST] Hello!</s>[INST] Why?[/INST]"
    ),
    Family(
      name: "mistral-v7-tekken",
      alone: "[INST]Hi[/INST]",
      chat: "[SYSTEM_PROMPT]Be brief.[/SYSTEM_PROMPT][INST]Hi[/INST]Hello!</s>[INST]Why?[/INST]"),
    Family(
      name: "llama-3",
      alone:
        "\(llama3)user<|end_header_id|>\n\nHi<|eot_id|>\(llama3)assistant<|end_header_id|>\n\n",
      chat: "\(llama3)system<|end_header_id|>\n\nBe brief.<|eot_id|>\(llama3)user<|end_header_id|>"
        + "\n\nHi<|eot_id|>\(llama3)assistant<|end_header_id|>\n\nHello!<|eot_id|>"
        + "\(llama3)user<|end_header_id|>\n\nWhy?<|eot_id|>\(llama3)assistant<|end_header_id|>\n\n"),
    Family(
      name: "llama-3.1",
      alone:
        "\(llama3)system<|end_header_id|>\n\n\(date)<|eot_id|>\(llama3)user<|end_header_id|>\n\n"
        + "Hi<|eot_id|>\(llama3)assistant<|end_header_id|>\n\n",
      chat: "\(llama3)system<|end_header_id|>\n\n\(date)Be brief.<|eot_id|>"
        + "\(llama3)user<|end_header_id|>\n\nHi<|eot_id|>\(llama3)assistant<|end_header_id|>\n\n"
        + "Hello!<|eot_id|>\(llama3)user<|end_header_id|>\n\nWhy?<|eot_id|>"
        + "\(llama3)assistant<|end_header_id|>\n\n"),
    Family(
      name: "deepseek-r1",
      alone: "<｜User｜>Hi<｜Assistant｜><think>\n",
      chat: "Be brief.<｜User｜>Hi<｜Assistant｜>Hello!<｜end▁of▁sentence｜><｜User｜>Why?"
        + "<｜Assistant｜><think>\n"),
    Family(
      name: "gemma",
      alone: "<start_of_turn>user\nHi<end_of_turn>\n<start_of_turn>model\n",
      chat: "<start_of_turn>user\nBe brief.\n\nHi<end_of_turn>\n<start_of_turn>model\nHello!"
        + "<end_of_turn>\n<start_of_turn>user\nWhy?<end_of_turn>\n<start_of_turn>model\n"),
    Family(
      name: "vicuna-lines",
      alone: "USER: Hi\nASSISTANT:",
      chat: "Be brief.\n\nUSER: Hi\nASSISTANT: Hello!</s>\nUSER: Why?\nASSISTANT:"),
    Family(
      name: "orca-vicuna",
      alone: "USER: Hi\nASSISTANT:",
      chat: "SYSTEM: Be brief.\nUSER: Hi\nASSISTANT: Hello!</s>\nUSER: Why?\nASSISTANT:"),
  ]

  private static let question: [Turn] = [.init(.user, "Hi"), .init(.assistant, nil)]

  private func template(
    _ source: String, system: String? = nil, arguments: JSONObject = JSONObject()
  ) throws -> ChatTemplate {
    try ChatTemplate(
      .init(name: "default", source: source), system: system,
      tokens: [.init(name: "bos_token", text: "<s>"), .init(name: "eos_token", text: "</s>")],
      addsBOS: false, arguments: arguments, file: "f")
  }

  private func builtIn(_ name: String) throws -> ChatTemplate {
    let known = try #require(ChatTemplate.builtIn(name))
    return try template(known.source, system: known.system)
  }

  @Test("a template of our own writes what the templates of its models do", arguments: families)
  func family(_ family: Family) throws {
    let template = try builtIn(family.name)
    let alone = try template.prompt(Self.question, system: nil, parsesImages: true)
    #expect(alone.text == family.alone)
    let turns: [Turn] = [
      .init(.user, "Hi"), .init(.assistant, "Hello!"), .init(.user, "Why?"),
      .init(.assistant, nil),
    ]
    let chat = try template.prompt(turns, system: "Be brief.", parsesImages: true)
    #expect(chat.text == family.chat)
    // Exactly the messages are marked as message text, in order.
    let said = chat.messageRanges.map { String(decoding: chat.bytes[$0], as: UTF8.self) }
    #expect(said.sorted() == ["Be brief.", "Hello!", "Hi", "Why?"])
  }

  @Test("every template of our own is a program that runs, and tells a system message")
  func builtIns() throws {
    for name in ChatTemplate.builtInNames {
      let template = try builtIn(name)
      let text = try template.prompt(Self.question, system: nil, parsesImages: true).text
      #expect(text.contains("Hi"), "\(name)")
      #expect(template.renders(system: "Be brief."), "\(name)")
    }
  }

  @Test("thoughts of earlier answers are not told again")
  func thoughts() throws {
    let turns: [Turn] = [
      .init(.user, "Hi"), .init(.assistant, "So they greet.\n</think>\n\nHello!"),
    ]
    let prompt = try builtIn("deepseek-r1").prompt(turns, system: nil, parsesImages: true)
    #expect(prompt.text == "<｜User｜>Hi<｜Assistant｜>\n\nHello!<｜end▁of▁sentence｜>")
  }

  // MARK: What programs want

  private static let parts = """
    {% for m in messages %}{{ m.role }}:{% for c in m.content %}{% if c.type == 'image' %}<image>{% else %}\
    {{ c.text }}{% endif %}{% endfor %};{% endfor %}
    """
  private static let both = """
    {% for m in messages %}{{ m.role }}:{% if m.content is string %}{{ m.content }}{% else %}\
    {% for c in m.content %}{{ '[<image>]' if c.type == 'image' else c.text }}{% endfor %}\
    {% endif %};{% endfor %}
    """

  @Test("contents are parts where a program wants parts, and pictures stand where it writes them")
  func contents() throws {
    let turns: [Turn] = [
      .init(.user, "<image>\nWhat, <image> or this?"), .init(.assistant, "An <image>."),
    ]
    let parted = try template(Self.parts).prompt(turns, system: "No <image>.", parsesImages: true)
    #expect(
      parted.text
        == "system:No <image>.;user:<image>What, <image> or this?;assistant:An <image>.;")
    #expect(ImagePrompt.count(parted) == 2)
    let either = try template(Self.both).prompt(turns, system: nil, parsesImages: true)
    #expect(either.text == "user:[<image>]What, [<image>] or this?;assistant:An <image>.;")
    #expect(ImagePrompt.count(either) == 2)
    let text = try template("{% for m in messages %}{{ m.content | trim }};{% endfor %}")
    let plain = try text.prompt(turns, system: nil, parsesImages: true)
    #expect(plain.text == "<image>\nWhat, <image> or this?;An <image>.;")
    #expect(ImagePrompt.count(plain) == 2)
    #expect(ImagePrompt.count(try text.prompt(turns, system: nil, parsesImages: false)) == 0)
  }

  @Test("what ends an answer is what the program writes behind one")
  func ends() throws {
    let tokenizer = try TokenizerFixtures.spmSmall()
    func end(_ behind: String) throws -> String? {
      try template(
        "{% for m in messages %}<{{ m.role }}>{{ m.content }}\(behind){% endfor %}"
      ).endOfAnswer(tokenizer)
    }
    #expect(try end("{{ eos_token }}\\n") == "</s>")
    #expect(try end(" </s>") == "</s>")
    #expect(try end("<|im_end|>\\n") == "<|im_end|>")
    #expect(try end("\n") == nil)
    #expect(try end("< nothing like a mark >") == nil)
  }

  @Test("a program that refuses, fails or runs on is an error of one line with its message")
  func failures() throws {
    let refuses =
      "{% if messages[0].role == 'system' %}{{ raise_exception('no\nsystem') }}{% endif %}"
    let template = try template(refuses)
    let error = thrownError(TextError.self) {
      try template.prompt(Self.question, system: "Be brief.", parsesImages: true)
    }
    let line = try #require(error?.description)
    #expect(line.hasPrefix("f: chat template 'default': line 1: "), "\(line)")
    #expect(line.contains("system") && !line.contains("\n"))
    #expect(try template.prompt(Self.question, system: nil, parsesImages: true).text == "")
    let unread = thrownError(TextError.self) { try self.template("{% for %}") }
    #expect(unread?.description.hasPrefix("f: chat template 'default': line 1: ") == true)
  }

  @Test("arguments that a program does not look at, and a system message that it drops, are known")
  func unused() throws {
    var arguments = JSONObject()
    arguments.set("thinks", true)
    arguments.set("no_such", 1)
    let template = try template("{{ thinks }}{{ messages[-1].content }}", arguments: arguments)
    #expect(template.unused(arguments) == ["no_such"])
    #expect(!template.renders(system: "Be brief."))
    #expect(try template.prompt(Self.question, system: nil, parsesImages: true).text == "TrueHi")
  }

  @Test(
    "BOS comes where a program writes it, and else only where the file's templates leave it out")
  func begin() throws {
    let tokenizer = try TokenizerFixtures.spmSmall()
    func bos(_ source: String, addsBOS: Bool) throws -> Bool? {
      let template = try ChatTemplate(
        .init(name: "t", source: source), tokens: [.init(name: "bos_token", text: "<s>")],
        addsBOS: addsBOS, file: "f")
      return template.bos(
        try template.prompt([.init(.user, "<s>")], system: nil, parsesImages: false), tokenizer)
    }
    #expect(try bos("{{ bos_token }}x", addsBOS: true) == false)
    #expect(try bos("x", addsBOS: true) == nil)
    #expect(try bos("x", addsBOS: false) == false)
    // The user's is text.
    #expect(try bos("{{ messages[0].content }}", addsBOS: true) == nil)
  }

  // MARK: The section

  private func read(_ text: String) throws -> ChatTemplates {
    try ChatTemplates(json: try JSONValue.parse(Array(text.utf8)), file: "f")
  }

  @Test("the section keeps every program, and reads what older builds wrote")
  func section() throws {
    var templates = ChatTemplates(
      [.init(name: "default", source: "{{ 1 }}"), .init(name: "tool_use", source: "{{ 2 }}")],
      tokens: [.init(name: "bos_token", text: "<s>")], addsBOS: true)
    #expect(try ChatTemplates(json: templates.json, file: "f") == templates)
    templates.set(.init(name: "default", source: "{{ 3 }}"))
    #expect(templates["default"]?.source == "{{ 3 }}" && templates.programs.count == 2)

    let program = try read(#"{"template": "chatml", "source": "{{ 4 }}"}"#)
    #expect(program["default"]?.source == "{{ 4 }}" && program.addsBOS)
    #expect(program.family == .init(name: "chatml"))
    let name = try read(#"{"template": "chatml", "system": "You are Robin."}"#)
    #expect(name.programs.isEmpty)
    #expect(name.family == .init(name: "chatml", system: "You are Robin."))
    #expect(try ChatTemplates(json: name.json, file: "f") == name)
    #expect(try read(#"{"source": "{{ 5 }}"}"#)["default"]?.source == "{{ 5 }}")
    #expect(try read("{}").isEmpty)
  }

  @Test(
    "a section that is no good is refused by its field",
    arguments: [
      ("[]", "chat template"), (#"{"template": "none of ours"}"#, "chat template"),
      (#"{"version": 3}"#, "chat template: version"),
      (#"{"version": "2"}"#, "chat template: version"),
      (#"{"version": 2, "source": 1}"#, "chat template: source"),
      (#"{"version": 2, "named": {}}"#, "chat template: named"),
      (#"{"version": 2, "named": [{"name": "a"}]}"#, "chat template: named"),
      (
        #"{"version": 2, "named": [{"name": "a", "source": ""}, {"name": "a", "source": ""}]}"#,
        "chat template: named"
      ),
      (#"{"version": 2, "tokens": {"bos_token": 1}}"#, "chat template: tokens"),
      (#"{"version": 2, "adds_bos": 1}"#, "chat template: adds_bos"),
    ])
  func damage(_ text: String, _ place: String) throws {
    #expect(thrownError(TextError.self) { try self.read(text) }?.place == place)
  }
}
