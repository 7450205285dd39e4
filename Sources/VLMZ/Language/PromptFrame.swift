import VLMFoundation
import VLMModels
import VLMText

/// What stands between what is said and what the model reads: template, tokenizer, bounds, and what
/// ends an answer. Conversations and engines share it, so that they make the same prompts.
package struct PromptFrame: Sendable {
  package typealias Turn = ConversationTemplate.Turn

  package let language: LanguageModel
  package let tokenizer: Tokenizer
  /// Nil: no roles; the text goes on where the prompt ends.
  package let template: (any PromptTemplate)?
  /// Whether special tokens that are spelled in what is said are such; otherwise they are text.
  package let parsesSpecial: Bool
  /// Positions that prompt and answer may have together.
  package let contextLength: Int
  /// What ends an answer beyond the model's own tokens.
  private let endOfAnswer: String?

  /// - Parameter parsesSpecial: nil for yes without a template, where the user writes the frame too, and
  ///   no with one.
  /// - Throws: `GenerationError` for a model that writes no text, or a file without a tokenizer.
  package init(
    _ model: Model, template: (any PromptTemplate)?, parsesSpecial: Bool? = nil, contextLength: Int
  ) throws(GenerationError) {
    let language = try model.requireLanguage()
    guard let tokenizer = language.tokenizer else {
      throw GenerationError(file: model.path, .noTokenizer)
    }
    (self.language, self.tokenizer, self.template) = (language, tokenizer, template)
    self.parsesSpecial = parsesSpecial ?? (template == nil)
    self.contextLength = contextLength
    endOfAnswer = template?.endOfAnswer(tokenizer)
  }

  /// The same without a template: the text goes on where the prompt ends.
  package var withoutTemplate: PromptFrame { PromptFrame(continuing: self) }

  private init(continuing other: PromptFrame) {
    (language, tokenizer, contextLength) = (other.language, other.tokenizer, other.contextLength)
    (template, parsesSpecial, endOfAnswer) = (nil, true, nil)
  }

  package var seesPictures: Bool { language.pictures != nil }

  /// The ids of a prompt, `ImagePrompt.sentinel` where a picture goes.
  ///
  /// - Parameters:
  ///   - turns: all that was said; what users said has `<image>` for each of their pictures. After a
  ///     user's turn the answer begins; a last turn of the assistant is an answer that goes on.
  ///   - system: instead of the template's system message.
  ///   - pictures: how many there are.
  /// - Throws: `TextError` from a template, `GenerationError` for one that has places for another number
  ///   of pictures, or that writes something else for an answer that goes on.
  package func ids(_ turns: [Turn], system: String?, pictures: Int) throws -> [Int] {
    var prompt: PromptText
    if let template {
      let begun = turns.last.flatMap { $0.role == .assistant ? $0.text : nil }
      prompt = try template.prompt(
        begun == nil ? turns + [.init(.assistant, nil)] : turns, system: system,
        parsesImages: seesPictures)
      if let begun {
        guard let open = prompt.cut(behind: begun) else {
          throw GenerationError(
            .text(
              found: "a beginning of the answer that the template '\(template.name)' changes",
              expected: "one that it writes as it is"))
        }
        prompt = open
      }
    } else {
      let text = turns.last?.text ?? ""
      prompt = seesPictures ? .messageWithImages(text) : PromptText(text, isMessage: true)
    }
    let bos = template.flatMap { $0.bos(prompt, tokenizer) }
    if parsesSpecial { prompt = prompt.parsingSpecial() }
    let ids =
      seesPictures
      ? try ImagePrompt.ids(
        prompt, tokenizer, bos: bos, tokenization: template?.tokenization ?? .perPart)
      : try tokenizer.encode(prompt, bos: bos, eos: false)
    let marks = ids.count { $0 == ImagePrompt.sentinel }
    guard marks == pictures else {
      throw GenerationError(.places(found: marks, expected: pictures))
    }
    return ids
  }

  /// Positions of a prompt.
  ///
  /// - Parameter visual: positions of its pictures, all together.
  package func length(_ ids: [Int], visual: Int) -> Int {
    ids.count { $0 != ImagePrompt.sentinel } + visual
  }

  /// - Throws: `.tooLong` for a prompt that the context has no room for.
  package func requireRoom(_ ids: [Int], visual: Int) throws(GenerationError) {
    let text = length(ids, visual: 0)
    guard text + visual <= contextLength else {
      throw GenerationError(
        .tooLong(
          text: text, pictures: ids.count - text, visual: visual, capacity: contextLength))
    }
  }

  /// A question with a placeholder for each of its pictures, in front unless it says where. For a model
  /// that sees none it is text.
  ///
  /// - Throws: `.pictures` when it names another number of them.
  package func placed(_ question: String, pictures: Int) throws(GenerationError) -> String {
    guard seesPictures else { return question }
    let named = ImagePrompt.count(question)
    if named == pictures { return question }
    guard named == 0 else { throw GenerationError(.pictures(named: named, given: pictures)) }
    let separator = ConversationTemplate.imageSeparator
    return String(repeating: ImagePrompt.marker + separator, count: pictures) + question
  }

  /// An answer as later prompts repeat it.
  package func historyText(of answer: String) -> String {
    template?.historyText(of: answer) ?? answer
  }

  /// The end of an answer: what the file says, the template's own mark, and the tokenizer's EOS
  /// where nothing says anything.
  package func complete(_ options: GenerationOptions) -> GenerationOptions {
    var options = options
    var tokens = options.stopTokens ?? Set(language.defaults.stopTokens)
    if tokens.isEmpty, let eos = tokenizer.eos { tokens.insert(eos) }
    for stop in options.stopStrings + (endOfAnswer.map { [$0] } ?? []) {
      if let id = tokenizer.id(of: stop), tokenizer.isSpecial(id) {
        tokens.insert(id)
      } else if !options.stopStrings.contains(stop) {
        options.stopStrings.append(stop)
      }
    }
    options.stopTokens = tokens
    if template == nil { options.continuesPrompt = true }
    return options
  }

  /// Bytes of white space at a question's ends, both together, that do not count until it is
  /// rendered: a template may take them off.
  private static let maximumFreeSpace = 1 << 20

  /// Bytes of a question that are framed and encoded in any case, so that an error can say exactly
  /// what it takes.
  private static let maximumFreeText = 1 << 20

  /// Refuses a long question that cannot fit the context whatever its letters are, before any work is
  /// put into it: framing and encoding take many times the memory of a text. White space at its ends
  /// counts where it is more than `maximumFreeSpace`, as if every template kept it.
  package func refuseTooLong(_ question: String) throws(GenerationError) {
    let bytes = question.utf8.count
    guard bytes > max(contextLength, Self.maximumFreeText) else { return }
    let outer = bytes - Self.bytesWithinSpace(question)
    let spaces = outer > Self.maximumFreeSpace ? outer : 0
    let counted = bytes - outer + spaces
    guard let positions = tokenizer.minimumTokenCount(byteCount: counted), positions > contextLength
    else {
      return
    }
    throw GenerationError(
      .surelyTooLong(
        bytes: bytes, spaces: spaces, positions: positions, capacity: contextLength))
  }

  /// Bytes from the first character that is no white space to the last.
  private static func bytesWithinSpace(_ text: String) -> Int {
    let scalars = text.unicodeScalars
    guard let first = scalars.firstIndex(where: { !$0.properties.isWhitespace }),
      let last = scalars.lastIndex(where: { !$0.properties.isWhitespace })
    else { return 0 }
    return text.utf8.distance(from: first, to: scalars.index(after: last))
  }
}
