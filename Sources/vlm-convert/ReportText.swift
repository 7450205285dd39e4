import VLMCommandLine
import VLMConversion
import VLMFoundation
import VLMTensor

/// The report of a conversion, for people.
struct ReportText {
  let report: ConversionReport
  let output: String
  let seconds: Double

  func print() {
    Report.line(
      "\(output.escapedForDisplay()): \(byteText(report.fileByteCount)), "
        + "\(report.parameterCount) parameters, "
        + "\(decimal(report.bitsPerWeight, 2)) bits per weight, \(decimal(seconds, 1)) s")
    if let line = calibration { Report.line(line) }
    if let spending = report.spending { SpendingText(spending).print() }
    for group in report.schemes {
      Report.line(
        "  \(pad(group.scheme.name, 5))\(counted(group.tensors, "tensor")), "
          + "\(group.parameters) parameters, \(byteText(group.bytes))")
    }
    let promoted = report.entries.filter { $0.reason != nil }
    if !promoted.isEmpty {
      Report.line("stored otherwise than asked:")
      for (reason, entries) in grouped(promoted) {
        let names = entries.prefix(3).map { $0.name.escapedForDisplay() }.joined(separator: ", ")
        let more = entries.count > 3 ? " and \(entries.count - 3) more" : ""
        Report.line("  \(entries[0].scheme.name): \(names)\(more): \(reason)")
      }
    }
    let worst = report.worst.prefix(3)
    if !worst.isEmpty {
      Report.line("largest relative RMS error:")
      for entry in worst {
        Report.line(
          "  \(decimal(entry.error.relativeRootMeanSquareError * 100, 2)) %  "
            + "\(entry.scheme.name)  \(entry.name.escapedForDisplay())")
      }
    }
  }

  /// "  calibrated on 18 pictures; 2 more held back to measure what is lost", whatever there was.
  private var calibration: String? {
    guard let data = report.calibration else { return nil }
    func part(_ key: String, _ name: String) -> String? {
      data[key]?.intValue.flatMap { $0 > 0 ? "\($0) \(name)" : nil }
    }
    let parts = [
      part("pictures", "pictures"), part("drawn", "drawn pictures"),
      part("texts", "windows of text, conversations or captions"), part("tokens", "tokens"),
    ].compactMap { $0 }
    let others = [
      part(
        "held_back",
        "more held back"
          + (report.spending?.measuredLoss == nil ? "" : " to measure what is lost")),
      part("left_out", "left out as damaged"),
    ].compactMap { $0 }
    return "  calibrated on " + parts.joined(separator: ", ")
      + others.map { "; \($0)" }.joined()
  }

  private func pad(_ text: String, _ width: Int) -> String {
    text + String(repeating: " ", count: max(1, width - text.count))
  }

  private func grouped(
    _ entries: [ConversionReport.Entry]
  ) -> [(String, [ConversionReport.Entry])] {
    var order: [String] = []
    var groups: [String: [ConversionReport.Entry]] = [:]
    for entry in entries {
      let reason = entry.reason?.shown ?? ""
      if groups[reason] == nil { order.append(reason) }
      groups[reason, default: []].append(entry)
    }
    return order.map { ($0, groups[$0] ?? []) }
  }
}
