import VLMFoundation
import VLMModels
import VLMTensor
import VLMText

/// Sees a named intermediate: maps as `[1, channels, height, width]`, tokens as
/// `[1, count, channels]`, hidden states as `[positions, hidden]`, logits as `[vocabulary]`.
package typealias ConversationObserver = (_ name: String, _ shape: [Int], _ values: [Float]) -> Void

/// Prompts that may have pictures among their tokens.
extension TextGenerator {
  /// Continues a text.
  ///
  /// - Parameter prompt: as the tokenizer takes it; special tokens in it count as such.
  /// - Throws: as the other `generate`, and for a model without a tokenizer.
  package func generate(
    _ prompt: String, _ options: GenerationOptions, cancelled: CancellationFlag? = nil,
    emit: (String) -> Void = { _ in }
  ) throws -> Generation {
    guard let tokenizer else { throw GenerationError(file: file, .noTokenizer) }
    return try generate(try tokenizer.encode(prompt), options, cancelled: cancelled, emit: emit)
  }

  /// Continues a prompt.
  ///
  /// - Parameters:
  ///   - ids: the whole conversation, `ImagePrompt.sentinel` where a picture goes.
  ///   - images: the pictures, in their order.
  ///   - emit: called with each piece of text as soon as it is certain.
  /// - Throws: `ModelError` when the numbers of pictures differ or the context is too short,
  ///   `GenerationError`.
  package func generate(
    _ ids: [Int], images: [VisualTokens] = [], _ options: GenerationOptions,
    cancelled: CancellationFlag? = nil, emit: (String) -> Void = { _ in }
  ) throws -> Generation {
    guard let pictures else {
      guard images.isEmpty, !ids.contains(ImagePrompt.sentinel) else { throw blind }
      return try inFile {
        try generate(
          .tokens(ids), options, cancelled: cancelled, emit: emit)
      }
    }
    let splice = try splice(ids, images)
    let wanted = Self.positions(splice, images)
    // The last one is run in any case: its logits are what is wanted.
    var common = zip(held, wanted.dropLast()).prefix { $0 == $1 }.count
    if !context.holds(common, length: wanted.count) { common = 0 }
    let hidden = model.config.hidden
    let memory = try inFile {
      try Activations(
        count: (wanted.count - common) * hidden,
        for: "a prompt of \(wanted.count - common) positions")
    }
    let rows = memory.matrix(rows: wanted.count - common, columns: hidden)
    held.removeLast(held.count - common)
    let words = wanted.map { position in
      if case .token(let id) = position { id } else { Self.embedded }
    }
    let result = try inFile {
      try pictures.embed(splice.pieces(from: common), images: images, into: rows)
      return try withExtendedLifetime(memory) {
        try generate(
          .embeddings(rows, position: common), options, words: words, cancelled: cancelled,
          emit: emit)
      }
    }
    // A prompt that was cancelled is held in part.
    let written = history.dropFirst(wanted.count).map { Position.token($0) }
    held = Array(wanted.prefix(history.count)) + written
    heldImages = images
    return result
  }

  /// Runs a prompt and shows what is inside: `input_ids`; `inputs_embeds` and `hidden.i` of all its
  /// positions, and `hidden_last.i` of the last; `argmax_all`, the most probable token behind each;
  /// `logits`, which is `logits_last` too, behind the last. What the context held is forgotten.
  package func inspect(
    _ ids: [Int], images: [VisualTokens], observe: ConversationObserver
  ) throws {
    let hidden = model.config.hidden
    let count: Int
    let embed: (MatrixView) throws -> Void
    if let pictures {
      let splice = try splice(ids, images)
      count = splice.count
      embed = { try pictures.embed(splice.pieces, images: images, into: $0) }
    } else {
      guard !ids.isEmpty else { throw GenerationError(.emptyPrompt) }
      guard images.isEmpty, !ids.contains(ImagePrompt.sentinel) else { throw blind }
      count = ids.count
      embed = { try self.model.embed(ids, into: $0) }
    }
    observe("input_ids", [1, ids.count], ids.map { Float($0) })
    let memory = try inFile {
      try Activations(count: count * hidden, for: "a prompt of \(count) positions")
    }
    let rows = memory.matrix(rows: count, columns: hidden)
    try inFile {
      try embed(rows)
      try withExtendedLifetime(memory) { try inspect(rows, observe: observe) }
    }
    try checkWeights()
  }

  private var blind: GenerationError {
    GenerationError(file: file, .setting(.picture, found: "a picture", expected: "text alone"))
  }

  private func splice(_ ids: [Int], _ images: [VisualTokens]) throws -> Splice {
    let splice = try inFile {
      try Splice(ids, sentinel: ImagePrompt.sentinel, images: images.map(\.runs))
    }
    guard splice.count > 0 else { throw GenerationError(.emptyPrompt) }
    return splice
  }

  private static func positions(_ splice: Splice, _ images: [VisualTokens]) -> [Position] {
    splice.pieces.flatMap { piece -> [Position] in
      switch piece {
      case .text(let ids): ids.map { .token($0) }
      case .image(let index, let rows):
        rows.map { .image(ObjectIdentifier(images[index]), row: $0) }
      }
    }
  }

  /// Runs rows of embeddings from the first position on and shows what is inside; the sequence
  /// that the context held is forgotten.
  private func inspect(_ rows: MatrixView, observe: ConversationObserver) throws {
    var states = [[Float]](repeating: [], count: model.config.layers + 1)
    observe("inputs_embeds", [1, rows.rows, rows.columns], rows.array())
    forget()
    var best: [Float] = []
    var last: [Float] = []
    try model.scoreAll(.embeddings(rows), position: 0, context) { depth, value, _ in
      // A long prompt comes in chunks.
      states[depth] += value.array()
    } body: { logits, position in
      for row in 0..<logits.rows { best.append(Float(logits.indexOfLargest(inRow: row))) }
      if position + logits.rows == rows.rows {
        last = logits[logits.rows - 1..<logits.rows].array()
      }
    }
    for (depth, values) in states.enumerated() {
      observe("hidden.\(depth)", [values.count / rows.columns, rows.columns], values)
      observe("hidden_last.\(depth)", [rows.columns], Array(values.suffix(rows.columns)))
    }
    observe("argmax_all", [best.count], best)
    observe("logits", [last.count], last)
    observe("logits_last", [last.count], last)
    context.truncate(to: 0)
  }
}

extension MatrixView {
  /// The column of a row's largest value, the first of equal ones; 0 where none is a number.
  fileprivate func indexOfLargest(inRow row: Int) -> Int {
    var best = 0
    for column in 1..<max(1, columns) where !(self[row, column] <= self[row, best]) {
      if !self[row, column].isNaN { best = column }
    }
    return best
  }
}
