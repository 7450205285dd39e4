import ArgumentParser
import VLMCommandLine
import VLMFoundation
import VLMImages
import VLMModels
import VLMTensor
import VLMText
import VLMZ

/// What is asked of a model that answers, and how it chooses its words.
struct ConversationOptions: ParsableArguments {
  // A text may begin with a dash.
  @Option(
    name: .shortAndLong, parsing: .unconditional,
    help: ArgumentHelp(
      "The question or text; '-' reads it from standard input.", valueName: "text"),
    transform: \.repairedText)
  var prompt: String?

  @Flag(help: "Talk: a question a line, until /quit or Ctrl-D. Ctrl-C ends an answer.")
  var chat = false

  @Flag(
    help: """
      Ask the question of each picture by itself, with the model in memory once; one that cannot be \
      read does not end it.
      """)
  var each = false

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "The pictures are frames of a film, so many a second: files, those in folders, one animated GIF, "
        + "or a stream of pictures on standard input. For models that were trained on films.",
      valueName: "rate"))
  var fps: Double?

  // A number may be below 0, which is said as such. What has no effect on a model is told, so it is
  // known of every option whether it was given.
  @Option(
    name: [.customShort("n"), .long], parsing: .unconditional,
    help: "Tokens of an answer at most; default: 512.")
  var maxTokens: Int?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp("0 takes the most probable token, always.", valueName: "t"))
  var temp: Double?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp("Choose among so many tokens; 0 for all.", valueName: "k"))
  var topK: Int?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp("Choose among the likeliest that sum to this.", valueName: "p"))
  var topP: Double?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp("Choose among those with this share of the likeliest's.", valueName: "p"))
  var minP: Double?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp("Above 1: tokens come again less readily.", valueName: "factor"))
  var repeatPenalty: Double?

  @Option(help: "The same number gives the same text; default: 0.")
  var seed: UInt64?

  @Option(
    parsing: .unconditionalSingleValue,
    help: ArgumentHelp("A text that ends an answer; may be given again.", valueName: "text"),
    transform: \.repairedText)
  var stop: [String] = []

  @Option(
    name: [.customLong("answer-begins"), .customLong("prefill-response")],
    parsing: .unconditional,
    help: ArgumentHelp(
      "The beginning of each answer, which goes on behind it; what follows is printed.",
      valueName: "text"),
    transform: \.repairedText)
  var answerBegins: String?

  @Option(
    help: ArgumentHelp(
      "Answer with JSON that is valid for this JSON Schema: a file, or the schema itself.",
      valueName: "file|json"))
  var schema: String?

  @Option(
    help: ArgumentHelp("Answer with a text of this grammar in GBNF.", valueName: "file"))
  var grammar: String?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp("What the model is told first.", valueName: "text"),
    transform: \.repairedText)
  var system: String?

  @Option(
    help: ArgumentHelp(
      "The frame around questions: one of the file's, such as 'default', vicuna_v1, chatml …, or a "
        + ".jinja file, or JSON with one; 'none' continues the text as it stands.",
      valueName: "name"))
  var template: String?

  @Option(
    name: .customLong("template-args"),
    help: ArgumentHelp(
      "Variables for the chat template, such as '{\"enable_thinking\": false}'.", valueName: "json")
  )
  var templateArguments: String?

  @Flag(
    inversion: .prefixedNo, exclusivity: .exclusive,
    help: """
      Whether special tokens spelled in prompts and questions are such; default: in a text that is \
      continued as it stands, not in what a template frames.
      """)
  var special: Bool?

  @Option(
    help: ArgumentHelp(
      "Keys and values as f32, f16, q8 or bf16; default: f16.", valueName: "format"))
  var kv: KeyValueFormat?

  @Option(
    help: ArgumentHelp(
      "Positions of a conversation; default: the model's, 4096 at most.", valueName: "n"))
  var ctx: Int?

  @Option(parsing: .unconditional, help: SpeculationOption.help)
  var speculate: SpeculationOption?

  @Flag(help: "Pictures in their own proportions, for towers that take them.")
  var keepAspect = false

  func validate() throws {
    if let maxTokens, maxTokens < 1 {
      throw ValidationError("--max-tokens: found \(maxTokens), expected 1 or more")
    }
    guard prompt == nil || !chat else {
      throw ValidationError("--prompt and --chat exclude each other")
    }
    guard !each || prompt != nil else {
      throw ValidationError("--each: expected the question, -p TEXT, that is asked of each picture")
    }
    guard schema == nil || grammar == nil else {
      throw ValidationError("--schema and --grammar exclude each other")
    }
    if let ctx, !(1...BatchEngineOptions.maximumContext).contains(ctx) {
      throw ValidationError(
        "--ctx: found \(ctx), expected 1 to \(BatchEngineOptions.maximumContext)")
    }
    guard !stop.contains("") else {
      throw ValidationError("--stop: found an empty text, expected one that ends an answer")
    }
    _ = try arguments()
  }

  /// `--template-args` as variables.
  func arguments() throws(ValidationError) -> JSONObject {
    guard let text = templateArguments else { return JSONObject() }
    guard let object = (try? JSONValue.parse(Array(text.utf8)))?.objectValue else {
      throw ValidationError(
        "--template-args: found '\(text.escapedForDisplay(limit: 60))', expected a JSON object")
    }
    for name in ["messages", "add_generation_prompt"] where object[name] != nil {
      throw ValidationError(
        "--template-args: found '\(name)', expected variables beside the conversation")
    }
    return object
  }

  /// Those that were given.
  var given: [String] {
    ([("--prompt", prompt != nil), ("--chat", chat), ("--each", each)] as [(String, Bool)])
      .filter(\.1).map(\.0) + givenOfAnswers + givenOfPictures
  }

  /// Those among them that are about how an answer is made.
  var givenOfAnswers: [String] {
    let options: [(String, Bool)] = [
      ("--max-tokens", maxTokens != nil), ("--temp", temp != nil), ("--top-k", topK != nil),
      ("--top-p", topP != nil), ("--min-p", minP != nil),
      ("--repeat-penalty", repeatPenalty != nil), ("--seed", seed != nil),
      ("--stop", !stop.isEmpty), ("--answer-begins", answerBegins != nil),
      ("--schema", schema != nil), ("--grammar", grammar != nil),
      ("--system", system != nil), ("--template", template != nil),
      ("--template-args", templateArguments != nil),
      (special == false ? "--no-special" : "--special", special != nil), ("--kv", kv != nil),
      ("--ctx", ctx != nil), ("--speculate", speculate != nil),
    ]
    return options.filter(\.1).map(\.0)
  }

  /// Those that are about pictures.
  var givenOfPictures: [String] {
    [("--keep-aspect", keepAspect), ("--fps", fps != nil)].filter(\.1).map(\.0)
  }

  /// Tokens of an answer at most.
  var answerLength: Int { maxTokens ?? 512 }

  /// The options given that do nothing as the most probable token is always taken.
  func idleOptions(_ defaults: GenerationDefaults) -> [String] {
    guard generation(defaults).sampling.temperature == 0 else { return [] }
    return [("--top-k", topK != nil), ("--top-p", topP != nil), ("--min-p", minP != nil)]
      .filter { $0.1 }.map { $0.0 }
  }

  /// The user's options, and the model's defaults where there are none.
  func generation(_ defaults: GenerationDefaults) -> GenerationOptions {
    AnswerOptions(
      maximumTokens: answerLength, temperature: temp, topK: topK, topP: topP, minP: minP,
      repeatPenalty: repeatPenalty, seed: seed ?? 0, stopStrings: stop,
      speculatedTokens: speculate?.tokens ?? Speculation.usualTokens
    ).generation(defaults)
  }
}

extension KeyValueFormat: ExpressibleByArgument {}
