import CVLMZ
import VLMFoundation
import VLMZ

/// `vlmz_conversation_create` of vlmz.h.
@_cdecl("vlmz_conversation_create")
public func vlmzConversationCreate(
  _ handle: OpaquePointer?, _ options: UnsafePointer<vlmz_conversation_options>?,
  _ conversation: UnsafeMutablePointer<OpaquePointer?>?
) -> vlmz_status {
  call {
    let result = try place(conversation, "conversation", empty: nil)
    let given = try structure(options, "options", initial: vlmz_conversation_options())
    let made = try Conversation(with: try model(handle), options: try conversationOptions(given))
    result.pointee = HandleTable.shared.add(made, .conversation)
  }
}

/// `vlmz_conversation_ask` of vlmz.h.
@_cdecl("vlmz_conversation_ask")
public func vlmzConversationAsk(
  _ handle: OpaquePointer?, _ question: UnsafePointer<CChar>?,
  _ pictures: UnsafePointer<OpaquePointer?>?, _ pictureCount: Int,
  _ options: UnsafePointer<vlmz_answer_options>?, _ callback: vlmz_text_callback?,
  _ user: UnsafeMutableRawPointer?,
  _ answer: UnsafeMutablePointer<UnsafeMutablePointer<vlmz_answer>?>?
) -> vlmz_status {
  answer?.pointee = nil
  return call {
    let conversation = try conversation(handle)
    let seen = try elements(pictures, pictureCount, "pictures").map { try picture($0) }
    let made = try conversation.ask(
      try text(question, "question"), about: seen, options: try answerOptions(options)
    ) { give($0, to: callback, user, conversation) }
    answer?.pointee = try Block.answer(made)
  }
}

/// `vlmz_conversation_ask_about_film` of vlmz_film.h.
@_cdecl("vlmz_conversation_ask_about_film")
public func vlmzConversationAskAboutFilm(
  _ handle: OpaquePointer?, _ question: UnsafePointer<CChar>?,
  _ film: UnsafePointer<vlmz_film>?, _ options: UnsafePointer<vlmz_answer_options>?,
  _ callback: vlmz_text_callback?, _ user: UnsafeMutableRawPointer?,
  _ answer: UnsafeMutablePointer<UnsafeMutablePointer<vlmz_answer>?>?
) -> vlmz_status {
  answer?.pointee = nil
  return call {
    let conversation = try conversation(handle)
    let seen = try theFilm(film)
    let made = try conversation.ask(
      try text(question, "question"), about: seen, options: try answerOptions(options)
    ) { give($0, to: callback, user, conversation) }
    answer?.pointee = try Block.answer(made)
  }
}

/// Gives a piece of an answer to the caller, who may end the answer.
private func give(
  _ piece: String, to callback: vlmz_text_callback?, _ user: UnsafeMutableRawPointer?,
  _ conversation: Conversation
) {
  guard let callback else { return }
  var piece = piece
  let isEnough = piece.withUTF8 { bytes in
    withUnsafeTemporaryAllocation(of: CChar.self, capacity: bytes.count + 1) { copy in
      UnsafeMutableRawBufferPointer(copy).copyMemory(from: UnsafeRawBufferPointer(bytes))
      copy[bytes.count] = 0
      return callback(copy.baseAddress, bytes.count, user) != 0
    }
  }
  if isEnough { conversation.cancel() }
}

private func theFilm(_ pointer: UnsafePointer<vlmz_film>?) throws -> Film {
  guard pointer != nil else {
    throw invalid("film", found: "NULL", expected: "a description of it")
  }
  let given = try structure(pointer, "film", initial: vlmz_film())
  let frames = try elements(given.frames, given.frame_count, "frames").map { try image($0) }
  let bytes = try elements(
    given.bytes?.assumingMemoryBound(to: UInt8.self), given.byte_count, "bytes")
  let sources = [!frames.isEmpty, given.path != nil, given.bytes != nil].count { $0 }
  guard sources == 1 else {
    throw invalid(
      "film", found: "\(sources) of frames, path and bytes", expected: "one of them")
  }
  let rate = given.frames_per_second == 0 ? nil : given.frames_per_second
  guard frames.isEmpty else {
    return try Film(frames: frames, framesPerSecond: given.frames_per_second)
  }
  var options = Image.Options(background: given.background)
  if given.maximum_pixels > 0 { options.maximumPixels = Int(clamping: given.maximum_pixels) }
  guard given.path != nil else {
    return try Film(encoded: Array(bytes), framesPerSecond: rate, options: options)
  }
  return try Film(
    contentsOf: try fileName(given.path), framesPerSecond: rate, options: options)
}

/// `vlmz_conversation_clear` of vlmz.h.
@_cdecl("vlmz_conversation_clear")
public func vlmzConversationClear(_ handle: OpaquePointer?) -> vlmz_status {
  call { try conversation(handle).clear() }
}

/// `vlmz_conversation_get_context_length` of vlmz.h.
@_cdecl("vlmz_conversation_get_context_length")
public func vlmzConversationGetContextLength(
  _ handle: OpaquePointer?, _ length: UnsafeMutablePointer<Int>?
) -> vlmz_status {
  call {
    let result = try place(length, "length", empty: 0)
    result.pointee = try conversation(handle).contextLength
  }
}

/// `vlmz_conversation_cancel` of vlmz.h.
@_cdecl("vlmz_conversation_cancel")
public func vlmzConversationCancel(_ handle: OpaquePointer?) -> vlmz_status {
  call { try conversation(handle).cancel() }
}

/// `vlmz_conversation_free` of vlmz.h.
@_cdecl("vlmz_conversation_free")
public func vlmzConversationFree(_ handle: OpaquePointer?) -> vlmz_status {
  release(handle, .conversation)
}

private func conversationOptions(
  _ given: vlmz_conversation_options
) throws -> Conversation.Options {
  var options = Conversation.Options(
    contextLength: nonzero(given.context_length),
    system: try optionalText(given.system, "system message"),
    threads: nonzero(given.threads))
  if let name = try optionalText(given.chat_template, "template") {
    options.template = .named(name)
  }
  if let name = try optionalText(given.key_values, "keys and values") {
    guard let storage = Conversation.KeyValueStorage(rawValue: name) else {
      throw invalid(
        "keys and values", found: "'\(name.escapedForDisplay(limit: 60))'",
        expected: "one of "
          + Conversation.KeyValueStorage.allCases.map(\.rawValue).joined(separator: ", "))
    }
    options.keyValues = storage
  }
  return options
}

private func answerOptions(
  _ pointer: UnsafePointer<vlmz_answer_options>?
) throws -> AnswerOptions {
  guard pointer != nil else { return AnswerOptions() }
  let given = try structure(
    pointer, "options", initial: vlmz_answer_options(),
    older: [
      MemoryLayout<vlmz_answer_options>.offset(of: \.json_schema),
      MemoryLayout<vlmz_answer_options>.offset(of: \.speculated_tokens),
    ])
  var options = AnswerOptions(
    temperature: nonnegative(given.temperature),
    topK: given.top_k < 0 ? nil : Int(given.top_k), topP: nonnegative(given.top_p),
    minP: nonnegative(given.min_p), repeatPenalty: nonnegative(given.repeat_penalty),
    presencePenalty: given.presence_penalty, frequencyPenalty: given.frequency_penalty,
    seed: given.seed, stopStrings: try texts(given.stops, given.stop_count, "stops"),
    format: try format(given))
  if given.maximum_tokens != 0 { options.maximumTokens = Int(given.maximum_tokens) }
  if given.speculated_tokens != 0 {
    options.speculatedTokens = max(0, Int(given.speculated_tokens))
  }
  return options
}

/// What an answer must be.
///
/// - Throws: `.invalidArgument` for more than one form.
private func format(_ given: vlmz_answer_options) throws -> AnswerFormat {
  let formats: [AnswerFormat] = [
    try optionalText(given.json_schema, "json schema").map { .jsonSchema($0) },
    try optionalText(given.grammar, "grammar").map { .grammar($0) },
    given.json_object == 0 ? nil : .jsonObject,
  ].compactMap { $0 }
  guard formats.count <= 1 else {
    throw invalid(
      "format", found: "\(formats.count) of json schema, grammar and json object",
      expected: "one at most")
  }
  return formats.first ?? .text
}
