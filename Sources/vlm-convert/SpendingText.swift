import VLMCommandLine
import VLMConversion
import VLMFoundation

/// What a budget was spent on, for people.
struct SpendingText {
  let spending: Spending

  init(_ spending: Spending) { self.spending = spending }

  func print() {
    Report.line("  for \(spending.budget.text): \(loss)")
    if spending.basis == .products {
      Report.line("  what matrices cost is taken for constants of their roles")
    }
    for kind in spending.kinds {
      let schemes = kind.schemes.map { "\($0.count) in \($0.scheme.name)" }
      let share = spending.basis == .weights ? "" : ", \(percent(kind.share)) of the loss"
      Report.line(
        "    \(kind.name.escapedForDisplay()): \(schemes.joined(separator: ", ")); "
          + "\(byteText(kind.byteCount))\(share)")
    }
  }

  /// By how much a sum over matrices that nothing has corrected was too low at most, on models that
  /// were measured.
  private static let mostTooLow = 3.0

  /// What the model loses, as far as it is known.
  private var loss: String {
    let unit = spending.unit.text
    if let measured = spending.measuredLoss {
      let expected = spending.predictedLoss.map { " (\(significant($0)) was expected)" } ?? ""
      return "\(significant(measured)) \(unit), measured on data that were held back\(expected)"
    }
    guard let expected = spending.predictedLoss else {
      return spending.basis == .weights
        ? "chosen by errors of weights; --calibrate finds out what the model loses"
        : "what the model loses was not measured; vlm-convert evaluate measures it"
    }
    return spending.isCorrected
      ? "\(significant(expected)) \(unit) expected, by what other sizes were measured to lose"
      : "\(significant(expected)) to \(significant(Self.mostTooLow * expected)) \(unit) expected, "
        + "which nothing has measured yet"
  }

  private func percent(_ share: Double) -> String {
    share >= 0.1 ? "\(decimal(100 * share, 0)) %" : "\(decimal(100 * share, 1)) %"
  }
}
