import VLMFoundation
import VLMModels
import VLMTensor
import VLMText

/// Computes all answers: decides which rows share the next pass over the weights, runs it, and tells of
/// the tokens. Belongs to the engine's thread.
///
/// Each pass has the next token of every answer that is being written, and rows of the prompts that are
/// being read: all prompts get as many, but for those that need fewer. So a short prompt is read within
/// the first passes, however long the others are. One that arrives while a pass is under way is read
/// between two of its layers; see `AnswerScheduler+Arrivals`.
///
/// What a grammar allows next is found by another thread meanwhile. An answer that has to wait for it
/// leaves passes out; the others go on.
final class AnswerScheduler {
  let contextLength: Int
  let pagePositions: Int
  let language: LanguageModel
  private let tokenizer: Tokenizer
  let options: BatchEngineOptions
  private let memory: KeyValuePages
  let workspace: LLaMAContext
  /// Rows of prompts with pictures; nil for a model that sees none.
  private let embedded: Activations?
  /// Where a pass waits for another between two of its layers; nil where none does.
  let aside: Activations?
  private let sharesPrefixes: Bool
  /// See `LLaMA.keepsRowsApart`.
  let keepsRowsApart: Bool
  let masks: MaskWorker

  private(set) var active: [EngineSequence] = []
  private var ledger: PageLedger
  /// Pages that a sequence is about to compute; others with the same prefix wait for them.
  private var pending: [PageKey: ObjectIdentifier] = [:]
  var counts = EngineStatistics()
  var speculation: Speculation
  /// What passes have taken that were run between the layers of others.
  var secondsAside = 0.0
  /// What is told once the counts are known to everybody.
  private var farewells: [() -> Void] = []

  /// Positions of a page: as few as keep the reading of keys in long runs.
  static let defaultPagePositions = 64
  /// What a pass waits for masks: most take much less, and then no answer leaves a pass out.
  static let patience = 3

  /// - Throws: `ModelError` when the pages of one context do not fit the memory; `GenerationError` for a
  ///   file without a tokenizer.
  init(
    _ model: Model, _ language: LanguageModel, _ options: BatchEngineOptions, pagePositions: Int,
    masks: MaskWorker, costs: PassCosts
  ) throws {
    guard let tokenizer = language.tokenizer else {
      throw GenerationError(file: model.path, .noTokenizer)
    }
    (self.language, self.tokenizer, self.options) = (language, tokenizer, options)
    self.masks = masks
    speculation = Speculation(costs: costs)
    self.pagePositions = pagePositions
    let layers = language.layers
    let plan = try ModelError.inFile(model.path) {
      try PagePlan(
        layers, options, usual: language.usualCapacity, planned: language.contextBytes,
        pagePositions: pagePositions)
    }
    contextLength = plan.contextLength
    let rows = options.maximumActive + options.prefillRows
    (memory, workspace) = try ModelError.inFile(model.path) {
      (
        try layers.pages(
          count: plan.pageCount, positions: pagePositions, format: options.keyValues.format,
          kernels: model.kernels),
        try layers.workspace(rows: rows, pool: model.pool, kernels: model.kernels)
      )
    }
    keepsRowsApart = layers.keepsRowsApart
    // Weights that are read as they are used would be read once more.
    aside =
      model.reading == nil ? Activations(count: rows * layers.config.hidden) : nil
    embedded =
      language.pictures == nil
      ? nil : Activations(count: options.prefillRows * layers.config.hidden)
    ledger = PageLedger(count: plan.pageCount)
    // There keys depend on how long the sequence was when they were computed.
    sharesPrefixes =
      layers.config.ropeScaling.turningPoint == nil && options.prefixSharing != .none
    counts.pages = plan.pageCount
    counts.pagePositions = pagePositions
    counts.pageBytes = memory.pageBytes
  }

  deinit { masks.stop() }

  var isBusy: Bool { !active.isEmpty }

  // MARK: - Coming and going

  /// Begins an answer; false when it has to wait.
  func admit(
    _ ticket: EngineTicket, _ prompt: PreparedPrompt, at now: ContinuousClock.Instant
  ) -> Bool {
    guard active.count < options.maximumActive else { return false }
    // The last token of an answer is not run.
    let positions = prompt.count + min(ticket.options.maximumTokens, contextLength) - 1
    let pages =
      (min(contextLength, max(prompt.count, positions)) + pagePositions - 1) / pagePositions
    guard ledger.promise(pages) else { return false }
    let usage = PromptUsage(
      promptTokens: prompt.count, visualTokens: prompt.visualCount, cachedTokens: 0)
    // A conversation of a model that sees pictures runs embeddings, which no penalty knows.
    let history =
      language.pictures != nil
      ? [Int](repeating: TextGenerator.embedded, count: prompt.count) : ticket.ids
    let sequence = EngineSequence(
      ticket, prompt,
      ActiveAnswer(
        ticket, usage: usage, history: history, tokenizer: tokenizer, masks: masks),
      in: memory, promised: pages, began: now)
    sequence.speculator = speculator(for: ticket)
    counts.promptTokens += prompt.count
    share(sequence)
    ticket.yield(.began(sequence.answer.usage))
    active.append(sequence)
    return true
  }

  private func share(_ sequence: EngineSequence) {
    guard sharesPrefixes else { return }
    let isFirst = sequence.answer.usage.cachedTokens == 0
    let shared = sequence.share(&ledger)
    counts.cachedTokens += shared
    if shared > 0, isFirst { counts.prefixHits += 1 }
  }

  private func leave(_ sequence: EngineSequence) {
    active.removeAll { $0 === sequence }
    forgetPending(sequence)
    sequence.leave(&ledger)
  }

  private func end(_ sequence: EngineSequence, _ reason: GenerationEnd.Reason? = nil) {
    leave(sequence)
    counts.ended[sequence.answer.reason(or: reason), default: 0] += 1
    farewells.append { sequence.answer.finish(reason) }
  }

  func fail(_ sequence: EngineSequence, _ error: any Error) {
    leave(sequence)
    counts.failed += 1
    let error = EngineError(error)
    farewells.append { sequence.ticket.fail(error) }
  }

  /// Ends all answers.
  func stop() {
    for sequence in active { end(sequence, .cancelled) }
  }

  /// Tells those whose answers have ended.
  func sayFarewell() {
    let all = farewells
    farewells = []
    for farewell in all { farewell() }
  }

  /// What there is to count, but for those who wait.
  var statistics: EngineStatistics {
    var counts = counts
    counts.active = active.count
    counts.pagesInUse = ledger.heldCount
    counts.pagesKept = ledger.keptCount
    return counts
  }

  // MARK: - A pass

  /// Ends what is cancelled or late, and runs the next pass over the weights.
  ///
  /// - Parameter arrivals: nil where nobody can come meanwhile.
  func turn(_ clock: @escaping () -> ContinuousClock.Instant, arrivals: Arrivals? = nil) {
    let now = clock()
    for sequence in active {
      if let reason = sequence.ticket.interruption(at: now) { end(sequence, reason) }
    }
    if hasUnsettled { masks.settle(milliseconds: Self.patience) }
    settle(at: now)
    var plan = nextRows()
    if plan.isEmpty, hasUnsettled {
      masks.awaitOne()
      settle(at: clock())
      plan = nextRows()
    }
    guard !plan.isEmpty else { return }
    do {
      try run(plan, clock, arrivals)
    } catch {
      // What a single answer is to blame for was told to it alone.
      for sequence in active { fail(sequence, error) }
    }
  }

  private var hasUnsettled: Bool { active.contains { !$0.answer.isSettled } }

  /// Ends the answers that are over, as far as that has become known.
  private func settle(at now: ContinuousClock.Instant) {
    for sequence in active {
      sequence.answer.settle()
      if sequence.next != nil, sequence.answer.isSettled, sequence.paged.count >= contextLength {
        sequence.answer.end(.context)
      }
      if sequence.answer.writer.ending != nil { conclude(sequence, at: now) }
    }
  }

  private func conclude(_ sequence: EngineSequence, at now: ContinuousClock.Instant) {
    let seconds = (now - sequence.began).seconds
    counts.secondsPerAnswer += (seconds - counts.secondsPerAnswer) / 8
    end(sequence)
  }

  typealias Planned = (sequence: EngineSequence, rows: Int)

  /// Which sequences have how many rows in the next pass.
  private func nextRows() -> [Planned] {
    let writing: [Planned] = active.filter { $0.readyRows > 0 && !$0.isReading }.map { ($0, 1) }
    // Before the others, so that a first token is chosen first.
    var plan: [Planned] = []
    var left = writing.isEmpty ? options.prefillRows : max(1, options.prefillRows / 4)
    // The fewest rows first: what these leave is for the others.
    let reading = active.filter { $0.isReading && $0.readyRows > 0 }.enumerated().sorted {
      ($0.element.missing, $0.offset) < ($1.element.missing, $1.offset)
    }.map(\.element)
    var free: [EngineSequence] = []
    for sequence in reading {
      share(sequence)
      guard !isWaitingForPages(sequence) else { continue }
      announcePages(of: sequence)
      free.append(sequence)
    }
    // Whoever computes what others wait for does not wait itself; but nothing must depend on that.
    if free.isEmpty, writing.isEmpty { free = reading }
    for (place, sequence) in free.enumerated() where left > 0 {
      let rows = min(sequence.readyRows, max(1, left / (free.count - place)))
      left -= rows
      plan.append((sequence, rows))
    }
    return plan + writing
  }

  func isWaitingForPages(_ sequence: EngineSequence) -> Bool {
    guard sharesPrefixes, let key = sequence.nextKey, let owner = pending[key] else { return false }
    return owner != ObjectIdentifier(sequence)
  }

  func announcePages(of sequence: EngineSequence) {
    guard sharesPrefixes, !sequence.hasAnnounced else { return }
    sequence.hasAnnounced = true
    for key in sequence.keysAhead where pending[key] == nil {
      pending[key] = ObjectIdentifier(sequence)
    }
  }

  private func forgetPending(_ sequence: EngineSequence) {
    guard sequence.hasAnnounced else { return }
    sequence.hasAnnounced = false
    for key in sequence.prompt.keys where pending[key] == ObjectIdentifier(sequence) {
      pending[key] = nil
    }
  }

  /// Computes a sequence again whose keys do not hold once it is one position longer, all but that
  /// position. Others wait for as long: it happens once, where LongRoPE's original length ends.
  ///
  /// - Returns: false where it cannot be computed again, as pictures are among its positions.
  private func renew(_ sequence: EngineSequence) throws -> Bool {
    guard var tokens = sequence.prompt.tokens(0..<sequence.prompt.count) else { return false }
    // The last one is run next.
    tokens += sequence.answer.writer.tokens.dropLast()
    sequence.paged.restart(length: tokens.count + 1)
    var first = 0
    while first < tokens.count {
      let end = min(tokens.count, first + options.prefillRows)
      let part = LLaMA.Part(
        sequence.paged, .tokens(Array(tokens[first..<end])), needsLogits: false)
      try language.layers([part], in: memory, workspace) { _, _ in }
      first = end
    }
    return true
  }

  /// Runs a pass over the weights.
  ///
  /// - Parameter arrivals: who may be read between its layers; nil for nobody.
  func run(
    _ plan: [Planned], _ clock: @escaping () -> ContinuousClock.Instant, _ arrivals: Arrivals?
  ) throws {
    var plan = plan
    for (sequence, rows) in plan where !sequence.paged.holds(language.layers, adding: rows) {
      guard try !renew(sequence) else { continue }
      sequence.answer.end(.context)
      plan.removeAll { $0.sequence === sequence }
      conclude(sequence, at: clock())
    }
    guard !plan.isEmpty else { return }
    let speculates = propose(&plan)
    var parts: [LLaMA.Part] = []
    var stored: [[PromptPosition]] = []
    var used = 0
    for (sequence, rows) in plan {
      let range = sequence.paged.count..<sequence.paged.count + rows
      sequence.makeRoom(for: rows, &ledger)
      if let token = sequence.next {
        let tokens = [token] + sequence.proposal
        parts.append(LLaMA.Part(sequence.paged, .tokens(tokens), logitRows: tokens.count))
        stored.append(tokens.map { .token($0) })
      } else {
        parts.append(
          LLaMA.Part(
            sequence.paged, try input(sequence.prompt, range, &used),
            needsLogits: range.upperBound == sequence.prompt.count))
        stored.append(Array(sequence.prompt.positions[range]))
      }
    }
    var failures: [(EngineSequence, any Error)] = []
    var fault: (any Error)?
    var isChecked = false
    let start = speculates ? clock() : nil
    var seconds = 0.0
    let before = secondsAside
    let between = arrivals.flatMap { self.interlude(in: plan, $0, clock) }
    try language.layers(parts, in: memory, workspace, interlude: between) { part, logits in
      if !isChecked {
        isChecked = true
        if let start { seconds = (clock() - start).seconds - (secondsAside - before) }
        do { try language.checkWeights() } catch { fault = error }
      }
      let sequence = plan[part].sequence
      guard fault == nil, !failures.contains(where: { $0.0 === sequence }) else { return }
      do { try take(logits, sequence, at: clock) } catch { failures.append((sequence, error)) }
    }
    if let fault { throw fault }
    counts.passes += 1
    counts.passRows += plan.reduce(0) { $0 + $1.rows }
    if speculates { note(plan, seconds: seconds) }
    for ((sequence, rows), positions) in zip(plan, stored) {
      let kept = sequence.settlePass(rows: rows)
      sequence.note(positions.prefix(kept), &ledger, names: sharesPrefixes)
      if !sequence.isReading { forgetPending(sequence) }
    }
    for (sequence, error) in failures { fail(sequence, error) }
    let now = clock()
    for (sequence, _) in plan where sequence.answer.writer.ending != nil {
      conclude(sequence, at: now)
    }
  }

  /// Positions of a prompt as the model takes them.
  ///
  /// - Parameter used: rows of `embedded` that are taken.
  private func input(
    _ prompt: PreparedPrompt, _ range: Range<Int>, _ used: inout Int
  ) throws(ModelError) -> LLaMA.Input {
    if let tokens = prompt.tokens(range) { return .tokens(tokens) }
    guard let pictures = language.pictures, let embedded else { return .tokens([]) }
    let all = embedded.matrix(rows: options.prefillRows, columns: language.layers.config.hidden)
    let rows = all[used..<used + range.count]
    used += range.count
    try prompt.embed(range, pictures, into: rows)
    return .embeddings(rows)
  }

  /// Chooses a token of an answer, behind the next of its rows.
  ///
  /// A row behind a proposed token counts if that token was chosen, and if what may follow it is known
  /// soon: others do not wait for a grammar.
  private func take(
    _ logits: MatrixView, _ sequence: EngineSequence, at clock: () -> ContinuousClock.Instant
  ) throws(GenerationError) {
    let row = sequence.seen
    sequence.seen += 1
    guard row == sequence.decided, row == 0 || isWanted(row, of: sequence) else { return }
    if !sequence.proposal.isEmpty, logits.notFiniteCount > 0 {
      // A wrong proposal may have overflowed, and its values stand beside those of this row: it is run
      // again without.
      sequence.speculator = nil
      return
    }
    let (before, last) = (sequence.answer.writer.tokens.count, sequence.answer.lastToken)
    let now = clock()
    let position = sequence.decidedPosition
    sequence.next = try sequence.answer.take(logits, position: position, at: now)
    sequence.decided += 1
    if sequence.next != nil, sequence.answer.isSettled, position + 1 >= contextLength {
      sequence.answer.end(.context)
    }
    guard let token = sequence.answer.writer.tokens.dropFirst(before).first else { return }
    sequence.speculator?.append(token)
    counts.completionTokens += 1
    if let last {
      counts.betweenTokens.add((now - last).seconds)
    } else {
      counts.firstToken.add((now - sequence.ticket.submitted).seconds)
    }
  }
}
