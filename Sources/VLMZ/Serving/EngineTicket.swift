import VLMFoundation
import VLMModels

/// What stands at one of a prompt's places for pictures.
enum PromptPicture: Sendable {
  case image(Image)
  case encoded(EncodedImage)
  /// A frame of a film, by its number from 0.
  case frame(Film, Int)
}

/// A request that was taken: what it needs, checked, and where its events go.
final class EngineTicket: Sendable {
  /// The prompt, `ImagePrompt.sentinel` where a picture goes.
  let ids: [Int]
  let pictures: [PromptPicture]
  let options: GenerationOptions
  let alternatives: Int?
  let client: String
  /// When it was submitted.
  let submitted: ContinuousClock.Instant
  /// When it has taken too long; nil for never.
  let due: ContinuousClock.Instant?
  /// Set when nobody wants the answer any longer.
  let flag: CancellationFlag
  /// The last token of an answer that is begun, behind which its text goes on; nil for one that is not.
  let begunEnd: Int?
  private let continuation: AsyncThrowingStream<GenerationEvent, any Error>.Continuation

  /// What a request says of itself beside where its events go.
  struct Content: Sendable {
    var ids: [Int]
    var pictures: [PromptPicture]
    var options: GenerationOptions
    var alternatives: Int?
    var client: String
    var deadline: Duration?
    var begunEnd: Int?
  }

  init(
    _ content: Content, flag: CancellationFlag, now: ContinuousClock.Instant,
    _ continuation: AsyncThrowingStream<GenerationEvent, any Error>.Continuation
  ) {
    ids = content.ids
    pictures = content.pictures
    begunEnd = content.begunEnd
    options = content.options
    alternatives = content.alternatives
    client = content.client
    submitted = now
    due = content.deadline.map { now + $0 }
    self.flag = flag
    self.continuation = continuation
  }

  /// Why it should end before its answer does; nil for no reason.
  func interruption(at now: ContinuousClock.Instant) -> GenerationEnd.Reason? {
    if flag.isCancelled { return .cancelled }
    if let due, now >= due { return .deadline }
    return nil
  }

  func yield(_ event: GenerationEvent) { continuation.yield(event) }

  func finish(_ end: GenerationEnd) {
    continuation.yield(.ended(end))
    continuation.finish()
  }

  /// Ends it before its prompt was begun.
  func finish(_ reason: GenerationEnd.Reason) {
    finish(
      GenerationEnd(
        reason: reason, text: "",
        usage: PromptUsage(promptTokens: 0, visualTokens: 0, cachedTokens: 0),
        completionTokens: 0))
  }

  func fail(_ error: EngineError) { continuation.finish(throwing: error) }
}
