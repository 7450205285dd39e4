import VLMFoundation
import VLMModels
import VLMTensor
import VLMText
import VLMZ

/// Makes the sequences that a language model is calibrated on, of what there is.
struct LanguageData {
  private let model: Model
  private let language: LanguageModel
  private let tokenizer: Tokenizer
  private let template: (any PromptTemplate)?
  private let sightPool: WorkerPool
  private let cancelled: CancellationFlag?

  /// Positions of a window of text.
  static let window = 512
  /// Positions of the longest conversation.
  private static let longest = 2048
  /// Fewer tokens say little of thousands of inputs.
  static let fewestTokens = 256
  /// Tokens of an answer that the model writes about a picture, and to a question.
  private static let pictureAnswer = 48
  private static let textAnswer = 192

  /// - Parameters:
  ///   - model: writes answers where there are none; not while it is observed.
  ///   - sightPool: threads for its tower.
  init(
    _ model: Model, _ language: LanguageModel, sightPool: WorkerPool, cancelled: CancellationFlag?
  ) throws {
    self.model = model
    self.language = language
    self.sightPool = sightPool
    self.cancelled = cancelled
    guard let tokenizer = language.tokenizer else {
      throw GenerationError(file: model.path, .noTokenizer)
    }
    self.tokenizer = tokenizer
    template = try TemplateChoice(model, language, arguments: JSONObject()).own().template
  }

  private var seesPictures: Bool { language.pictures != nil }
  private var context: Int { min(language.layers.config.contextLength, Self.longest) }

  /// About `count` tokens; the model writes what is lacking.
  ///
  /// - Parameter step: called with the tokens so far while the model writes.
  /// - Throws: `CalibrationError` for too few.
  func sequences(
    _ data: CalibrationData, count: Int, step: (Int) -> Void
  ) throws -> [TokenSequence] {
    var data = data
    // A model that sees nothing cannot make sense of what is said about pictures.
    if !seesPictures { data.dialogues.removeAll { !$0.pictures.isEmpty } }
    let pictured = data.dialogues.filter { !$0.pictures.isEmpty }
    if seesPictures, pictured.isEmpty, data.pictures.isEmpty {
      data.pictures = (0...count / fewestTokensOfPicture).map { .drawn($0) }
    }
    var sequences = try asked(data, count: count)
    if seesPictures {
      // Pictures without words, where no conversation has any.
      if pictured.isEmpty {
        sequences = try share(
          [sequences, try told(data.pictures, count: sequences.isEmpty ? count : count / 2, step)],
          count: count)
      }
    } else if sequences.isEmpty {
      sequences = try written(count: count, step)
    }
    let total = sequences.reduce(0) { $0 + positions($1) }
    let fewest = min(count, Self.fewestTokens)
    guard total >= fewest else {
      throw CalibrationError(path: model.path, .tooFewTokens(found: total, expected: fewest))
    }
    return sequences
  }

  /// Visual tokens of a picture, about, where its size does not decide.
  private var visualTokens: Int {
    guard let side = language.preprocessing?.resolution,
      let grid = try? language.pictures?.config.tower.grid(height: side, width: side)
    else { return 576 }
    return max(1, grid.count)
  }

  /// Of a picture with a question and a short answer.
  private var fewestTokensOfPicture: Int { visualTokens + 40 }

  func positions(_ sequence: TokenSequence) -> Int {
    sequence.positions(visual: sequence.pictures.isEmpty ? 0 : visualTokens)
  }

  // MARK: - Of what the user gave

  /// Texts and conversations.
  private func asked(_ data: CalibrationData, count: Int) throws -> [TokenSequence] {
    let encoder = DialogueEncoder(
      tokenizer: tokenizer, template: template, seesPictures: seesPictures)
    let dialogues = try data.dialogues.compactMap { dialogue in
      try encoder.sequence(dialogue).cut(to: context, visual: visualTokens)
    }
    let windows = try TextWindows.windows(
      of: data.texts, tokenizer, count: count, length: min(Self.window, context),
      bos: tokenizer.addsBOS ? tokenizer.bos : nil
    ).map { TokenSequence(ids: $0) }
    return try share([dialogues, windows], count: count)
  }

  /// About `count` tokens, of each kind as many, evenly chosen.
  private func share(_ kinds: [[TokenSequence]], count: Int) throws -> [TokenSequence] {
    let kinds = kinds.filter { !$0.isEmpty }
    return kinds.flatMap { kind -> [TokenSequence] in
      let total = kind.reduce(0) { $0 + positions($1) }
      let limit = count / kinds.count
      guard total > limit else { return kind }
      let wanted = max(1, (kind.count * limit + total - 1) / total)
      return (0..<wanted).map { kind[$0 * kind.count / wanted] }
    }
  }

  // MARK: - Of the model's own

  /// Questions about pictures, with the model's answers.
  private func told(
    _ pictures: [CalibrationData.Picture], count: Int, _ step: (Int) -> Void
  ) throws -> [TokenSequence] {
    let (pictures, each) = (
      pictures.evenly(count / fewestTokensOfPicture + 1), visualTokens + Self.pictureAnswer + 40
    )
    let generator = try language.generator(
      pool: model.pool, contextLength: min(context, each + 512))
    let conversation = try Conversation(with: model, generator, template: template)
    var result: [TokenSequence] = []
    var total = 0
    for (index, picture) in pictures.enumerated() where total < count {
      conversation.forget()
      conversation.add(try language.visualTokens(of: picture, pool: sightPool))
      let question = OwnTexts.aboutPictures[index % OwnTexts.aboutPictures.count]
      let ids = try answered(
        conversation, question, Self.pictureAnswer, temperature: 0, seed: UInt64(index))
      result.append(TokenSequence(ids: ids, pictures: [picture]))
      total += positions(result[index])
      step(total)
    }
    return result
  }

  /// What the model writes by itself: from its start token, and in answer to questions where it has a
  /// template.
  private func written(count: Int, _ step: (Int) -> Void) throws -> [TokenSequence] {
    let length = min(Self.window, context)
    let generator = try language.generator(
      pool: model.pool, contextLength: min(context, length + 512))
    var result: [TokenSequence] = []
    var total = 0
    func add(_ ids: [Int]) {
      result.append(TokenSequence(ids: ids))
      total += ids.count
      step(total)
    }
    if template != nil {
      let conversation = try Conversation(with: model, generator, template: template)
      var index = 0
      while total < count / 2, index < OwnTexts.questions.count {
        conversation.forget()
        add(
          try answered(
            conversation, OwnTexts.questions[index], Self.textAnswer, temperature: 1,
            seed: UInt64(index)))
        index += 1
      }
    }
    // A model that ends at once could go on for ever.
    var attempts = count / 8 + 16
    var random = SamplingRandom(seed: 0x5e1f)
    while total < count, attempts > 0 {
      attempts -= 1
      generator.forget()
      let start = tokenizer.bos ?? Int(random.next() % UInt64(language.layers.config.vocabulary))
      let made = try generator.generate(
        .tokens([start]),
        GenerationOptions(
          sampling: SamplingOptions(temperature: 1, seed: random.next()),
          maximumTokens: min(length, count - total) - 1), cancelled: cancelled)
      if cancelled?.isCancelled ?? false { throw CancellationError() }
      guard made.tokens.count > 1 else { continue }
      add([start] + made.tokens)
    }
    return result
  }

  /// The ids of a question's prompt and of the model's answer.
  private func answered(
    _ conversation: Conversation, _ question: String, _ count: Int, temperature: Double,
    seed: UInt64
  ) throws -> [Int] {
    let ids = try conversation.promptIDs(question)
    let answer = try conversation.answer(
      question,
      GenerationOptions(
        sampling: SamplingOptions(temperature: temperature, seed: seed), maximumTokens: count),
      cancelled: cancelled)
    if cancelled?.isCancelled ?? false { throw CancellationError() }
    return ids + answer.tokens
  }
}
