import VLMCommandLine
import VLMConversion
import VLMFoundation

/// What a budget was spent on, for people.
struct SpendingText {
  let spending: Spending

  init(_ spending: Spending) { self.spending = spending }

  func print() {
    let unit = spending.unit.text
    let measured = spending.measuredLoss.map {
      ", \(significant($0)) measured on data that were held back"
    }
    Report.line(
      "  for \(spending.budget.text): \(significant(spending.loss)) \(unit) expected"
        + (measured ?? ""))
    switch spending.basis {
    case .measured: break
    case .products: Report.line("  what matrices cost is taken for constants of their roles")
    case .weights:
      Report.line(
        "  chosen by errors of weights, which is a guess: calibration finds out what matrices cost")
    }
    for kind in spending.kinds {
      let schemes = kind.schemes.map { "\($0.scheme.name) \($0.count)" }
      Report.line(
        "    \(kind.name.escapedForDisplay()): \(schemes.joined(separator: ", ")); "
          + "\(byteText(kind.byteCount)), loss \(significant(kind.loss))")
    }
  }
}
