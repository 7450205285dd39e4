import VLMFoundation
import VLMModels
import VLMTensor
import VLMText

/// Runs the answers: one after the other for now. Belongs to the engine's thread.
final class AnswerScheduler {
  let contextLength: Int
  private let model: Model
  private let language: LanguageModel
  private let generator: TextGenerator
  private var answer: ActiveAnswer?
  private var next: Int?
  private var counts = EngineStatistics()

  init(_ model: Model, _ language: LanguageModel, _ options: BatchEngineOptions) throws {
    self.model = model
    self.language = language
    generator = try language.generator(
      pool: model.pool, contextLength: options.contextLength,
      keyValueFormat: options.keyValues.format)
    contextLength = generator.context.capacity
  }

  var isBusy: Bool { answer != nil }

  func admit(_ ticket: EngineTicket, at now: ContinuousClock.Instant) -> Bool {
    guard answer == nil, let tokenizer = language.tokenizer else { return false }
    do {
      var images: [VisualTokens] = []
      for picture in ticket.pictures {
        switch picture {
        case .encoded(let image): images.append(image.tokens)
        case .image(let image):
          images.append(
            try model.encode(image, EncodingOptions(), pool: model.pool, ticket.flag).tokens)
        }
      }
      let splice = try Splice(
        ticket.ids, sentinel: ImagePrompt.sentinel, imageTokens: images.map(\.count))
      let visual = images.reduce(0) { $0 + $1.count }
      let usage = PromptUsage(promptTokens: splice.count, visualTokens: visual, cachedTokens: 0)
      let isEmbedded = language.pictures != nil
      ticket.yield(.began(usage))
      var active = ActiveAnswer(
        ticket, usage: usage,
        history: isEmbedded
          ? [Int](repeating: TextGenerator.embedded, count: splice.count) : ticket.ids,
        tokenizer: tokenizer)
      let logits: MatrixView
      if let pictures = language.pictures {
        let memory = Activations(count: splice.count * language.layers.config.hidden)
        let rows = memory.matrix(rows: splice.count, columns: language.layers.config.hidden)
        try pictures.embed(splice.pieces, images: images, into: rows)
        logits = try language.layers(.embeddings(rows), position: 0, generator.context)
      } else {
        logits = try language.layers(.tokens(ticket.ids), position: 0, generator.context)
      }
      next = try active.take(logits, position: generator.context.count - 1, at: now)
      answer = active
    } catch {
      ticket.fail(EngineError(error))
      counts.failed += 1
    }
    return true
  }

  func turn(_ clock: () -> ContinuousClock.Instant) {
    guard var active = answer else { return }
    answer = nil
    do {
      let reason = active.ticket.interruption(at: clock())
      guard reason == nil, let token = next, generator.context.count < contextLength else {
        active.finish(reason)
        return
      }
      let logits = try language.layers(
        .tokens([token]), position: generator.context.count, generator.context)
      next = try active.take(logits, position: generator.context.count - 1, at: clock())
      answer = active
    } catch {
      active.ticket.fail(EngineError(error))
      counts.failed += 1
    }
  }

  func stop(at now: ContinuousClock.Instant) {
    answer?.finish(.cancelled)
    answer = nil
  }

  func count(into statistics: inout EngineStatistics) { statistics.active = isBusy ? 1 : 0 }
}
