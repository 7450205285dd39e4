import VLMFoundation

/// An evaluation as a picture in SVG: what is lost of each item, ascending, and how reliable the scores
/// of classes are, where that is known.
struct EvaluationPlot {
  private let evaluation: Evaluation
  private var text = ""

  /// Of one panel, in pixels.
  private static let (width, height, margin) = (420.0, 320.0, 56.0)
  private static let (modelColor, referenceColor) = ("#0b6aa2", "#b3591f")

  init(_ evaluation: Evaluation) { self.evaluation = evaluation }

  /// Nil where nothing can be drawn.
  static func svg(_ evaluation: Evaluation) -> String? {
    var plot = EvaluationPlot(evaluation)
    var panels = 0
    if !evaluation.lossOfItems.isEmpty {
      plot.drawLosses(at: Double(panels) * width)
      panels += 1
    }
    if let reliability = evaluation.classes?.reliability {
      plot.drawReliability(reliability, at: Double(panels) * width)
      panels += 1
    }
    guard panels > 0 else { return nil }
    let size = "\(number(width * Double(panels))) \(number(height))"
    return """
      <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 \(size)" font-family="sans-serif" \
      font-size="12">
      <rect width="100%" height="100%" fill="white"/>
      \(plot.text)</svg>

      """
  }

  // MARK: - Panels

  private mutating func drawLosses(at left: Double) {
    let values = evaluation.lossOfItems
    let top = values.last.map { $0 > 0 ? $0 : 1 } ?? 1
    let isDivergence = evaluation.embeddings == nil && evaluation.classes?.scores != .raw
    let thing =
      evaluation.classes != nil || evaluation.embeddings != nil ? "picture" : "window or answer"
    frame(
      at: left, title: isDivergence ? "divergence, nats" : "1 - cosine",
      below: "\(values.count) × \(thing), sorted", top: Self.short(top), right: "")
    let last = Double(max(1, values.count - 1))
    // More points than pixels say nothing more.
    let step = max(1, values.count / 800)
    var places = Array(stride(from: 0, to: values.count, by: step))
    if places.last != values.count - 1 { places.append(values.count - 1) }
    line(places.map { (Double($0) / last, values[$0] / top) }, Self.modelColor, at: left)
    if let loss = evaluation.loss, loss <= top {
      line([(0, loss / top), (1, loss / top)], "#777777", at: left, isDashed: true)
      label(
        "mean \(Self.short(loss))", x: left + Self.margin + 4,
        y: Self.y(loss / top) - 4, "#777777")
    }
  }

  private mutating func drawReliability(_ reliability: Reliability, at left: Double) {
    frame(
      at: left, title: "share that is right", below: "score of the best class", top: "1", right: "1"
    )
    line([(0, 0), (1, 1)], "#777777", at: left, isDashed: true)
    for (reliability, color, name, row) in [
      (reliability, Self.modelColor, "model", 0.0),
      (evaluation.classes?.referenceReliability, Self.referenceColor, "reference", 1.0),
    ] {
      guard let reliability else { continue }
      let bins = reliability.bins.filter { $0.count > 0 }
      line(bins.map { ($0.confidence, $0.accuracy) }, color, at: left)
      for bin in bins {
        text +=
          "<circle cx=\"\(Self.number(Self.x(bin.confidence, left)))\" "
          + "cy=\"\(Self.number(Self.y(bin.accuracy)))\" r=\"3\" fill=\"\(color)\"/>\n"
      }
      label(
        "\(name), calibration error \(Self.short(reliability.calibrationError))",
        x: left + Self.margin + 6, y: Self.margin + 16 + 16 * row, color)
    }
  }

  // MARK: - Pieces

  private mutating func frame(
    at left: Double, title: String, below: String, top: String, right: String
  ) {
    let side = Self.number(Self.x(0, left))
    text +=
      "<path d=\"M\(side) \(Self.number(Self.y(1)))V\(Self.number(Self.y(0)))"
      + "H\(Self.number(Self.x(1, left)))\" fill=\"none\" stroke=\"black\"/>\n"
    label(title, x: left + Self.margin, y: Self.margin - 12, "black")
    label(below, x: left + Self.margin, y: Self.height - Self.margin + 34, "black")
    label(top, x: left + 8, y: Self.y(1) + 4, "black")
    label("0", x: left + 8, y: Self.y(0) + 4, "black")
    label(right, x: Self.x(1, left) - 6, y: Self.y(0) + 16, "black")
  }

  /// - Parameter points: from 0 to 1 each way.
  private mutating func line(
    _ points: [(Double, Double)], _ color: String, at left: Double, isDashed: Bool = false
  ) {
    let path = points.map { "\(Self.number(Self.x($0.0, left))),\(Self.number(Self.y($0.1)))" }
    text +=
      "<polyline points=\"\(path.joined(separator: " "))\" fill=\"none\" stroke=\"\(color)\" "
      + "stroke-width=\"1.5\"" + (isDashed ? " stroke-dasharray=\"4 3\"" : "") + "/>\n"
  }

  /// - Parameter content: without characters that XML gives a meaning.
  private mutating func label(_ content: String, x: Double, y: Double, _ color: String) {
    guard !content.isEmpty else { return }
    text +=
      "<text x=\"\(Self.number(x))\" y=\"\(Self.number(y))\" fill=\"\(color)\">\(content)</text>\n"
  }

  private static func x(_ share: Double, _ left: Double) -> Double {
    left + margin + share * (width - 2 * margin)
  }

  private static func y(_ share: Double) -> Double {
    height - margin - share * (height - 2 * margin)
  }

  /// A tenth of a pixel is enough.
  private static func number(_ value: Double) -> String { "\((value * 10).rounded() / 10)" }

  /// Three significant digits.
  private static func short(_ value: Double) -> String {
    guard value > 0, value.isFinite else { return "0" }
    var scale = 1.0
    while value * scale < 100, scale < 1e12 { scale *= 10 }
    return "\((value * scale).rounded() / scale)"
  }
}

extension Evaluation {
  /// What is lost of each item, ascending, and how reliable the scores of classes are, as a picture in
  /// SVG; nil where neither is known.
  public var plot: String? { EvaluationPlot.svg(self) }
}
