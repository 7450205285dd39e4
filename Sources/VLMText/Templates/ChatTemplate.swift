import VLMFoundation

/// A chat template with the variables that it is rendered with: a Jinja program.
///
/// The variables are those of transformers' `apply_chat_template`.
package struct ChatTemplate: PromptTemplate {
  package let name: String
  package let addsBOS: Bool
  /// The name of the file in errors.
  private let file: String
  private let program: JinjaTemplate
  /// The default system message, for templates that contain none.
  private let system: String?
  private let variables: [(name: String, value: JinjaValue)]
  private let now: JinjaTime?
  /// The form of message contents that the template expects.
  private var contents = Contents.texts

  private enum Contents {
    case texts
    /// `[{"type": "image"}, {"type": "text", "text": …}]`
    case parts
    /// Parts for messages with images, for which the template writes its own placeholder.
    case partsForPictures
  }

  /// - Parameters:
  ///   - system: the default system message.
  ///   - tokens: the texts of special tokens by variable name.
  ///   - arguments: further variables; user text, like the messages.
  ///   - now: the current date for templates; nil for the system clock.
  /// - Throws: `TextError` if the template cannot be parsed.
  package init(
    _ program: ChatTemplates.Program, system: String? = nil, tokens: [ChatTemplates.Token],
    addsBOS: Bool, arguments: JSONObject = JSONObject(), now: JinjaTime? = nil, file: String
  ) throws(TextError) {
    name = program.name
    self.addsBOS = addsBOS
    self.file = file
    self.system = system
    self.now = now
    do throws(JinjaError) { self.program = try JinjaTemplate(program.source) } catch {
      throw Self.failure(error, name, file)
    }
    let texts = tokens.map { (name: $0.name, value: JinjaValue.string($0.text)) }
    variables =
      texts + arguments.members.map { ($0.key, JinjaValue($0.value, isUserText: true)) }
    contents = probedContents()
  }

  private static func failure(_ error: JinjaError, _ name: String, _ file: String) -> TextError {
    TextError(file: file, place: "chat template '\(name)'", .template(error))
  }

  /// The user's variables that the template does not use.
  package func unused(_ arguments: JSONObject) -> [String] {
    arguments.keys.filter { !program.freeNames.contains($0) }
  }

  // MARK: Prompts

  package var tokenization: ImagePrompt.Tokenization { .whole }

  /// Answers are passed unchanged; templates remove the reasoning themselves.
  package func historyText(of answer: String) -> String { answer }

  package func prompt(
    _ turns: [Turn], system: String?, parsesImages: Bool
  ) throws(TextError) -> PromptText {
    var messages: [JinjaValue] = []
    if let system = system ?? self.system {
      messages.append(message("system", system, parsesImages: false))
    }
    for turn in turns {
      guard let text = turn.text else { continue }
      messages.append(
        message(
          turn.role.rawValue, text, parsesImages: parsesImages && turn.role == .user))
    }
    do throws(JinjaError) {
      return try render(messages, isOpen: turns.last.map { $0.text == nil } ?? true)
    } catch { throw Self.failure(error, name, file) }
  }

  /// - Parameter isOpen: whether the model is to write an answer next.
  private func render(_ messages: [JinjaValue], isOpen: Bool) throws(JinjaError) -> PromptText {
    let given: [(name: String, value: JinjaValue)] = [
      ("messages", .list(messages)), ("add_generation_prompt", .bool(isOpen)), ("tools", .none),
      ("documents", .none),
    ]
    let text = try program.render(given + variables, now: now)
    var prompt = PromptText()
    for run in text.runs {
      guard run.isUserText, Self.mayHavePicture(run.text) else {
        prompt.append(run.text, isMessage: run.isUserText)
        continue
      }
      let parts = run.text.unicodeScalars.split(
        separator: Self.picture, omittingEmptySubsequences: false)
      for (index, part) in parts.enumerated() {
        if index > 0 { prompt.append(ImagePrompt.marker) }
        prompt.append(String(part), isMessage: true)
      }
    }
    return prompt
  }

  /// Placeholder for an image in a message while the template runs: private-use characters, which
  /// no message may contain.
  private static let picture: Unicode.Scalar = "\u{10fffd}"

  /// A quick test, false for nearly every text.
  private static func mayHavePicture(_ text: String) -> Bool { text.utf8.contains(0xf4) }

  private func message(_ role: String, _ text: String, parsesImages: Bool) -> JinjaValue {
    let chunks = (parsesImages ? ImagePrompt.chunks(text) : [text]).map { chunk -> String in
      guard Self.mayHavePicture(chunk) else { return chunk }
      let scalars = chunk.unicodeScalars.map { $0 == Self.picture ? "\u{fffd}" : $0 }
      return String(String.UnicodeScalarView(scalars))
    }
    let content: JinjaValue
    switch contents {
    case .parts: content = Self.parts(chunks)
    case .partsForPictures where chunks.count > 1: content = Self.parts(chunks)
    default: content = .text(chunks.joined(separator: String(Self.picture)), isUserText: true)
    }
    return ["role": .string(role), "content": content]
  }

  /// Text parts with an image between each two. The line break after a leading image is left to the
  /// template.
  private static func parts(_ chunks: [String]) -> JinjaValue {
    var parts: [JinjaValue] = []
    for (index, chunk) in chunks.enumerated() {
      var text = chunk
      if index > 0 {
        parts.append(["type": "image"])
        if text.hasPrefix(ConversationTemplate.imageSeparator) { text.removeFirst() }
      }
      if !text.isEmpty || chunks.count == 1 {
        parts.append(["type": "text", "text": .text(text, isUserText: true)])
      }
    }
    return .list(parts)
  }

  // MARK: What a program does

  private static let probe = "probe of vlmz"

  /// Detects the form of contents that the template supports by rendering a probe.
  private func probedContents() -> Contents {
    let parts: JinjaValue = [["type": "image"], ["type": "text", "text": .string(Self.probe)]]
    func rendered(_ content: JinjaValue) -> String? {
      do throws(JinjaError) {
        return try render([["role": "user", "content": content]], isOpen: true).text
      } catch { return nil }
    }
    guard program.mentions("type") else { return .texts }
    let fromParts = rendered(parts)
    let takesParts = fromParts?.firstRange(of: Self.probe) != nil
    guard takesParts else { return .texts }
    let takesTexts = rendered(.string(Self.probe))?.firstRange(of: Self.probe) != nil
    guard takesTexts else { return .parts }
    return fromParts.map { ImagePrompt.count($0) } == 1 ? .partsForPictures : .texts
  }

  /// The text that the template writes after an answer: a special token, or text of that form.
  package func endOfAnswer(_ tokenizer: Tokenizer) -> String? {
    let turns: [Turn] = [.init(.user, Self.probe), .init(.assistant, Self.probe)]
    guard let text = try? prompt(turns, system: nil, parsesImages: false).text,
      let place = text.lastRange(of: Self.probe)
    else { return nil }
    let rest = String(text[place.upperBound...]).trimmingSpaces()
    if let id = (try? tokenizer.encode(rest, bos: false, eos: false))?.first,
      tokenizer.isSpecial(id),
      let piece = tokenizer.piece(id), !piece.isEmpty, rest.utf8.starts(with: piece.utf8)
    {
      return piece
    }
    guard rest.hasPrefix("<"), let end = rest.firstIndex(of: ">") else { return nil }
    let mark = rest[...end]
    return mark.count > 2 && mark.count <= 40 && !mark.contains(where: \.isWhitespace)
      ? String(mark) : nil
  }

  /// Whether the template renders a leading system message.
  package func renders(system: String) -> Bool {
    let turns: [Turn] = [.init(.user, Self.probe), .init(.assistant, nil)]
    guard let text = try? prompt(turns, system: system, parsesImages: false).text else {
      return true
    }
    return text.firstRange(of: system.trimmingSpaces()) != nil
  }
}

extension StringProtocol {
  /// The first occurrence of `part`, compared byte by byte.
  func firstRange(of part: String) -> Range<String.Index>? {
    utf8.indices.lazy.compactMap { range(of: part, at: $0) }.first
  }

  /// The last occurrence of `part`, compared byte by byte.
  func lastRange(of part: String) -> Range<String.Index>? {
    utf8.indices.reversed().lazy.compactMap { range(of: part, at: $0) }.first
  }

  private func range(of part: String, at start: String.Index) -> Range<String.Index>? {
    guard utf8[start...].starts(with: part.utf8),
      let end = utf8.index(start, offsetBy: part.utf8.count, limitedBy: utf8.endIndex)
    else { return nil }
    return start..<end
  }
}
