import VLMFoundation
import VLMModels
import VLMTensor
import VLMText
import VLMZ

#if canImport(Glibc)
  import Glibc
#endif

/// Texts that a model writes, several at a time: a pass over the weights makes a token of each.
struct TextWriter {
  /// What one text begins with, and how far it goes.
  struct Start: Sendable {
    let ids: [Int]
    /// Ids of the whole text at most.
    let length: Int
    let seed: UInt64
  }

  private let layers: LLaMA
  private let shared: LLaMAContext
  private let contexts: [LLaMAContext]
  private let stopTokens: Set<Int>
  private let cancelled: CancellationFlag?

  /// Texts at a time. More would gain little: by then products take as long as reading the weights.
  private static let most = 16

  /// One of those that are being written.
  private struct Slot {
    let text: Int
    let context: LLaMAContext
    var random: SplitMix64
  }

  /// - Parameters:
  ///   - length: ids of the longest text.
  ///   - stopTokens: end a text.
  /// - Throws: `ModelError` when that needs more memory than the machine has.
  init(
    _ layers: LLaMA, length: Int, stopTokens: Set<Int>, pool: WorkerPool, kernels: KernelSet,
    cancelled: CancellationFlag?
  ) throws {
    self.layers = layers
    self.stopTokens = stopTokens
    self.cancelled = cancelled
    // Keys and values in 8 bits: of a large model each text has hundreds of megabytes.
    func context() throws -> LLaMAContext {
      try layers.sequenceContext(length: length, format: .q8, pool: pool, kernels: kernels)
    }
    let first = try context()
    let fitting = Machine.memory.planned / 2 / max(1, first.byteCount)
    let others = max(0, min(Self.most, fitting) - 1)
    contexts = try [first] + (0..<others).map { _ in try context() }
    shared = try layers.sharedContext(count: contexts.count, pool: pool, kernels: kernels)
  }

  /// Goes on with each of `starts` until it is as long as it may be, or the model ends it.
  ///
  /// Texts do not depend on one another, and are drawn at temperature 1.
  ///
  /// - Parameter step: called with the ids that were written so far, of all texts.
  /// - Throws: `GenerationError` when the model makes no numbers, `WorkCancelled`.
  func write(_ starts: [Start], step: (Int) -> Void) throws -> [[Int]] {
    var texts = starts.map(\.ids)
    var free = contexts
    var slots: [Slot] = []
    var (next, written) = (0, 0)
    while true {
      while next < starts.count, let context = free.last {
        if texts[next].count < starts[next].length, !texts[next].isEmpty {
          context.truncate(to: 0)
          free.removeLast()
          slots.append(
            Slot(text: next, context: context, random: SplitMix64(seed: starts[next].seed)))
        }
        next += 1
      }
      guard !slots.isEmpty else { return texts }
      if cancelled?.isCancelled ?? false { throw WorkCancelled() }
      var chosen = [Int?](repeating: nil, count: slots.count)
      var bad: Int?
      let ids = slots.map { texts[$0.text][$0.context.count] }
      try layers.step(ids, slots.map(\.context), shared: shared) { row, logits in
        // Of what a text begins with only the last id says what follows.
        guard slots[row].context.count == texts[slots[row].text].count else { return }
        logits.withRow(0) { values in
          chosen[row] = Self.draw(values, &slots[row].random)
        }
        if chosen[row] == nil { bad = slots[row].context.count - 1 }
      }
      if let bad { throw GenerationError(.notNumbers(position: bad)) }
      written += slots.count
      step(written)
      var kept: [Slot] = []
      for (slot, id) in zip(slots, chosen) {
        var isDone = false
        if let id {
          isDone = stopTokens.contains(id)
          if !isDone { texts[slot.text].append(id) }
          isDone = isDone || texts[slot.text].count >= starts[slot.text].length
        }
        if isDone { free.append(slot.context) } else { kept.append(slot) }
      }
      slots = kept
    }
  }

  /// A place of `values`, each as often as their softmax says; nil where one is NaN or infinite.
  private static func draw(
    _ values: UnsafeBufferPointer<Float>, _ random: inout SplitMix64
  ) -> Int? {
    var (best, sum) = (-Float.infinity, 0.0)
    for value in values {
      guard value.isFinite else { return nil }
      best = max(best, value)
    }
    // What is that much less probable than the best is never drawn.
    let floor = best - 20
    for value in values where value > floor { sum += Double(exp(value - best)) }
    var left = random.nextUnit() * sum
    var last: Int?
    for (place, value) in values.enumerated() where value > floor {
      left -= Double(exp(value - best))
      if left < 0 { return place }
      last = place
    }
    return last
  }
}
