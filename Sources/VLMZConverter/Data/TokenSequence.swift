import VLMFoundation
import VLMText

/// What a language model reads at once: ids, with a sentinel where a picture stands.
struct TokenSequence: Sendable, Equatable {
  /// What stands behind the prompt.
  enum Kind: Sendable, Equatable {
    /// The rest of a window of text.
    case text
    /// An answer that the data have, or none.
    case givenAnswer
    /// The answer that a model finds most probable, its end included.
    case ownAnswer
  }

  var ids: [Int]
  var pictures: [CalibrationData.Picture] = []
  /// Ids at the beginning that are only read; how well the model predicts those behind them is what
  /// is judged. No picture stands among those.
  var promptCount = 1
  var kind = Kind.text
  /// What was asked last, for messages.
  var question = ""

  /// Positions, where a picture has `visual` of them.
  func positions(visual: Int) -> Int { ids.count - pictures.count + pictures.count * visual }

  /// At most `limit` positions of its beginning, pictures whole; nil where there is no room for one.
  func cut(to limit: Int, visual: Int) -> TokenSequence? {
    guard positions(visual: visual) > limit else { return self }
    var (kept, left) = (self, limit)
    (kept.ids, kept.pictures) = ([], [])
    for id in ids {
      let isPicture = id == ImagePrompt.sentinel
      guard left >= (isPicture ? visual : 1) else { break }
      left -= isPicture ? visual : 1
      kept.ids.append(id)
      if isPicture { kept.pictures.append(pictures[kept.pictures.count]) }
    }
    return kept.ids.isEmpty || kept.pictures.count < min(1, pictures.count) ? nil : kept
  }

  /// Why nothing is left of it.
  func tooLong(for limit: Int, visual: Int) -> String {
    let before = ids.prefix { $0 != ImagePrompt.sentinel }.count
    return "the first picture takes \(visual) positions behind \(before) of text, expected at most "
      + "\(limit) together, which is the longest that is read"
  }
}

extension TokenSequence {
  /// A window of text. Its first half is only read, as llama.cpp measures perplexity.
  init(windowOf ids: [Int]) {
    self.init(ids: ids, promptCount: ids.count / 2 + 1)
  }
}

/// How conversations become ids, as when the model is used.
struct DialogueEncoder {
  let tokenizer: Tokenizer
  /// Nil: the turns stand one after the other.
  let template: (any PromptTemplate)?
  let seesPictures: Bool

  /// The whole conversation; its last answer as the model would have written it.
  ///
  /// - Throws: the errors of templates and of the tokenizer.
  func sequence(_ dialogue: CalibrationData.Dialogue) throws(TextError) -> TokenSequence {
    var turns = dialogue.turns
    var answer: String?
    if turns.last?.role == .assistant { answer = turns.removeLast().text }
    var prompt: PromptText
    if let template {
      prompt = try template.prompt(
        turns + [.init(.assistant, nil)], system: dialogue.system, parsesImages: seesPictures)
    } else {
      let text = turns.compactMap(\.text).joined(separator: "\n") + "\n"
      prompt = seesPictures ? .messageWithImages(text) : PromptText(text, isMessage: true)
    }
    let bos = template.flatMap { $0.bos(prompt, tokenizer) }
    var ids =
      seesPictures
      ? try ImagePrompt.ids(
        prompt, tokenizer, bos: bos, tokenization: template?.tokenization ?? .perPart)
      : try tokenizer.encode(prompt, bos: bos, eos: false)
    let promptCount = ids.count
    if let answer {
      ids += try tokenizer.encode(
        PromptText(answer, isMessage: true), bos: false, eos: tokenizer.eos != nil)
    }
    return TokenSequence(
      ids: ids, pictures: dialogue.pictures, promptCount: promptCount, kind: .givenAnswer,
      question: Self.question(turns))
  }

  /// So many reasons are told one by one, all others together.
  private static let mostReasons = 3

  /// Conversations as far as the context has room for them, and what is said of the others.
  ///
  /// - Parameters:
  ///   - visual: positions that a picture takes.
  ///   - path: the model's, for errors.
  /// - Returns: also an error for each reason why conversations are left out, with their number.
  /// - Throws: the errors of templates and of the tokenizer, where a template refuses a conversation
  ///   only if no other one is left.
  func sequences(
    _ dialogues: [CalibrationData.Dialogue], context: Int, visual: Int, path: String
  ) throws(TextError) -> (sequences: [TokenSequence], leftOut: [CalibrationError]) {
    var sequences: [TokenSequence] = []
    // Conversations that are too long have one reason, whatever their numbers.
    var reasons: [(key: String, text: String, count: Int)] = []
    var refusal: TextError?
    for dialogue in dialogues {
      var (key, text) = ("", "")
      do throws(TextError) {
        let whole = try sequence(dialogue)
        if let cut = whole.cut(to: context, visual: visual) {
          sequences.append(cut)
          continue
        }
        text = whole.tooLong(for: context, visual: visual)
      } catch {
        guard let words = error.refusal else { throw error }
        text = "the chat template refuses: \(words.escapedForDisplay(limit: 200))"
        key = text
        if refusal == nil { refusal = error }
      }
      if reasons.count >= Self.mostReasons, !reasons.contains(where: { $0.key == key }) {
        text = "other reasons"
        key = text
      }
      if let place = reasons.firstIndex(where: { $0.key == key }) {
        reasons[place].count += 1
      } else {
        reasons.append((key, text, 1))
      }
    }
    if sequences.isEmpty, let refusal { throw refusal }
    let leftOut = reasons.map { reason in
      CalibrationError(
        path: path,
        .conversations(count: reason.count, total: dialogues.count, reason.text))
    }
    return (sequences, leftOut)
  }

  /// What is asked last, without the places of pictures.
  private static func question(_ turns: [ConversationTemplate.Turn]) -> String {
    let text = turns.last { $0.role == .user }?.text ?? ""
    return text.parts(between: ImagePrompt.marker).joined(separator: " ")
      .split(whereSeparator: \.isWhitespace).joined(separator: " ")
  }
}
