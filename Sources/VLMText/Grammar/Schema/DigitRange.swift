/// Grammars of numbers that are not negative, digit by digit: a digit is bound as long as those
/// before it are the bound's own.
enum DigitRange {
  private static func digits(_ range: ClosedRange<UInt8>) -> GrammarExpression {
    .scalars(ScalarSet([UInt32(range.lowerBound + 0x30)...UInt32(range.upperBound + 0x30)]))
  }

  private static func text(_ digits: some Sequence<UInt8>) -> GrammarExpression {
    .bytes(digits.map { $0 + 0x30 })
  }

  private static func free(_ count: Int) -> GrammarExpression {
    .repeated(JSONGrammar.digit, minimum: count, maximum: count)
  }

  // MARK: Whole numbers

  /// From `first` to `last`, both included and without leading zeros.
  static func whole(_ first: [UInt8], _ last: [UInt8]) -> GrammarExpression {
    guard first.count <= last.count else { return .never }
    var choices: [GrammarExpression] = []
    for count in first.count...last.count {
      let lowest = [count == 1 ? 0 : 1] + [UInt8](repeating: 0, count: count - 1)
      let highest = [UInt8](repeating: 9, count: count)
      choices.append(
        between(
          (count == first.count ? first : lowest)[...], (count == last.count ? last : highest)[...])
      )
    }
    return .choice(choices)
  }

  /// Numbers of the same length.
  private static func between(
    _ low: ArraySlice<UInt8>, _ high: ArraySlice<UInt8>
  ) -> GrammarExpression {
    guard let l = low.first, let h = high.first else { return .empty }
    guard l <= h else { return .never }
    if l == h { return .sequence([text([l]), between(low.dropFirst(), high.dropFirst())]) }
    let count = low.count - 1
    let zeros = [UInt8](repeating: 0, count: count)[...]
    let nines = [UInt8](repeating: 9, count: count)[...]
    var (from, to) = (l, h)
    var choices: [GrammarExpression] = []
    if low.dropFirst() != zeros {
      choices.append(.sequence([text([l]), between(low.dropFirst(), nines)]))
      from += 1
    }
    if high.dropFirst() != nines {
      choices.append(.sequence([text([h]), between(zeros, high.dropFirst())]))
      to -= 1
    }
    if from <= to { choices.append(.sequence([digits(from...to), free(count)])) }
    return .choice(choices)
  }

  // MARK: Fractions

  static func numbers(_ low: NumberRange.Bound, _ high: NumberRange.Bound) -> GrammarExpression {
    let (first, last) = (low.value.whole, high.value.whole)
    if first == last {
      return .sequence([text(first), Fraction(low: low, high: high).expression])
    }
    guard DecimalText(whole: first) < DecimalText(whole: last) else { return .never }
    var choices: [GrammarExpression] = [
      .sequence([text(first), Fraction(low: low, high: nil).expression]),
      .sequence([text(last), Fraction(low: nil, high: high).expression]),
    ]
    let (next, before) = (DecimalText.successor(first), DecimalText.predecessor(last))
    if !(DecimalText(whole: before) < DecimalText(whole: next)) {
      choices.append(.sequence([whole(next, before), JSONGrammar.fraction.optional]))
    }
    return .choice(choices)
  }

  /// What follows a whole part that is a bound's own.
  private struct Fraction {
    let low: NumberRange.Bound?
    let high: NumberRange.Bound?

    private var maximumDigits: Int {
      max(
        JSONGrammar.maximumDigits, (low?.value.fraction.count ?? 0) + 1,
        (high?.value.fraction.count ?? 0) + 1)
    }

    var expression: GrammarExpression {
      var choices = canStop(0, low != nil, high != nil) ? [GrammarExpression.empty] : []
      if let digits = more(0, low != nil, high != nil) {
        choices.append(.sequence([.text("."), digits]))
      }
      return .choice(choices)
    }

    private func digit(_ bound: NumberRange.Bound?, _ place: Int) -> UInt8 {
      let fraction = bound?.value.fraction ?? []
      return place < fraction.count ? fraction[place] : 0
    }

    /// Whether the digits so far, which are all of a bound's, are the bound.
    private func isReached(_ bound: NumberRange.Bound?, _ place: Int) -> Bool {
      place >= bound?.value.fraction.count ?? 0
    }

    /// - Parameters:
    ///   - place: digits so far.
    ///   - followsLow, followsHigh: whether they are the bound's.
    private func canStop(_ place: Int, _ followsLow: Bool, _ followsHigh: Bool) -> Bool {
      if followsLow, !isReached(low, place) || low?.isExclusive ?? false { return false }
      return !(followsHigh && isReached(high, place) && high?.isExclusive ?? false)
    }

    /// At least one more digit; nil where none can follow.
    private func more(_ place: Int, _ followsLow: Bool, _ followsHigh: Bool) -> GrammarExpression? {
      let left = maximumDigits - place
      guard left > 0 else { return nil }
      // Whatever follows the lower bound itself is above it.
      let isBoundLow = followsLow && !(isReached(low, place) && !(low?.isExclusive ?? false))
      if !isBoundLow, !followsHigh {
        return .repeated(JSONGrammar.digit, minimum: 1, maximum: left)
      }
      // At the upper bound itself there is room for zeros alone.
      if followsHigh, isReached(high, place) {
        guard !isBoundLow, !(high?.isExclusive ?? false) else { return nil }
        return .repeated(.text("0"), minimum: 1, maximum: left)
      }
      let first = isBoundLow ? digit(low, place) : 0
      let last = followsHigh ? digit(high, place) : 9
      guard first <= last else { return nil }
      var choices: [GrammarExpression] = []
      var unbound: ClosedRange<UInt8>?
      for value in first...last {
        let isLow = isBoundLow && value == first
        let isHigh = followsHigh && value == last
        guard isLow || isHigh else {
          unbound = (unbound?.lowerBound ?? value)...value
          continue
        }
        var next: [GrammarExpression] = []
        if canStop(place + 1, isLow, isHigh) { next.append(.empty) }
        if let digits = more(place + 1, isLow, isHigh) { next.append(digits) }
        if !next.isEmpty { choices.append(.sequence([text([value]), .choice(next)])) }
      }
      if let unbound {
        choices.append(
          .sequence([
            digits(unbound), .repeated(JSONGrammar.digit, minimum: 0, maximum: left - 1),
          ]))
      }
      return choices.isEmpty ? nil : .choice(choices)
    }
  }
}
