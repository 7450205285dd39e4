extension ConversationTemplate {
  /// A mode of LLaVA's `conv_templates` by its name there; nil if unknown.
  ///
  /// The strings are exactly those of training. Where ConvLLaVA and LLaVA-HR differ, LLaVA-HR's
  /// wrapping of an empty system message is called `llama_2_hr`.
  package static func named(_ name: String) -> ConversationTemplate? {
    llava.first { $0.name == name }
  }

  /// The names that `named` accepts.
  package static var names: [String] { llava.map(\.name) }

  /// The mode of LLaVA-1.5, ConvLLaVA and LLaVA-HR.
  package static let vicuna = ConversationTemplate(
    name: "vicuna_v1", style: .two(separator: " ", end: "</s>"), system: user, userRole: "USER",
    assistantRole: "ASSISTANT", stop: "</s>")

  static let llava: [ConversationTemplate] = [
    vicuna, vicuna.renamed("v1"), oneExample.renamed("v0"), oneExample.renamed("default"),
    two("llava_v1", human), two("v1_mmtag", tagged), single("llava_v0", human),
    single("v0_mmtag", tagged), plain("plain"), plain("v0_plain"),
    llama2("llama_2", cautious), llama2("llava_llama_2", visual),
    llama2("llama_2_hr", cautious, alwaysWraps: true),
    llama2("siyuan", siyuan, alwaysWraps: true),
    ConversationTemplate(
      name: "mpt", style: .marked(systemRole: "<|im_start|>system\n", separator: "<|im_end|>"),
      system: """
        A conversation between a user and an LLM-based AI assistant. The assistant gives helpful \
        and honest answers.
        """,
      userRole: "<|im_start|>user\n", assistantRole: "<|im_start|>assistant\n",
      stop: "<|im_end|>"),
  ]

  /// The same mode with another default system message.
  package func with(system: String) -> ConversationTemplate {
    ConversationTemplate(
      name: name, style: style, system: system, userRole: userRole, assistantRole: assistantRole,
      examples: examples, stop: stop)
  }

  private func renamed(_ name: String) -> ConversationTemplate {
    ConversationTemplate(
      name: name, style: style, system: system, userRole: userRole, assistantRole: assistantRole,
      examples: examples, stop: stop)
  }

  private static func two(_ name: String, _ system: String) -> ConversationTemplate {
    ConversationTemplate(
      name: name, style: .two(separator: " ", end: "</s>"), system: system, userRole: "USER",
      assistantRole: "ASSISTANT", stop: "</s>")
  }

  private static func single(
    _ name: String, _ system: String, examples: [Turn] = []
  ) -> ConversationTemplate {
    ConversationTemplate(
      name: name, style: .single(separator: "###"), system: system, userRole: "Human",
      assistantRole: "Assistant", examples: examples, stop: "###")
  }

  private static func plain(_ name: String) -> ConversationTemplate {
    ConversationTemplate(name: name, style: .plain(separator: "\n"), system: "", stop: "\n")
  }

  private static func llama2(
    _ name: String, _ system: String, alwaysWraps: Bool = false
  ) -> ConversationTemplate {
    ConversationTemplate(
      name: name,
      style: .llama2(begin: "<s>", end: "</s>", alwaysWrapsSystem: alwaysWraps), system: system,
      userRole: "USER", assistantRole: "ASSISTANT", stop: "<s>")
  }

  // MARK: System messages

  private static let user = """
    A chat between a curious user and an artificial intelligence assistant. The assistant \
    gives helpful, detailed, and polite answers to the user's questions.
    """

  private static let human = """
    A chat between a curious human and an artificial intelligence assistant. The assistant \
    gives helpful, detailed, and polite answers to the human's questions.
    """

  private static let tagged = """
    A chat between a curious user and an artificial intelligence assistant. The assistant \
    is able to understand the visual content that the user provides, and assist the user \
    with a variety of tasks using natural language.The visual content will be provided with \
    the following format: <Image>visual content</Image>.
    """

  private static let visual = """
    You are a helpful language and vision assistant. You are able to understand the visual \
    content that the user provides, and assist the user with a variety of tasks using \
    natural language.
    """

  private static let cautious = """
    You are a helpful, respectful and honest assistant. Always answer as helpfully as \
    possible, while being safe.  Your answers should not include any harmful, unethical, \
    racist, sexist, toxic, dangerous, or illegal content. Please ensure that your responses \
    are socially unbiased and positive in nature.\n\nIf a question does not make any sense, \
    or is not factually coherent, explain why instead of answering something not correct. \
    If you don't know the answer to a question, please don't share false information.
    """

  private static let siyuan = """
    你是思源，\
    一个由厦门大学、北京大学深圳研究生院、合肥综合性国家科学中心人工智能研究院（安徽省人工智能实验室）、安徽淘云科技股份有限公司合作研发的人工智能助手。\
    在保证安全的前提下，回答问题要尽可能有帮助。\
    你的答案不应该包含任何有害的、不道德的、种族主义的、性别歧视的、有毒的、危险的或非法的内容。\
    请确保你的回答在社会上是公正和积极的。如果一个问题没有任何意义，或者与事实不一致，\
    解释为什么，而不是回答不正确的问题。如果你不知道问题的答案，请不要分享虚假信息。
    """

  // MARK: The example that v0 begins with

  private static let oneExample = single(
    "v0", human,
    examples: [Turn(.user, exampleQuestion), Turn(.assistant, exampleAnswer)])

  private static let exampleQuestion = """
    What are the key differences between renewable and non-renewable energy sources?
    """

  private static let exampleAnswer = """
    Renewable energy sources are those that can be replenished naturally in a relatively \
    short amount of time, such as solar, wind, hydro, geothermal, and biomass. \
    Non-renewable energy sources, on the other hand, are finite and will eventually be \
    depleted, such as coal, oil, and natural gas. Here are some key differences between \
    renewable and non-renewable energy sources:\n1. Availability: Renewable energy sources \
    are virtually inexhaustible, while non-renewable energy sources are finite and will \
    eventually run out.\n2. Environmental impact: Renewable energy sources have a much \
    lower environmental impact than non-renewable sources, which can lead to air and water \
    pollution, greenhouse gas emissions, and other negative effects.\n3. Cost: Renewable \
    energy sources can be more expensive to initially set up, but they typically have lower \
    operational costs than non-renewable sources.\n4. Reliability: Renewable energy sources \
    are often more reliable and can be used in more remote locations than non-renewable \
    sources.\n5. Flexibility: Renewable energy sources are often more flexible and can be \
    adapted to different situations and needs, while non-renewable sources are more rigid \
    and inflexible.\n6. Sustainability: Renewable energy sources are more sustainable over \
    the long term, while non-renewable sources are not, and their depletion can lead to \
    economic and social instability.\n
    """
}
