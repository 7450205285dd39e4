extension ConversationTemplate {
  /// Chat templates that many models share, by family.
  static let chat: [ConversationTemplate] = [
    chatML("chatml", system: ""),
    chatML(
      "smollm2", system: "You are a helpful AI assistant named SmolLM, trained by Hugging Face"),
    chatML("qwen2", system: "You are a helpful assistant."),
    chatML(
      "qwen2.5", system: "You are Qwen, created by Alibaba Cloud. You are a helpful assistant."),
    chatML("qwq", system: "", thinks: true),
    blocks(
      "llama-2-chat",
      Blocks(
        systemPrefix: "<<SYS>>\n", systemSuffix: "\n<</SYS>>\n\n", systemPlace: .firstQuestion,
        userPrefix: "<s>[INST] ",
        userSuffix: " [/INST]", answerPrefix: " ", assistantSuffix: " </s>", trims: true)),
    // By the tokenizers of Mistral's releases: before them all, then v1, v3 and v7.
    blocks(
      "mistral",
      Blocks(
        systemSuffix: "\n\n", systemPlace: .firstQuestion, userPrefix: "[INST] ",
        userSuffix: " [/INST]", assistantSuffix: "</s>")),
    blocks(
      "mistral-v1",
      Blocks(
        systemSuffix: "\n\n", systemPlace: .firstQuestion, userPrefix: " [INST] ",
        userSuffix: " [/INST]", answerPrefix: " ", assistantSuffix: "</s>")),
    blocks(
      "mistral-v3",
      Blocks(
        systemSuffix: "\n\n", systemPlace: .lastQuestion, userPrefix: "[INST] ",
        userSuffix: "[/INST]", answerPrefix: " ", assistantSuffix: "</s>", trimsAnswers: true)),
    blocks(
      "mistral-v3-tekken",
      Blocks(
        systemSuffix: "\n\n", systemPlace: .lastQuestion, userPrefix: "[INST]",
        userSuffix: "[/INST]", assistantSuffix: "</s>")),
    blocks(
      "mistral-v7",
      Blocks(
        systemPrefix: "[SYSTEM_PROMPT] ", systemSuffix: "[/SYSTEM_PROMPT]", userPrefix: "[INST] ",
        userSuffix: "[/INST]", answerPrefix: " ", assistantSuffix: "</s>")),
    blocks(
      "mistral-v7-tekken",
      Blocks(
        systemPrefix: "[SYSTEM_PROMPT]", systemSuffix: "[/SYSTEM_PROMPT]", userPrefix: "[INST]",
        userSuffix: "[/INST]", assistantSuffix: "</s>")),
    blocks(
      "zephyr",
      Blocks(
        systemPrefix: "<|system|>\n", systemSuffix: "</s>\n", userPrefix: "<|user|>\n",
        userSuffix: "</s>\n", assistantPrefix: "<|assistant|>\n", assistantSuffix: "</s>\n")),
    llama3("llama-3", systemPlace: .ownBlock),
    // The date is the one that the template has for programs that tell it none.
    llama3(
      "llama-3.1", systemPlace: .alwaysOwnBlock,
      head: "Cutting Knowledge Date: December 2023\nToday Date: 26 Jul 2024\n\n"),
    blocks(
      "gemma",
      Blocks(
        systemSuffix: "\n\n", systemPlace: .firstQuestion, userPrefix: "<start_of_turn>user\n",
        userSuffix: "<end_of_turn>\n", assistantPrefix: "<start_of_turn>model\n",
        assistantSuffix: "<end_of_turn>\n", trims: true),
      stop: "<end_of_turn>"),
    blocks(
      "phi-3",
      Blocks(
        systemPrefix: "<|system|>\n", systemSuffix: "<|end|>\n", userPrefix: "<|user|>\n",
        userSuffix: "<|end|>\n", assistantPrefix: "<|assistant|>\n", assistantSuffix: "<|end|>\n"),
      stop: "<|end|>"),
    blocks(
      "deepseek-r1",
      Blocks(
        userPrefix: "<\u{ff5c}User\u{ff5c}>", assistantPrefix: "<\u{ff5c}Assistant\u{ff5c}>",
        answerOpening: "<think>\n",
        assistantSuffix: "<\u{ff5c}end\u{2581}of\u{2581}sentence\u{ff5c}>",
        thoughtsEnd: "</think>")),
    blocks(
      "vicuna-lines",
      Blocks(
        systemSuffix: "\n\n", userPrefix: "USER: ", userSuffix: "\n", assistantPrefix: "ASSISTANT:",
        answerPrefix: " ", assistantSuffix: "</s>\n"), stop: "</s>"),
    blocks(
      "orca-vicuna",
      Blocks(
        systemPrefix: "SYSTEM: ", systemSuffix: "\n", userPrefix: "USER: ", userSuffix: "\n",
        assistantPrefix: "ASSISTANT:", answerPrefix: " ", assistantSuffix: "</s>\n"), stop: "</s>"),
  ]

  private static func llama3(
    _ name: String, systemPlace: Blocks.SystemPlace, head: String = ""
  ) -> ConversationTemplate {
    func header(_ role: String) -> String { "<|start_header_id|>\(role)<|end_header_id|>\n\n" }
    return blocks(
      name,
      Blocks(
        systemPrefix: header("system") + head, systemSuffix: "<|eot_id|>", systemPlace: systemPlace,
        userPrefix: header("user"), userSuffix: "<|eot_id|>",
        assistantPrefix: header("assistant"), assistantSuffix: "<|eot_id|>", trims: true),
      stop: "<|eot_id|>")
  }

  private static func blocks(
    _ name: String, _ blocks: Blocks, system: String = "", stop: String? = nil
  ) -> ConversationTemplate {
    ConversationTemplate(name: name, style: .blocks(blocks), system: system, stop: stop)
  }

  /// - Parameter thinks: answers begin with what the model thinks.
  private static func chatML(
    _ name: String, system: String, thinks: Bool = false
  ) -> ConversationTemplate {
    blocks(
      name,
      Blocks(
        systemPrefix: "<|im_start|>system\n", systemSuffix: "<|im_end|>\n",
        userPrefix: "<|im_start|>user\n", userSuffix: "<|im_end|>\n",
        assistantPrefix: "<|im_start|>assistant\n", answerOpening: thinks ? "<think>\n" : "",
        assistantSuffix: "<|im_end|>\n", thoughtsEnd: thinks ? "</think>\n\n" : ""),
      system: system, stop: "<|im_end|>")
  }

  /// The family of a Jinja chat template, told by what its text holds; nil where none fits.
  ///
  /// Templates are programs and are not run. What is recognised are the marks and the default
  /// system message; a template that does more with the same marks is taken for the plain one.
  package static func recognise(chatTemplate text: String) -> ConversationTemplate? {
    func has(_ parts: String...) -> Bool { parts.contains { text.contains($0) } }
    // Marks that others have too, between other things.
    if has("<|im_sep|>", "[gMASK]") { return nil }
    if has("<|im_start|>") {
      guard !has("<tool_call>") || has("add_generation_prompt") else { return nil }
      if has("<|im_start|>assistant\\n<think>\\n") { return named("qwq") }
      guard let system = defaultSystem(text) else { return named("chatml") }
      return chat.first { $0.system == system } ?? chatML("chatml", system: system)
    }
    if has("<|start_header_id|>") {
      return named(has("Cutting Knowledge Date: December 2023") ? "llama-3.1" : "llama-3")
    }
    if has("<start_of_turn>") { return named("gemma") }
    if has("<\u{ff5c}User\u{ff5c}>") {
      return has("<\u{ff5c}Assistant\u{ff5c}><think>\\n") ? named("deepseek-r1") : nil
    }
    if has("[INST]") {
      if has("<<SYS>>") { return named("llama-2-chat") }
      let isTekken = !has("[INST] ")
      if has("[SYSTEM_PROMPT]") { return named(isTekken ? "mistral-v7-tekken" : "mistral-v7") }
      if !has(" [/INST]") { return named(isTekken ? "mistral-v3-tekken" : "mistral-v3") }
      return named(has(" [INST] ") ? "mistral-v1" : "mistral")
    }
    if has("<|user|>"), has("<|assistant|>") { return named(has("<|end|>") ? "phi-3" : "zephyr") }
    if has("USER:"), has("ASSISTANT:") {
      if has("SYSTEM: ") { return named("orca-vicuna") }
      let hasLines = ["\n", "\\n"].contains { has("'USER: ' + message['content'] + '\($0)'") }
      return named(hasLines ? "vicuna-lines" : "vicuna_v1")
    }
    return nil
  }

  /// The system message that a ChatML template writes when there is none, if it names one.
  private static func defaultSystem(_ text: String) -> String? {
    for opening in ["<|im_start|>system\\n", "<|im_start|>system\n"] {
      var rest = text[...]
      while let start = rest.firstRange(of: opening) {
        rest = rest[start.upperBound...]
        guard let end = rest.firstRange(of: "<|im_end|>") else { break }
        let system = rest[..<end.lowerBound]
        // A message in the template is plain text; one that it puts together is not.
        if !system.isEmpty, !system.contains(where: { "{'\"".contains($0) }) {
          return String(system)
        }
      }
    }
    return nil
  }
}

extension StringProtocol {
  /// Where `part` first stands, byte for byte.
  func firstRange(of part: String) -> Range<String.Index>? {
    let (text, part) = (utf8, Array(part.utf8))
    guard part.count <= text.count else { return nil }
    var start = text.startIndex
    while let end = text.index(start, offsetBy: part.count, limitedBy: text.endIndex) {
      if text[start..<end].elementsEqual(part) { return start..<end }
      start = text.index(after: start)
    }
    return nil
  }
}
