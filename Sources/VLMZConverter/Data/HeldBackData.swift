import VLMText

/// Which data a model is not calibrated on, so that they show what was lost.
extension Array {
  /// One of so many is held back.
  private var heldBackShare: Int { 8 }

  /// Every eighth element; none of fewer than eight, of which none can be spared.
  var heldBack: [Element] {
    enumerated().filter { $0.offset % heldBackShare == heldBackShare - 1 }.map(\.element)
  }

  /// The others.
  var notHeldBack: [Element] {
    enumerated().filter { $0.offset % heldBackShare != heldBackShare - 1 }.map(\.element)
  }
}

extension TokenSequence {
  /// The sequence as models are judged on it: what stands behind its pictures, and of a text its second
  /// half; nil where nothing is left.
  var judged: TokenSequence? {
    var sequence = self
    if let last = ids.lastIndex(of: ImagePrompt.sentinel) {
      sequence.promptCount = Swift.max(promptCount, last + 1)
    } else if kind == .text {
      sequence = TokenSequence(windowOf: ids)
    }
    return sequence.countedTokens > 0 ? sequence : nil
  }
}
