import Testing
import VLMTensor
import VLMTestSupport

@testable import VLMInput

/// Families of chat templates: what is recognised in the text of a template, and the prompts that
/// such templates make, as Jinja renders them.
@Suite("Chat templates")
struct ChatTemplateTests {
  struct Family: Sendable, CustomTestStringConvertible {
    let name: String
    /// What of a template's text tells it apart.
    let text: String
    /// Of a question alone; of a system message, a question, an answer and a question.
    let alone: String
    let chat: String

    var testDescription: String { name }
  }

  private static let llama3 = "<|start_header_id|>"
  private static let date = "Cutting Knowledge Date: December 2023\nToday Date: 26 Jul 2024\n\n"

  static let families = [
    Family(
      name: "chatml",
      text:
        #"{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}"#,
      alone: "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n",
      chat: "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n"
        + "<|im_start|>assistant\nHello!<|im_end|>\n<|im_start|>user\nWhy?<|im_end|>\n"
        + "<|im_start|>assistant\n"),
    Family(
      name: "qwen2.5",
      text: #"{{- '<|im_start|>system\n' }} {{- "<|im_end|>\n" }} {{- '<|im_start|>system\n"#
        + #"You are Qwen, created by Alibaba Cloud. You are a helpful assistant.<|im_end|>\n' }} "#
        + #"<tool_call> {%- if add_generation_prompt %} {{- '<|im_start|>assistant\n' }}"#,
      alone: "<|im_start|>system\nYou are Qwen, created by Alibaba Cloud. You are a helpful "
        + "assistant.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n",
      chat: "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n"
        + "<|im_start|>assistant\nHello!<|im_end|>\n<|im_start|>user\nWhy?<|im_end|>\n"
        + "<|im_start|>assistant\n"),
    Family(
      name: "qwq", text: #"{{- '<|im_start|>assistant\n<think>\n' }}"#,
      alone: "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n<think>\n",
      chat: "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n"
        + "<|im_start|>assistant\nHello!<|im_end|>\n<|im_start|>user\nWhy?<|im_end|>\n"
        + "<|im_start|>assistant\n<think>\n"),
    Family(
      name: "llama-2-chat",
      text:
        #"'<<SYS>>\n' + system_message + '\n<</SYS>>\n\n' {{ bos_token + '[INST] ' + content }}"#,
      alone: "<s>[INST] Hi [/INST]",
      chat: "<s>[INST] <<SYS>>\nBe brief.\n<</SYS>>\n\nHi [/INST] Hello! </s><s>[INST] Why? [/INST]"
    ),
    Family(
      name: "mistral", text: "{{ '[INST] ' + message['content'] + ' [/INST]' }}",
      alone: "[INST] Hi [/INST]",
      chat: "[INST] Be brief.\n\nHi [/INST]Hello!</s>[INST] Why? [/INST]"),
    Family(
      name: "mistral-v1", text: "{{- ' [INST] ' + message['content'] + ' [/INST]' }}",
      alone: " [INST] Hi [/INST]",
      chat: " [INST] Be brief.\n\nHi [/INST] Hello!</s> [INST] Why? [/INST]"),
    Family(
      name: "mistral-v3",
      text: #"{{- "[AVAILABLE_TOOLS] [" }} {{- "[INST] " + message["content"] + "[/INST]" }}"#,
      alone: "[INST] Hi[/INST]", chat: "[INST] Hi[/INST] Hello!</s>[INST] Be brief.\n\nWhy?[/INST]"),
    Family(
      name: "mistral-v3-tekken",
      text: #"{{- "[AVAILABLE_TOOLS][" }} {{- "[INST]" + message["content"] + "[/INST]" }}"#,
      alone: "[INST]Hi[/INST]", chat: "[INST]Hi[/INST]Hello!</s>[INST]Be brief.\n\nWhy?[/INST]"),
    Family(
      name: "mistral-v7",
      text: "{{ '[INST] ' + message['content'] + '[/INST]' }} {{ '[SYSTEM_PROMPT] ' }}",
      alone: "[INST] Hi[/INST]",
      chat: "[SYSTEM_PROMPT] Be brief.[/SYSTEM_PROMPT][INST] Hi[/INST] Hello!</s>[INST] Why?[/INST]"
    ),
    Family(
      name: "mistral-v7-tekken",
      text: "{{- '[SYSTEM_PROMPT]' }} {{- '[INST]' + message['content'] + '[/INST]' }}",
      alone: "[INST]Hi[/INST]",
      chat: "[SYSTEM_PROMPT]Be brief.[/SYSTEM_PROMPT][INST]Hi[/INST]Hello!</s>[INST]Why?[/INST]"),
    Family(
      name: "llama-3",
      text: #"'<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n' + content | trim"#,
      alone:
        "\(llama3)user<|end_header_id|>\n\nHi<|eot_id|>\(llama3)assistant<|end_header_id|>\n\n",
      chat: "\(llama3)system<|end_header_id|>\n\nBe brief.<|eot_id|>\(llama3)user<|end_header_id|>"
        + "\n\nHi<|eot_id|>\(llama3)assistant<|end_header_id|>\n\nHello!<|eot_id|>"
        + "\(llama3)user<|end_header_id|>\n\nWhy?<|eot_id|>\(llama3)assistant<|end_header_id|>\n\n"),
    Family(
      name: "llama-3.1",
      text: #"{{- "<|start_header_id|>system" }} {{- "Cutting Knowledge Date: December 2023\n" }}"#,
      alone:
        "\(llama3)system<|end_header_id|>\n\n\(date)<|eot_id|>\(llama3)user<|end_header_id|>\n\n"
        + "Hi<|eot_id|>\(llama3)assistant<|end_header_id|>\n\n",
      chat: "\(llama3)system<|end_header_id|>\n\n\(date)Be brief.<|eot_id|>"
        + "\(llama3)user<|end_header_id|>\n\nHi<|eot_id|>\(llama3)assistant<|end_header_id|>\n\n"
        + "Hello!<|eot_id|>\(llama3)user<|end_header_id|>\n\nWhy?<|eot_id|>"
        + "\(llama3)assistant<|end_header_id|>\n\n"),
    Family(
      name: "deepseek-r1",
      text: #"{{'<｜User｜>' + message['content']}} {{'<｜Assistant｜><think>\n'}}"#,
      alone: "<｜User｜>Hi<｜Assistant｜><think>\n",
      chat: "Be brief.<｜User｜>Hi<｜Assistant｜>Hello!<｜end▁of▁sentence｜><｜User｜>Why?"
        + "<｜Assistant｜><think>\n"),
    Family(
      name: "gemma", text: "'<start_of_turn>' + role",
      alone: "<start_of_turn>user\nHi<end_of_turn>\n<start_of_turn>model\n",
      chat: "<start_of_turn>user\nBe brief.\n\nHi<end_of_turn>\n<start_of_turn>model\nHello!"
        + "<end_of_turn>\n<start_of_turn>user\nWhy?<end_of_turn>\n<start_of_turn>model\n"),
    Family(
      name: "vicuna-lines",
      text: "{{-'USER: ' + message['content'] + '\n'-}} {{-'ASSISTANT: ' + message['content']-}}",
      alone: "USER: Hi\nASSISTANT:",
      chat: "Be brief.\n\nUSER: Hi\nASSISTANT: Hello!</s>\nUSER: Why?\nASSISTANT:"),
    Family(
      name: "orca-vicuna", text: "'SYSTEM: ' 'USER: ' 'ASSISTANT: '",
      alone: "USER: Hi\nASSISTANT:",
      chat: "SYSTEM: Be brief.\nUSER: Hi\nASSISTANT: Hello!</s>\nUSER: Why?\nASSISTANT:"),
  ]

  @Test("a family is recognised, and its prompts are those of its templates", arguments: families)
  func family(_ family: Family) throws {
    let template = try #require(ConversationTemplate.recognise(chatTemplate: family.text))
    #expect(template.name == family.name)
    #expect(template.prompt([.init(.user, "Hi"), .init(.assistant, nil)]) == family.alone)
    let turns: [ConversationTemplate.Turn] = [
      .init(.user, "Hi"), .init(.assistant, "Hello!"), .init(.user, "Why?"),
      .init(.assistant, nil),
    ]
    #expect(template.prompt(turns, system: "Be brief.") == family.chat)
    #expect(try ConversationTemplate(json: template.json(), file: "f") == template)
  }

  @Test("a template's own default system message is taken, and none that it puts together")
  func systems() throws {
    let own = #"'<|im_start|>system\nYou are Robin.<|im_end|>\n' '<|im_start|>user'"#
    #expect(
      try #require(ConversationTemplate.recognise(chatTemplate: own)).system == "You are Robin.")
    let made = #""<|im_start|>system\n" + ns.system_prompt + "<|im_end|>\n""#
    #expect(try #require(ConversationTemplate.recognise(chatTemplate: made)).system == "")
  }

  @Test("thoughts of earlier answers are not told again")
  func thoughts() throws {
    let template = try #require(ConversationTemplate.named("deepseek-r1"))
    let turns: [ConversationTemplate.Turn] = [
      .init(.user, "Hi"), .init(.assistant, "So they greet.\n</think>\n\nHello!"),
    ]
    #expect(
      template.prompt(turns) == "<｜User｜>Hi<｜Assistant｜>\n\nHello!<｜end▁of▁sentence｜>")
  }

  @Test("marks of other families are not taken for known ones")
  func others() {
    for text in [
      "<|im_start|>user<|im_sep|>", "[gMASK]<sop><|user|>\n<|assistant|>\n", "<｜User｜>hi",
      "### User:",
    ] {
      #expect(ConversationTemplate.recognise(chatTemplate: text) == nil, "\(text)")
    }
  }
}
