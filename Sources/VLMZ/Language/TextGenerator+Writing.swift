import VLMFoundation
import VLMModels
import VLMTensor
import VLMText

/// The answer behind a prompt, token by token or several in a pass.
extension TextGenerator {
  /// What one pass over the weights has made.
  private struct Pass {
    /// A row for each token that was run: `[proposal.count + 1, vocabulary]`.
    var logits: MatrixView
    /// The tokens that rows 1 and on stand behind, if they are what the rows before them say.
    var proposal: [Int] = []
    /// The row that the next token is chosen from.
    var row = 0

    var current: MatrixView { logits[row..<row + 1] }
  }

  /// Writes an answer.
  ///
  /// Proposals change nothing of it but the time: a proposed token is kept only where the row before it
  /// chose the same one, with the same sampler in the same state. `history` has what was kept, and the
  /// context is cut to it.
  ///
  /// - Parameters:
  ///   - first: the logits behind the prompt.
  ///   - speculator: nil for one token a pass.
  func write(
    _ writer: AnswerWriter, behind first: MatrixView, _ speculator: Speculator?,
    _ cancelled: CancellationFlag?, _ result: inout Generation, _ emit: (String) -> Void
  ) throws {
    var (writer, speculator) = (writer, speculator)
    func show(_ text: String) {
      guard !text.isEmpty else { return }
      result.text += text
      emit(text)
    }
    var pass = Pass(logits: first)
    defer { context.truncate(to: min(history.count, context.count)) }
    while writer.ending == nil {
      if cancelled?.isCancelled ?? false {
        writer.end(.cancelled)
        break
      }
      if !pass.proposal.isEmpty, pass.current.notFiniteCount > 0 {
        // A wrong proposal may have overflowed, and its values stand beside those of this row.
        pass = Pass(logits: try runLastAgain())
      }
      let token = try writer.choose(
        pass.current, history: history, position: history.count - 1)
      observeStep?(GenerationStep(token: token, logits: pass.current.array()))
      show(writer.append(token))
      if writer.ending != nil { break }
      if history.count >= context.capacity {
        writer.end(.context)
        break
      }
      speculator?.append(token)
      if pass.row < pass.proposal.count, pass.proposal[pass.row] == token {
        speculation.noteAccepted(rows: 1)
        result.timings.acceptedTokens += 1
        pass.row += 1
      } else {
        context.truncate(to: history.count)
        let proposal = proposal(speculator, writer)
        let start = MonotonicClock.seconds
        guard let logits = try step(token, proposal) else {
          writer.end(.context)
          break
        }
        pass = Pass(logits: logits, proposal: proposal)
        try checkWeights()
        let seconds = MonotonicClock.seconds - start
        speculation.note(rows: 1, proposed: proposal.count, seconds: seconds)
        result.timings.stepSeconds += seconds
        result.timings.proposedTokens += proposal.count
      }
      history.append(token)
      result.timings.steps += 1
    }
    show(writer.finish())
    result.tokens = writer.tokens
    result.ending = writer.ending ?? .length
  }

  /// What finds repetitions of a prompt; nil where there is no use for it: matrices whose rows have other
  /// bits together than alone would write another text.
  func speculator(behind prompt: [Int], _ options: GenerationOptions) -> Speculator? {
    guard options.speculatedTokens > 0, model.keepsRowsApart else { return nil }
    return Speculator(
      prompt: prompt, expecting: min(options.maximumTokens, context.capacity),
      ends: options.stopTokens ?? stopTokens, atMost: options.speculatedTokens)
  }

  /// What the next pass decides beside the token behind the one that it runs.
  private func proposal(_ speculator: Speculator?, _ writer: AnswerWriter) -> [Int] {
    let position = context.count
    guard let speculator, context.holds(position, length: position + 1) else { return [] }
    let rows = context.togetherRows(
      from: position, atMost: min(PassCosts.maximumRows, writer.tokensLeft))
    let proposal = speculator.proposal(atMost: rows - 1)
    guard !proposal.tokens.isEmpty else { return [] }
    return Array(proposal.tokens.prefix(speculation.shares(of: [proposal])[0]))
  }

  /// Runs a token and what may follow it behind what the context holds; all of it again where its keys do
  /// not hold for the longer sequence.
  ///
  /// - Returns: the logits behind each of them; nil where keys do not hold, and what stands there is no
  ///   longer known.
  private func step(_ token: Int, _ proposal: [Int]) throws -> MatrixView? {
    let count = context.count
    guard proposal.isEmpty else {
      return try model.logits(behindEachOf: [token] + proposal, position: count, context)
    }
    guard !context.holds(count, length: count + 1) else {
      return try model(.tokens([token]), position: count, context)
    }
    guard !history.contains(Self.embedded) else { return nil }
    return try model(.tokens(history + [token]), position: 0, context)
  }

  /// The logits behind the last token that was kept, run without others.
  private func runLastAgain() throws -> MatrixView {
    let position = history.count - 1
    context.truncate(to: position)
    return try model(.tokens([history[position]]), position: position, context)
  }
}
