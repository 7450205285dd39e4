import VLMModels
import VLMTensor
import VLMText

/// An answer with the keys and values that it needs: first its prompt, then its tokens.
final class EngineSequence {
  let ticket: EngineTicket
  let prompt: PreparedPrompt
  let paged: PagedSequence
  /// When it was admitted.
  let began: ContinuousClock.Instant
  var answer: ActiveAnswer
  /// The token that is run next; nil while the prompt is read.
  var next: Int?
  /// Finds repetitions; nil for one token a pass.
  var speculator: Speculator?
  /// What the pass that is being run decides beside `next`: tokens that may follow it.
  var proposal: [Int] = []
  /// Rows of that pass whose logits have come.
  var seen = 0
  /// Those of them that the answer has a token of.
  var decided = 0
  /// Whether others know which pages it is about to compute.
  var hasAnnounced = false
  /// Pages that it was promised and has not taken.
  private(set) var promised: Int
  /// The key of the last page that is full.
  private var lastKey: PageKey
  /// What stands at the positions behind the last full page.
  private var tail: [PromptPosition] = []
  private let pagePositions: Int

  /// - Parameter promised: pages that suffice for prompt and answer.
  init(
    _ ticket: EngineTicket, _ prompt: PreparedPrompt, _ answer: ActiveAnswer,
    in memory: KeyValuePages, promised: Int, began: ContinuousClock.Instant
  ) {
    self.began = began
    self.ticket = ticket
    self.prompt = prompt
    self.answer = answer
    self.promised = promised
    pagePositions = memory.pagePositions
    paged = PagedSequence(
      in: memory, positions: promised * memory.pagePositions, promptLength: prompt.count)
    lastKey = prompt.root
  }

  /// Positions of the prompt that are to be computed.
  var missing: Int { max(0, prompt.count - paged.count) }
  var isReading: Bool { missing > 0 }
  /// Rows that the next pass may have of it: what gives logits waits until the grammar's say is known.
  var readyRows: Int {
    isReading ? missing - (answer.isSettled ? 0 : 1) : answer.isSettled ? 1 : 0
  }
  /// The key of the prompt's page that is computed next, when nothing of it is yet and it has one.
  var nextKey: PageKey? {
    let page = paged.count / pagePositions
    guard paged.count % pagePositions == 0, page < prompt.keys.count else { return nil }
    return prompt.keys[page]
  }

  /// The keys of the prompt's pages from the next one on.
  var keysAhead: ArraySlice<PageKey> { prompt.keys.dropFirst(paged.count / pagePositions) }

  /// Takes over pages that others have computed.
  ///
  /// - Returns: how many positions they hold.
  func share(_ ledger: inout PageLedger) -> Int {
    let before = paged.count
    while let key = nextKey, let page = ledger.share(key) {
      promised -= 1
      paged.adopt(page, positions: pagePositions)
      lastKey = key
    }
    answer.add(cached: paged.count - before)
    return paged.count - before
  }

  /// Takes pages for so many more positions.
  func makeRoom(for positions: Int, _ ledger: inout PageLedger) {
    while paged.table.positions < paged.count + positions {
      promised -= 1
      paged.table.append(ledger.take())
    }
  }

  /// Where the next row stands that the answer may have a token of, while a pass is not settled.
  var decidedPosition: Int { paged.count - 1 - proposal.count + decided }

  /// Forgets what a pass has stored of tokens that are not the answer's.
  ///
  /// - Parameter rows: that it had of this sequence.
  /// - Returns: how many of them stay.
  func settlePass(rows: Int) -> Int {
    defer { (proposal, seen, decided) = ([], 0, 0) }
    guard !proposal.isEmpty else { return rows }
    paged.truncate(to: paged.count - rows + decided)
    return decided
  }

  /// Notes what was stored last, and names the pages that are full now.
  ///
  /// - Parameter names: false where pages are not shared.
  func note(_ positions: some Sequence<PromptPosition>, _ ledger: inout PageLedger, names: Bool) {
    guard names else { return }
    tail += positions
    while tail.count >= pagePositions {
      let page = (paged.count - tail.count) / pagePositions
      lastKey = PageKey(after: lastKey, tail.prefix(pagePositions))
      tail.removeFirst(pagePositions)
      ledger.name(paged.table.pages[page], lastKey)
    }
  }

  /// Gives its pages back.
  func leave(_ ledger: inout PageLedger) {
    ledger.takeBack(promised)
    promised = 0
    ledger.release(paged.table.pages)
  }
}
