// LLaMA as transformers' `modeling_llama.py` computes it, one sequence at a time.

import VLMTensor

/// A decoder that runs on rows of embeddings, so that rows of another origin, such as the visual
/// tokens of a LLaVA, can stand between those of tokens.
package final class LLaMA: Sendable {
  package let config: LLaMAConfig
  private let embedding: Embedding
  let blocks: [LLaMABlock]
  let norm: RMSNorm
  let lmHead: MatrixProduct
  private let kernels: KernelSet

  /// - Throws: `ModelError` when a tensor is missing or has another shape.
  package init(_ weights: Weights, _ config: LLaMAConfig) throws(ModelError) {
    self.config = config
    embedding = try Embedding(
      weights["embed_tokens"], count: config.vocabulary, dimension: config.hidden,
      role: config.tiedEmbeddings ? .head : .embedding)
    var blocks: [LLaMABlock] = []
    for index in 0..<config.layers {
      blocks.append(try LLaMABlock(weights["layers"][index], config, layer: index))
    }
    self.blocks = blocks
    norm = try RMSNorm(weights["norm"], channels: config.hidden, epsilon: config.epsilon)
    if config.tiedEmbeddings {
      lmHead = embedding.product
    } else {
      let weight = try weights["lm_head"].tensor(
        "weight", [config.vocabulary, config.hidden], .head)
      lmHead = weights.product(weight)
    }
    kernels = weights.kernels
  }

  /// What the next positions of the sequence hold.
  package enum Input {
    case tokens([Int])
    /// `[positions, hidden]`; the owner outlives the call.
    case embeddings(MatrixView)

    package var count: Int {
      switch self {
      case .tokens(let ids): ids.count
      case .embeddings(let rows): rows.rows
      }
    }
  }

  /// Sees hidden states, `[positions, hidden]`: at `depth` 0 what enters the first block, at N what
  /// leaves block N, the last one behind the final norm. A long input comes in chunks; the first row
  /// of `value` stands at `position`.
  package typealias Observer = (_ depth: Int, _ value: MatrixView, _ position: Int) -> Void

  /// The embeddings of tokens: `[ids.count, hidden]`.
  ///
  /// - Throws: `ModelError` for an id that is not in the vocabulary.
  package func embed(_ ids: [Int], into output: MatrixView) throws(ModelError) {
    try check(ids)
    look(up: ids, into: output)
  }

  /// The same for ids that were checked.
  func look(up ids: [Int], into output: MatrixView) {
    embedding(ids, into: output)
    let scale = config.traits.embeddingScale
    if scale != 1 { output.multiply(by: scale) }
  }

  /// The logits of normed rows: `[rows.rows, vocabulary]`.
  func head(
    _ rows: MatrixView, into logits: MatrixView, _ context: LLaMAContext,
    outliers: MatrixProduct.Outliers = .many
  ) {
    context.multiply([MatrixProduct.Task(lmHead, into: logits)], of: rows, outliers: outliers)
    let scale = config.traits.logitScale
    if scale != 1 {
      context.forEachTile(rows: logits.rows) { part in logits[part].multiply(by: scale) }
    }
    guard let cap = config.traits.logitCap else { return }
    context.forEachTile(rows: logits.rows) { part in kernels.softCap(logits[part], cap: cap) }
  }

  /// Runs the positions of `input`, which follow the first `position` ones that `context` holds;
  /// what it held from there on is forgotten.
  ///
  /// - Parameter isCancelled: asked before each block. Once it says yes the call returns: then the
  ///   context holds fewer positions than it was given, and the logits mean nothing.
  /// - Returns: the logits behind the last position, `[1, vocabulary]`, until the next call.
  /// - Throws: `ModelError` when the context is too short, or for an id out of range.
  @discardableResult
  package func callAsFunction(
    _ input: Input, position: Int, _ context: LLaMAContext, observe: Observer? = nil,
    isCancelled: (() -> Bool)? = nil
  ) throws(ModelError) -> MatrixView {
    precondition(input.count > 0, "at least one position")
    var last = context.logits(rows: 1)
    try run(
      input, position: position, context, observe: observe, isCancelled: isCancelled, needed: .last
    ) { rows, _ in
      let logits = context.logits(rows: 1)
      head(rows, into: logits, context)
      last = logits
    }
    return last
  }

  /// The same, with the logits behind every position: `[some rows, vocabulary]` at a time, the
  /// first of them behind `position`.
  package func scoreAll(
    _ input: Input, position: Int, _ context: LLaMAContext, observe: Observer? = nil,
    body: (_ logits: MatrixView, _ position: Int) -> Void
  ) throws(ModelError) {
    try run(
      input, position: position, context, observe: observe, isCancelled: nil, needed: .all
    ) { rows, position in
      var start = 0
      while start < rows.rows {
        let part = start..<min(rows.rows, start + context.logitRows)
        let logits = context.logits(rows: part.count)
        head(rows[part], into: logits, context)
        body(logits, position + start)
        start = part.upperBound
      }
    }
  }

  /// The logits behind each of a few tokens, `[ids.count, vocabulary]`, until the next call. Row i has the
  /// bits that running the tokens up to i one by one gives where `keepsRowsApart` says so.
  ///
  /// - Parameter ids: no more than `LLaMAContext.togetherRows` says.
  /// - Throws: `ModelError` when the context is too short, or for an id out of range.
  package func logits(
    behindEachOf ids: [Int], position: Int, _ context: LLaMAContext
  ) throws(ModelError) -> MatrixView {
    precondition(ids.count <= min(context.chunkRows, context.logitRows), "rows that fit")
    let logits = context.logits(rows: ids.count)
    try run(
      .tokens(ids), position: position, context, observe: nil, isCancelled: nil, needed: .all
    ) { rows, _ in head(rows, into: logits, context) }
    return logits
  }

  /// See `MatrixProduct.keepsRowsApart`; of all matrices.
  package var keepsRowsApart: Bool {
    lmHead.keepsRowsApart && blocks.allSatisfy(\.keepsRowsApart)
  }

  /// Rows whose last hidden state is needed.
  private enum Needed { case last, all }

  /// - Parameter finish: given normed rows of the last block's output, and where they stand.
  private func run(
    _ input: Input, position: Int, _ context: LLaMAContext, observe: Observer?,
    isCancelled: (() -> Bool)?, needed: Needed,
    finish: (_ rows: MatrixView, _ position: Int) -> Void
  ) throws(ModelError) {
    if case .tokens(let ids) = input { try check(ids) }
    if case .embeddings(let rows) = input {
      precondition(rows.columns == config.hidden, "rows of the model's width")
    }
    let total = input.count
    try context.begin(at: position, adding: total)
    // Chunks of about one size: a small last one would read all weights for a few rows.
    let chunks = (total + context.chunkRows - 1) / context.chunkRows
    for chunk in 0..<chunks {
      let range = total * chunk / chunks..<total * (chunk + 1) / chunks
      let first = position + range.lowerBound
      context.prepareRotation(positions: first..<first + range.count)
      let entering = context.stream(0, rows: range.count)
      switch input {
      case .tokens(let ids): look(up: Array(ids[range]), into: entering)
      case .embeddings(let rows): entering.copy(rows[range])
      }
      observe?(0, entering, first)
      let isLast = chunk == chunks - 1
      // Nothing reads the last block's output but the head.
      let last = isLast ? range.count - 1..<range.count : 0..<0
      let kept = needed == .all || observe != nil ? 0..<range.count : last
      for (index, block) in blocks.enumerated() {
        // What the blocks before have stored for this chunk lies behind the context's end.
        if let isCancelled, isCancelled() { return }
        let isFinal = index == blocks.count - 1
        block(
          rows: range.count, position: first, layer: index,
          kept: isFinal ? kept : 0..<range.count, context)
        if !isFinal {
          observe?(index + 1, context.stream(0, rows: range.count), first)
        }
      }
      context.advance(to: first + range.count)
      guard !kept.isEmpty else { continue }
      let leaving = context.stream(0, rows: kept.count)
      let normed = context.branch(rows: kept.count, columns: config.hidden)
      context.forEachTile(rows: kept.count) { rows in norm(leaving[rows], into: normed[rows]) }
      observe?(blocks.count, normed, first + kept.lowerBound)
      switch needed {
      case .all: finish(normed, first + kept.lowerBound)
      case .last where isLast: finish(normed[kept.count - 1..<kept.count], first + range.count - 1)
      case .last: break
      }
    }
  }

  /// Says that a sequence grew, or shrank, past the length at which LongRoPE turns otherwise.
  static func rotatedOtherwise(_ held: Int, _ length: Int) -> ModelError {
    ModelError(
      .configuration(
        field: "rope_scaling.original", found: "\(held) positions in a sequence of \(length)",
        expected: "all of them to be run again, as their keys are turned for another length"))
  }

  /// - Throws: `ModelError` for an id that is not in the vocabulary.
  func check(_ ids: [Int]) throws(ModelError) {
    if let wrong = ids.first(where: { $0 < 0 || $0 >= config.vocabulary }) {
      throw ModelError(
        .configuration(
          field: "token id", found: String(wrong), expected: "0 to \(config.vocabulary - 1)"))
    }
  }
}
