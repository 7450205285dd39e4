import VLMCommandLine
import VLMFoundation
import VLMZConverter

/// An evaluation for people: lines with what was found of the model and, beside it, of the reference.
struct EvaluationTable {
  private var rows: [(name: String, model: String, reference: String)] = []
  private let evaluation: Evaluation

  /// Answers that are listed.
  private static let listedAnswers = 5

  init(_ evaluation: Evaluation) {
    self.evaluation = evaluation
    if let classes = evaluation.classes { add(classes) }
    if let embeddings = evaluation.embeddings { add(embeddings) }
    if let cosine = evaluation.visualTokens { add("cosine of visual tokens", cosine: cosine) }
    if let text = evaluation.text {
      add(
        text,
        "text, \(counted(text.tokenCount, "predicted token")) in "
          + counted(text.sequenceCount, "window"))
    }
    if let answers = evaluation.answers {
      add(
        answers,
        "\(counted(answers.tokenCount, "predicted token")) in "
          + counted(answers.sequenceCount, "answer"))
    }
    if let own = evaluation.ownAnswers {
      add("answers that changed", "\(own.changed.count) of \(own.count)")
    }
  }

  var lines: [String] {
    var lines = [title]
    let names = rows.reduce(24) { max($0, $1.name.count) } + 2
    let hasReference = rows.contains { !$0.reference.isEmpty }
    if hasReference { lines.append("  " + pad("", names) + padded("model", "reference")) }
    for row in rows {
      let line = "  " + pad(row.name, names) + padded(row.model, row.reference)
      lines.append(row.model.isEmpty ? "  " + row.name : line)
    }
    lines += changes
    if let loss = evaluation.loss {
      lines.append("loss: " + decimal(loss, 6) + (isDivergence ? " nats" : " (1 - cosine)"))
    } else {
      lines.append("without a reference: no divergence, no cosine, no comparison of answers")
    }
    return lines
  }

  private var title: String {
    var text = "\(evaluation.model.escapedForDisplay()) (\(evaluation.architecture))"
    if let reference = evaluation.reference {
      text += " against \(reference.escapedForDisplay())"
    }
    let skipped = evaluation.skipped.reduce(0) { $0 + $1.count }
    if skipped > 0 { text += ", \(skipped) of the data skipped" }
    if evaluation.diskByteCount >= 1_000_000 {
      text += ", \(byteText(evaluation.diskByteCount)) of disk for the while"
    }
    return text
  }

  private var isDivergence: Bool {
    evaluation.embeddings == nil && evaluation.classes?.divergence != nil
      || evaluation.text != nil || evaluation.answers != nil
  }

  /// The first answers that changed.
  private var changes: [String] {
    guard let changed = evaluation.ownAnswers?.changed, !changed.isEmpty else { return [] }
    var lines: [String] = []
    for answer in changed.prefix(Self.listedAnswers) {
      let pictures = answer.pictures.map { $0.escapedForDisplay() + ": " }.joined()
      lines.append("  \(pictures)\(Self.shown(answer.question))")
      lines.append("    reference: \(Self.shown(answer.referenceText))")
      lines.append("    model:     \(Self.shown(answer.text))")
    }
    let left = changed.count - Self.listedAnswers
    if left > 0 { lines.append("  … and \(left) more; --json has all") }
    return lines
  }

  private static func shown(_ text: String) -> String { text.escapedForDisplay(limit: 160) }

  // MARK: - Rows

  private mutating func add(_ name: String, _ model: String, _ reference: String = "") {
    rows.append((name, model, reference))
  }

  private mutating func add(_ classes: Evaluation.Classes) {
    add("pictures", "\(classes.pictureCount)")
    if let reliability = classes.reliability {
      let other = classes.referenceReliability
      let known =
        classes.knownCount == classes.pictureCount ? "" : " of \(classes.knownCount) that are known"
      add(
        "accuracy" + known, percent(reliability.accuracy), other.map { percent($0.accuracy) } ?? "")
      add(
        "calibration error", percent(reliability.calibrationError),
        other.map { percent($0.calibrationError) } ?? "")
    } else if classes.scores != .raw {
      add("accuracy", "not known: no folder of the pictures is named as a class or by its number")
    }
    if let agreement = classes.agreement {
      add(classes.scores == .sigmoid ? "same classes above 50 %" : "same class", percent(agreement))
    }
    if let divergence = classes.divergence { add("divergence", divergence: divergence) }
    if let cosine = classes.cosine { add("cosine of the outputs", cosine: cosine) }
  }

  private mutating func add(_ embeddings: Evaluation.Embeddings) {
    if let cosine = embeddings.pictures {
      add("cosine of \(counted(cosine.values.count, "picture"))", cosine: cosine)
    }
    if let cosine = embeddings.texts {
      add("cosine of \(counted(cosine.values.count, "text"))", cosine: cosine)
    }
    if let share = embeddings.sameBestText { add("same best text", percent(share)) }
    if let share = embeddings.fiveBestTexts { add("five best texts shared", percent(share)) }
  }

  private mutating func add(_ predictions: Evaluation.Predictions, _ name: String) {
    add(name, "")
    add(
      "perplexity", decimal(predictions.perplexity, 4),
      predictions.referencePerplexity.map { decimal($0, 4) } ?? "")
    if let divergence = predictions.divergence { add("divergence", divergence: divergence) }
    if let share = predictions.sameBestToken { add("same most probable token", percent(share)) }
  }

  private mutating func add(_ name: String, divergence: Evaluation.Spread) {
    add(name, decimal(divergence.mean, 6) + " nats")
    add(
      "  median, 99 %", decimal(divergence.median, 6) + ", " + decimal(divergence.percentile99, 6))
  }

  private mutating func add(_ name: String, cosine: Evaluation.Spread) {
    add(name, decimal(cosine.mean, 6) + ", least " + decimal(cosine.least, 6))
  }

  private func percent(_ share: Double) -> String { decimal(share * 100, 2) + " %" }

  private func pad(_ text: String, _ width: Int) -> String {
    text + String(repeating: " ", count: max(0, width - text.count))
  }

  private func padded(_ model: String, _ reference: String) -> String {
    reference.isEmpty ? model : pad(model, 14) + reference
  }
}
