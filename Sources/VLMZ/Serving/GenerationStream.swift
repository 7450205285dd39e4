import VLMFoundation

/// What happens while a request is answered: `.began` once, then tokens, then `.ended`.
public enum GenerationEvent: Sendable, Equatable {
  /// The prompt is accepted, pictures included, and is being computed.
  case began(PromptUsage)
  /// The next token.
  case token(GeneratedToken)
  /// Nothing follows.
  case ended(GenerationEnd)
}

/// Positions of a prompt.
public struct PromptUsage: Sendable, Equatable {
  /// Positions of the whole prompt: text, template and pictures.
  public internal(set) var promptTokens: Int
  /// Those of them that are pictures.
  public internal(set) var visualTokens: Int
  /// Those of them whose keys and values other requests had computed. In `.began` they are those that
  /// were there when the prompt began.
  public internal(set) var cachedTokens: Int
}

/// A token with its text.
public struct GeneratedToken: Sendable, Equatable {
  /// Its id in the model's vocabulary.
  public let id: Int
  /// The text that has become certain with it; empty inside a character, and while it may be the
  /// beginning of a stop string.
  public let text: String
  /// Nil unless the request asks for probabilities.
  public let probability: TokenProbability?
  /// The most probable tokens at its place, best first; as many as the request asks for.
  public let alternatives: [TokenProbability]
}

/// How probable the model finds a token.
public struct TokenProbability: Sendable, Equatable {
  /// The token's id.
  public let id: Int
  /// Its bytes, which need not be whole characters; a special token's as it is written. At the
  /// beginning of a text they lack the space that the text lacks.
  public let bytes: [UInt8]
  /// The natural logarithm of its probability by the model's output, before temperature, penalties and
  /// constraints.
  public let logarithm: Double
}

/// How an answer ended.
public struct GenerationEnd: Sendable, Equatable {
  /// Why nothing follows.
  public enum Reason: String, Sendable, Hashable, CaseIterable {
    /// The model ended it, a stop string came, or it is all that its format allows.
    case stop
    /// `maximumTokens` were written, or the context is full.
    case length
    /// Its stream was cancelled or dropped, or the engine was stopped.
    case cancelled
    /// It took longer than it may.
    case deadline
  }

  /// Why nothing follows.
  public let reason: Reason
  /// Text that was held back until now.
  public let text: String
  /// What the prompt took.
  public let usage: PromptUsage
  /// Tokens of the answer, without the one that ended it.
  public let completionTokens: Int
}

/// An answer as it is written. It is cancelled when it is let go before its end.
///
/// Events wait until they are read: no more than the answer has tokens.
public struct GenerationStream: AsyncSequence, Sendable {
  /// What comes, piece by piece.
  public typealias Element = GenerationEvent
  /// Goes through the events once.
  public typealias AsyncIterator = AsyncThrowingStream<GenerationEvent, any Error>.Iterator

  private let events: AsyncThrowingStream<GenerationEvent, any Error>
  private let flag: CancellationFlag

  init(_ events: AsyncThrowingStream<GenerationEvent, any Error>, _ flag: CancellationFlag) {
    self.events = events
    self.flag = flag
  }

  /// Events in their order; whatever `next()` throws is an `EngineError`.
  public func makeAsyncIterator() -> AsyncIterator { events.makeAsyncIterator() }

  /// Ends the answer before its next token, from any thread.
  public func cancel() { flag.cancel() }

  /// The whole answer.
  ///
  /// - Throws: `EngineError`.
  public func result() async throws(EngineError) -> GenerationResult {
    var result = GenerationResult()
    do {
      for try await event in self {
        switch event {
        case .began: break
        case .token(let token):
          result.tokens.append(token)
          result.text += token.text
        case .ended(let end):
          result.text += end.text
          result.end = end
        }
      }
    } catch { throw EngineError(error) }
    return result
  }
}

/// A whole answer.
public struct GenerationResult: Sendable, Equatable {
  /// All of its text.
  public internal(set) var text = ""
  /// Its tokens.
  public internal(set) var tokens: [GeneratedToken] = []
  /// How it ended; nil where the task that waited for it was cancelled.
  public internal(set) var end: GenerationEnd?
}
