import VLMFoundation
import VLMText

/// What a language model reads at once: ids, with a sentinel where a picture stands.
struct TokenSequence: Sendable, Equatable {
  var ids: [Int]
  var pictures: [CalibrationData.Picture] = []

  /// Positions, where a picture has `visual` of them.
  func positions(visual: Int) -> Int { ids.count - pictures.count + pictures.count * visual }

  /// At most `limit` positions of its beginning, pictures whole; nil where there is no room for one.
  func cut(to limit: Int, visual: Int) -> TokenSequence? {
    guard positions(visual: visual) > limit else { return self }
    var (kept, left) = (TokenSequence(ids: []), limit)
    for id in ids {
      let isPicture = id == ImagePrompt.sentinel
      guard left >= (isPicture ? visual : 1) else { break }
      left -= isPicture ? visual : 1
      kept.ids.append(id)
      if isPicture { kept.pictures.append(pictures[kept.pictures.count]) }
    }
    return kept.ids.isEmpty || kept.pictures.count < min(1, pictures.count) ? nil : kept
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
    if let answer {
      ids += try tokenizer.encode(
        PromptText(answer, isMessage: true), bos: false, eos: tokenizer.eos != nil)
    }
    return TokenSequence(ids: ids, pictures: dialogue.pictures)
  }
}
