import VLMFoundation

extension TokenizerGGUF {
  /// The pre-tokenization for each value of `tokenizer.ggml.pre`, as in llama.cpp.
  func readWords(
    _ parts: inout TokenizerParts, _ notes: inout [Note]
  ) throws(TextError) {
    // For LLaMA 3 and Mistral Nemo if the file does not state it.
    let addsBOS: TokenizerParts.Flags = value("add_bos_token") == nil ? .addsBOS : []
    switch value("pre")?.stringValue {
    case "gpt-2", "gpt2", "olmo", "mpt", "phi-2", "roberta-bpe", "jais", "trillion",
      "granite-docling", "a.x-4.0", "mellum", "exaone4", "modern-bert", "gigachat":
      parts.steps = [.pattern(.gpt2)]
    case "smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b",
      "mellum2":
      parts.steps = [.singleDigits, .pattern(.gpt2)]
    case "llama-bpe", "llama3", "llama-v3", "falcon3", "falcon-h1", "dbrx", "smaug-bpe", "pixtral",
      "midm-2.0", "lfm2":
      parts.steps = [.pattern(.llama3)]
      parts.flags.formUnion([.ignoresMerges, addsBOS])
    case "chatglm-bpe", "glm4": parts.steps = [.pattern(.llama3)]
    case "qwen2":
      // A setting of its tokenizer.json that GGUF has no key for.
      parts.normalizations = [.composed]
      parts.steps = [.pattern(.qwen2)]
    case "deepseek-r1-qwen", "stablelm2", "megrez", "hunyuan", "solar-open", "grok-2":
      parts.steps = [.pattern(.qwen2)]
    case "tekken":
      parts.steps = try expressions([Self.tekken])
      parts.flags.formUnion([.ignoresMerges, addsBOS])
    case "gpt-4o", "llama4", "kanana2", "talkie", "minimax-m2":
      parts.steps = try expressions([Self.gpt4o])
    case "deepseek-v3", "hunyuan-dense", "joyai-llm", "hy_v4":
      parts.steps = try expressions(Self.deepSeekV3)
    case "deepseek-llm": parts.steps = try expressions(Self.deepSeekLLM)
    case "deepseek-coder":
      parts.steps = try expressions([
        #"[\r\n]"#, #"\s?\p{L}+"#, #"\s?\p{P}+"#, "[一-龥ࠀ-一가-퟿]+", #"\p{N}"#,
      ])
    case "bailingmoe", "bailingmoe2", "llada-moe":
      parts.steps = try expressions([
        #"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|"#
          + #"\s+(?!\S)|\s+"#
      ])
    case "falcon":
      parts.steps = try expressions([#"[\p{P}\$\+<=>\^~\|`]+"#])
      parts.steps += [.pattern(.gpt2)]
      parts.steps += try expressions(["[0-9][0-9][0-9]"])
    case "bloom", "poro-chat", "gpt3-finnish":
      parts.steps = try expressions([Self.bloom])
    case "viking": parts.steps = try expressions([Self.bloom, #"\p{N}"#])
    case "superbpe": parts.steps = try expressions([#"\p{N}+"#, #"(?=(\d{3})+(?!\d))"#])
    case nil, "default":
      parts.steps = try expressions([#"[\p{P}\$\+<=>\^~\|]+"#])
      parts.steps += [.pattern(.gpt2), .digitRuns]
      parts.steps += try expressions(["[0-9][0-9][0-9]"])
      notes.append(
        "the file does not say how its tokenizer cuts text into words (tokenizer.ggml.pre); "
          + "taken as llama.cpp's default")
    case let pre?:
      throw TextError(
        file: file, place: "tokenizer.ggml.pre", .unsupported("pre-tokenizer '\(pre)'"))
    }
  }

  private func expressions(_ sources: [String]) throws(TextError) -> [PreTokenizer.Step] {
    var steps: [PreTokenizer.Step] = []
    for source in sources {
      do throws(ExpressionProblem) {
        steps.append(.expression(try SplitExpression(source)))
      } catch {
        throw TextError(file: file, place: "tokenizer.ggml.pre", .unsupported(error.text))
      }
    }
    return steps
  }

  private static let spaces = #"\s*[\r\n]+|\s+(?!\S)|\s+"#
  private static let upper = #"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]"#
  private static let lower = #"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"#
  private static let head = #"[^\r\n\p{L}\p{N}]?"#

  private static let tekken =
    "\(head)\(upper)*\(lower)+|\(head)\(upper)+\(lower)*"
    + #"|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|"# + spaces

  private static let contraction = "(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
  private static let gpt4o =
    "\(head)\(upper)*\(lower)+\(contraction)|\(head)\(upper)+\(lower)*\(contraction)"
    + #"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|"# + spaces

  private static let deepSeekV3 = [
    #"\p{N}{1,3}"#, "[一-龥぀-ゟ゠-ヿ]+",
    ##"[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|"##
      + spaces,
  ]

  /// The letters of cased scripts.
  private static let deepSeekLLM = [
    #"[\r\n]"#,
    #"\s?[A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-ՖႠ-ჅᎠ-Ᏽᏸ-ᏽᲐ-ᲺᲽ-Ჿᴀ-ᴫᵫ-ᵷᵹ-ᶚ"#
      + "Ḁ-ἕἘ-Ἕἠ-ὅὈ-Ὅὐ-ὗὙὛὝὟ-ώᾀ-ᾴᾶ-ᾼ\u{1fbe}ῂ-ῄῆ-ῌῐ-ΐῖ-Ίῠ-Ῥῲ-ῴῶ-ῼℂℇℊ-ℓℕℙ-ℝℤ\u{2126}ℨ\u{212a}-ℭℯ-ℴℹℼ-ℿⅅ-ⅉⅎ"
      + "ↃↄⰀ-ⱻⱾ-ⳤⳫ-ⳮⳲⳳꙀ-ꙭꚀ-ꚛꜢ-ꝯꝱ-ꞇꞋ-ꞎꭰ-ꮿﬀ-ﬆﬓ-ﬗＡ-Ｚａ-ｚ𐐀-𐑏𐒰-𐓓𐓘-𐓻𐲀-𐲲𐳀-𐳲𑢠-𑣟𞤀-𞥃]+",
    #"\s?[!-/:-~！-／：-～‘-‟　-。]+"#, #"\s+$"#, "[一-龥ࠀ-一가-퟿]+", #"\p{N}+"#,
  ]

  private static let bloom = #" ?[^(\s|.,!?…。，、।۔،)]+"#
}
