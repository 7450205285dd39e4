extension ConversationTemplate {
  /// Chat templates that many models share, by family.
  static let chat: [ConversationTemplate] = [
    chatML("chatml", system: ""),
    chatML(
      "smollm2", system: "You are a helpful AI assistant named SmolLM, trained by Hugging Face"),
    chatML("qwen2", system: "You are a helpful assistant."),
    chatML(
      "qwen2.5", system: "You are Qwen, created by Alibaba Cloud. You are a helpful assistant."),
    blocks(
      "llama-2-chat",
      Blocks(
        systemPrefix: "<<SYS>>\n", systemSuffix: "\n<</SYS>>\n\n", userPrefix: "<s>[INST] ",
        userSuffix: " [/INST]", assistantPrefix: " ", assistantSuffix: " </s>",
        systemInFirstQuestion: true, trims: true)),
    blocks(
      "mistral",
      Blocks(
        systemSuffix: "\n\n", userPrefix: "[INST] ", userSuffix: " [/INST]",
        assistantPrefix: "", assistantSuffix: "</s>", systemInFirstQuestion: true)),
    blocks(
      "zephyr",
      Blocks(
        systemPrefix: "<|system|>\n", systemSuffix: "</s>\n", userPrefix: "<|user|>\n",
        userSuffix: "</s>\n", assistantPrefix: "<|assistant|>\n", assistantSuffix: "</s>\n")),
    blocks(
      "llama-3",
      Blocks(
        systemPrefix: "<|start_header_id|>system<|end_header_id|>\n\n", systemSuffix: "<|eot_id|>",
        userPrefix: "<|start_header_id|>user<|end_header_id|>\n\n", userSuffix: "<|eot_id|>",
        assistantPrefix: "<|start_header_id|>assistant<|end_header_id|>\n\n",
        assistantSuffix: "<|eot_id|>", trims: true), stop: "<|eot_id|>"),
    blocks(
      "gemma",
      Blocks(
        systemSuffix: "\n\n", userPrefix: "<start_of_turn>user\n",
        userSuffix: "<end_of_turn>\n", assistantPrefix: "<start_of_turn>model\n",
        assistantSuffix: "<end_of_turn>\n", systemInFirstQuestion: true, trims: true),
      stop: "<end_of_turn>"),
    blocks(
      "phi-3",
      Blocks(
        systemPrefix: "<|system|>\n", systemSuffix: "<|end|>\n", userPrefix: "<|user|>\n",
        userSuffix: "<|end|>\n", assistantPrefix: "<|assistant|>\n", assistantSuffix: "<|end|>\n"),
      stop: "<|end|>"),
  ]

  private static func blocks(
    _ name: String, _ blocks: Blocks, system: String = "", stop: String? = nil
  ) -> ConversationTemplate {
    ConversationTemplate(name: name, style: .blocks(blocks), system: system, stop: stop)
  }

  private static func chatML(_ name: String, system: String) -> ConversationTemplate {
    blocks(
      name,
      Blocks(
        systemPrefix: "<|im_start|>system\n", systemSuffix: "<|im_end|>\n",
        userPrefix: "<|im_start|>user\n", userSuffix: "<|im_end|>\n",
        assistantPrefix: "<|im_start|>assistant\n", assistantSuffix: "<|im_end|>\n"),
      system: system, stop: "<|im_end|>")
  }

  /// The family of a Jinja chat template, told by what its text holds; nil where none fits.
  ///
  /// Templates are programs and are not run. What is recognised are the marks and the default
  /// system message; a template that does more with the same marks is taken for the plain one.
  package static func recognise(chatTemplate text: String) -> ConversationTemplate? {
    func has(_ part: String) -> Bool { text.contains(part) }
    if has("<|im_start|>") {
      guard !has("<tool_call>") || has("add_generation_prompt") else { return nil }
      let known = chat.filter { !$0.system.isEmpty }.first { has($0.system) }
      if let known { return known }
      return defaultSystem(text).map { chatML("chatml", system: $0) } ?? named("chatml")
    }
    if has("<|start_header_id|>") { return named("llama-3") }
    if has("<start_of_turn>") { return named("gemma") }
    if has("[INST]") { return named(has("<<SYS>>") ? "llama-2-chat" : "mistral") }
    if has("<|user|>"), has("<|assistant|>") { return named(has("<|end|>") ? "phi-3" : "zephyr") }
    if has("USER:"), has("ASSISTANT:") { return named("vicuna_v1") }
    return nil
  }

  /// The system message that a ChatML template writes when there is none, if it names one.
  private static func defaultSystem(_ text: String) -> String? {
    for opening in ["<|im_start|>system\\n", "<|im_start|>system\n"] {
      guard let start = text.firstRange(of: opening),
        let end = text[start.upperBound...].firstRange(of: "<|im_end|>")
      else { continue }
      let system = text[start.upperBound..<end.lowerBound]
      // A message in the template is plain text; one that it puts together is not.
      if !system.contains("{") && !system.contains("'"), !system.isEmpty { return String(system) }
    }
    return nil
  }
}

extension StringProtocol {
  /// Where `part` first stands, byte for byte.
  fileprivate func firstRange(of part: String) -> Range<String.Index>? {
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
