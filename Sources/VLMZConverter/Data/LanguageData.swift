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
  /// Tells pictures that can be used from others.
  let check: PictureCheck
  private let leftOut: (CalibrationError) -> Void

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
  ///   - leftOut: called with conversations that are, by `CalibrationError.Problem.conversations`.
  init(
    _ model: Model, _ language: LanguageModel, sightPool: WorkerPool, cancelled: CancellationFlag?,
    check: PictureCheck, leftOut: @escaping (CalibrationError) -> Void
  ) throws {
    (self.check, self.leftOut) = (check, leftOut)
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
    // A conversation is worth nothing without one of its pictures.
    let asked = try asked(data, count: count)
    var sequences = try asked.filter { sequence in
      try sequence.pictures.allSatisfy { try check.isUsable($0) }
    }
    try check.requireMost(usable: sequences.count, of: asked.count)
    if sequences.count < asked.count {
      leftOut(
        CalibrationError(
          path: model.path,
          .conversations(
            count: asked.count - sequences.count, total: asked.count,
            "a picture of theirs cannot be used")))
    }
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
    try check.requireMost()
    let total = sequences.reduce(0) { $0 + positions($1) }
    let fewest = min(count, Self.fewestTokens)
    guard total >= fewest else {
      throw CalibrationError(path: model.path, .tooFewTokens(found: total, expected: fewest))
    }
    return sequences
  }

  private var visualTokens: Int { language.usualVisualTokens }

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
    let (dialogues, unread) = try encoder.sequences(
      data.dialogues, context: context, visual: visualTokens, path: model.path)
    unread.forEach(leftOut)
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
      guard try check.isUsable(picture) else { continue }
      conversation.forget()
      conversation.add(try language.visualTokens(of: picture, pool: sightPool))
      let question = OwnTexts.aboutPictures[index % OwnTexts.aboutPictures.count]
      let ids = try answered(
        conversation, question, Self.pictureAnswer, temperature: 0, seed: UInt64(index))
      let sequence = TokenSequence(ids: ids, pictures: [picture])
      result.append(sequence)
      total += positions(sequence)
      step(total)
    }
    return result
  }

  /// What the model writes by itself: in answer to questions where it has a template, half of it, and
  /// from its start token.
  private func written(count: Int, _ step: (Int) -> Void) throws -> [TokenSequence] {
    let length = min(Self.window, context)
    let encoder = DialogueEncoder(tokenizer: tokenizer, template: template, seesPictures: false)
    var starts: [TextWriter.Start] = []
    var planned = 0
    if template != nil {
      for (index, question) in OwnTexts.questions.enumerated() where planned < count / 2 {
        let ids = try encoder.sequence(.init(turns: [.init(.user, question)])).ids
        let room = min(ids.count + Self.textAnswer, context)
        guard ids.count < room else { continue }
        starts.append(.init(ids: ids, length: room, seed: UInt64(index)))
        planned += room
      }
    }
    let writer = try TextWriter(
      language.layers, length: max(length, starts.map(\.length).max() ?? 0),
      stopTokens: stopTokens, pool: model.pool, kernels: model.kernels, cancelled: cancelled)
    var random = SplitMix64(seed: 0x5e1f)
    var (result, total) = ([TokenSequence](), 0)
    // A model that ends at once could go on for ever.
    var attempts = count / 8 + 16
    while total < count, attempts > 0 {
      while planned < count {
        let first = tokenizer.bos ?? Int(random.next() % UInt64(language.layers.config.vocabulary))
        let room = min(length, max(2, count - planned))
        starts.append(.init(ids: [first], length: room, seed: random.next()))
        planned += room
      }
      attempts -= starts.count
      let before = total
      let texts = try writer.write(starts) { step(before + $0) }
      for (start, ids) in zip(starts, texts) where ids.count > start.ids.count {
        result.append(TokenSequence(ids: ids))
        total += ids.count
      }
      (starts, planned) = ([], total)
    }
    return result
  }

  /// What ends a text, and an answer.
  private var stopTokens: Set<Int> {
    var tokens = Set(language.defaults.stopTokens)
    if tokens.isEmpty, let eos = tokenizer.eos { tokens.insert(eos) }
    if let end = template?.endOfAnswer(tokenizer), let id = tokenizer.id(of: end),
      tokenizer.isSpecial(id)
    {
      tokens.insert(id)
    }
    return tokens
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
    if cancelled?.isCancelled ?? false { throw WorkCancelled() }
    return ids + answer.tokens
  }
}
