/// Built-in templates of common model families, for files without a template.
extension ChatTemplate {
  /// A template written for this project, and the default system message of models of this name.
  package struct BuiltIn: Sendable {
    package let name: String
    package let source: String
    package let system: String?
  }

  package static func builtIn(_ name: String) -> BuiltIn? { builtIns.first { $0.name == name } }

  package static var builtInNames: [String] { builtIns.map(\.name) }

  private static let builtIns = [
    BuiltIn(name: "chatml", source: chatML(), system: nil),
    BuiltIn(
      name: "smollm2", source: chatML(),
      system: "You are a helpful AI assistant named SmolLM, trained by Hugging Face"),
    BuiltIn(name: "qwen2", source: chatML(), system: "You are a helpful assistant."),
    BuiltIn(
      name: "qwen2.5", source: chatML(),
      system: "You are Qwen, created by Alibaba Cloud. You are a helpful assistant."),
    BuiltIn(
      name: "qwq", source: chatML(opening: "<think>\\n", thoughtsEnd: "</think>\\n\\n"), system: nil
    ),
    BuiltIn(
      name: "llama-2-chat",
      source: leading(
        system: "'<<SYS>>\\n' + s | trim + '\\n<</SYS>>\\n\\n'",
        user: "'<s>[INST] ' + s + c | trim + ' [/INST]'",
        answer: "' ' + c | trim + ' </s>'"), system: nil),
    // Mistral's templates by tokenizer release: the original, then v1, v3 and v7.
    BuiltIn(
      name: "mistral",
      source: leading(
        system: "s + '\\n\\n'", user: "'[INST] ' + s + c + ' [/INST]'", answer: "c + '</s>'"),
      system: nil),
    BuiltIn(
      name: "mistral-v1",
      source: leading(
        system: "s + '\\n\\n'", user: "' [INST] ' + s + c + ' [/INST]'",
        answer: "' ' + c + '</s>'"), system: nil),
    BuiltIn(
      name: "mistral-v3",
      source: leading(
        system: "s + '\\n\\n'", user: "'[INST] ' + s + c + '[/INST]'",
        answer: "' ' + c | trim + '</s>'", isLast: true), system: nil),
    BuiltIn(
      name: "mistral-v3-tekken",
      source: leading(
        system: "s + '\\n\\n'", user: "'[INST]' + s + c + '[/INST]'", answer: "c + '</s>'",
        isLast: true), system: nil),
    BuiltIn(
      name: "mistral-v7",
      source: blocks(
        system: "'[SYSTEM_PROMPT] ' + c + '[/SYSTEM_PROMPT]'", user: "'[INST] ' + c + '[/INST]'",
        answer: "' ' + c + '</s>'", opening: ""), system: nil),
    BuiltIn(
      name: "mistral-v7-tekken",
      source: blocks(
        system: "'[SYSTEM_PROMPT]' + c + '[/SYSTEM_PROMPT]'", user: "'[INST]' + c + '[/INST]'",
        answer: "c + '</s>'", opening: ""), system: nil),
    BuiltIn(
      name: "zephyr",
      source: blocks(
        system: "'<|system|>\\n' + c + '</s>\\n'", user: "'<|user|>\\n' + c + '</s>\\n'",
        answer: "'<|assistant|>\\n' + c + '</s>\\n'", opening: "<|assistant|>\\n"), system: nil),
    BuiltIn(name: "llama-3", source: llama3, system: nil),
    // The date is the template's default.
    BuiltIn(
      name: "llama-3.1",
      source:
        "{%- if messages[0].role != 'system' %}{{- '<|start_header_id|>system<|end_header_id|>"
        + "\\n\\n' + \(date) + '<|eot_id|>' }}{%- endif %}"
        + blocks(
          system: header("system") + " + \(date) + c | trim + '<|eot_id|>'",
          user: header("user") + " + c | trim + '<|eot_id|>'",
          answer: header("assistant") + " + c | trim + '<|eot_id|>'",
          opening: "<|start_header_id|>assistant<|end_header_id|>\\n\\n"), system: nil),
    BuiltIn(
      name: "gemma",
      source: leading(
        system: "s | trim + '\\n\\n'",
        user: "'<start_of_turn>user\\n' + s + c | trim + '<end_of_turn>\\n'",
        answer: "'<start_of_turn>model\\n' + c | trim + '<end_of_turn>\\n'",
        opening: "<start_of_turn>model\\n"), system: nil),
    BuiltIn(
      name: "phi-3",
      source: blocks(
        system: "'<|system|>\\n' + c + '<|end|>\\n'", user: "'<|user|>\\n' + c + '<|end|>\\n'",
        answer: "'<|assistant|>\\n' + c + '<|end|>\\n'", opening: "<|assistant|>\\n"), system: nil),
    BuiltIn(
      name: "deepseek-r1",
      source: blocks(
        system: "c", user: "'<\u{ff5c}User\u{ff5c}>' + c",
        answer: "'<\u{ff5c}Assistant\u{ff5c}>' + c.split('</think>')[-1] + "
          + "'<\u{ff5c}end\u{2581}of\u{2581}sentence\u{ff5c}>'",
        opening: "<\u{ff5c}Assistant\u{ff5c}><think>\\n"), system: nil),
    BuiltIn(
      name: "vicuna-lines",
      source: blocks(
        system: "c + '\\n\\n'", user: "'USER: ' + c + '\\n'",
        answer: "'ASSISTANT: ' + c + '</s>\\n'", opening: "ASSISTANT:"), system: nil),
    BuiltIn(
      name: "orca-vicuna",
      source: blocks(
        system: "'SYSTEM: ' + c + '\\n'", user: "'USER: ' + c + '\\n'",
        answer: "'ASSISTANT: ' + c + '</s>\\n'", opening: "ASSISTANT:"), system: nil),
  ]

  private static let date =
    "'Cutting Knowledge Date: December 2023\\nToday Date: 26 Jul 2024\\n\\n'"

  private static func header(_ role: String) -> String {
    "'<|start_header_id|>\(role)<|end_header_id|>\\n\\n'"
  }

  private static let llama3 = blocks(
    system: header("system") + " + c | trim + '<|eot_id|>'",
    user: header("user") + " + c | trim + '<|eot_id|>'",
    answer: header("assistant") + " + c | trim + '<|eot_id|>'",
    opening: "<|start_header_id|>assistant<|end_header_id|>\\n\\n")

  private static func chatML(opening: String = "", thoughtsEnd: String? = nil) -> String {
    let answer = thoughtsEnd.map { "c.split('\($0)')[-1]" } ?? "c"
    return blocks(
      system: "'<|im_start|>system\\n' + c + '<|im_end|>\\n'",
      user: "'<|im_start|>user\\n' + c + '<|im_end|>\\n'",
      answer: "'<|im_start|>assistant\\n' + \(answer) + '<|im_end|>\\n'",
      opening: "<|im_start|>assistant\\n" + opening)
  }

  /// A template that formats each message, `c`, as a separate block.
  private static func blocks(
    system: String, user: String, answer: String, opening: String
  ) -> String {
    "{%- for message in messages %}{%- set c = message.content %}"
      + "{%- if message.role == 'system' %}{{- \(system) }}"
      + "{%- elif message.role == 'user' %}{{- \(user) }}"
      + "{%- else %}{{- \(answer) }}{%- endif %}{%- endfor %}"
      + "{%- if add_generation_prompt %}{{- '\(opening)' }}{%- endif %}"
  }

  /// A template that puts the system message, `s`, into the first user message, or the last one.
  private static func leading(
    system: String, user: String, answer: String, opening: String = "", isLast: Bool = false
  ) -> String {
    let place = isLast ? "messages | selectattr('role', 'equalto', 'user') | list | length" : "1"
    return "{%- set ns = namespace(count=0) %}{%- set s = '' %}"
      + "{%- if messages[0].role == 'system' %}{%- set s = messages[0].content %}"
      + "{%- set s = \(system) %}{%- endif %}{%- set told = s %}{%- set place = \(place) %}"
      + "{%- for message in messages %}{%- set c = message.content %}"
      + "{%- if message.role == 'user' %}{%- set ns.count = ns.count + 1 %}"
      + "{%- set s = told if ns.count == place else '' %}{{- \(user) }}"
      + "{%- elif message.role == 'assistant' %}{{- \(answer) }}{%- endif %}{%- endfor %}"
      + "{%- if add_generation_prompt %}{{- '\(opening)' }}{%- endif %}"
  }
}
