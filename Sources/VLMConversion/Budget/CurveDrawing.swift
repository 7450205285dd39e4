import VLMFoundation

#if canImport(Glibc)
  import Glibc
#endif

/// The predicted loss over the size of a model, drawn: the loss on a logarithmic axis, the mixture
/// that was chosen, and what it was found to lose.
package struct CurveDrawing {
  private let spending: Spending
  /// Of the mixture that was chosen; nil where only measuring told it.
  private let predicted: Double?
  private let points: [(megabytes: Double, loss: Double)]
  private let sizes: ClosedRange<Double>
  /// Powers of ten that the axis of losses spans.
  private let decades: ClosedRange<Int>

  private static let (width, height) = (720.0, 440.0)
  private static let (left, right, top, bottom) = (80.0, 20.0, 40.0, 50.0)

  package init(_ spending: Spending) {
    self.spending = spending
    let curve = spending.curve.map {
      (megabytes: Double($0.byteCount) / 1e6, loss: $0.loss)
    }
    predicted = spending.hasUnit ? spending.predictedLoss : 1
    points = curve.filter { $0.loss > 0 }
    let losses =
      points.map(\.loss) + [predicted ?? 0, spending.measuredLoss ?? 0].filter { $0 > 0 }
    let (low, high) = (losses.min() ?? 1, losses.max() ?? 1)
    let first = Int(log10(max(low, 1e-12)).rounded(.down))
    decades = first...max(first + 1, Int(log10(max(high, 1e-12)).rounded(.up)))
    let all = points.map(\.megabytes) + [Double(spending.byteCount) / 1e6]
    let (smallest, largest) = (all.min() ?? 0, all.max() ?? 1)
    sizes = smallest...max(largest, smallest * 1.001 + 1e-6)
  }

  private func x(_ megabytes: Double) -> Double {
    let share = (megabytes - sizes.lowerBound) / (sizes.upperBound - sizes.lowerBound)
    return Self.left + share * (Self.width - Self.left - Self.right)
  }

  private func y(_ loss: Double) -> Double {
    let (low, high) = (Double(decades.lowerBound), Double(decades.upperBound))
    let share = (log10(max(loss, 1e-12)) - low) / (high - low)
    return Self.height - Self.bottom - share * (Self.height - Self.top - Self.bottom)
  }

  package var svg: String {
    var lines = [
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 \(Int(Self.width)) "
        + "\(Int(Self.height))\" font-family=\"sans-serif\" font-size=\"12\">",
      "<rect width=\"100%\" height=\"100%\" fill=\"white\"/>",
      text(
        Self.width / 2, 22, "predicted loss (\(spending.curveUnit)) over size", anchor: "middle"),
    ]
    for decade in decades {
      let value = pow(10, Double(decade))
      lines.append(line(Self.left, y(value), Self.width - Self.right, y(value)))
      lines.append(text(Self.left - 8, y(value) + 4, label(decade), anchor: "end"))
    }
    for step in 0...5 {
      let megabytes =
        sizes.lowerBound + (sizes.upperBound - sizes.lowerBound) * Double(step) / 5
      lines.append(line(x(megabytes), Self.top, x(megabytes), Self.height - Self.bottom))
      lines.append(
        text(
          x(megabytes), Self.height - Self.bottom + 18,
          decimal(megabytes, megabytes < 100 ? 2 : 0), anchor: "middle"))
    }
    lines.append(text(Self.width / 2, Self.height - 10, "MB of tensors", anchor: "middle"))
    let path = points.map { "\(decimal(x($0.megabytes), 1)),\(decimal(y($0.loss), 1))" }
    lines.append(
      "<polyline fill=\"none\" stroke=\"#1f5fa8\" stroke-width=\"2\" points=\""
        + path.joined(separator: " ") + "\"/>")
    let chosen = Double(spending.byteCount) / 1e6
    let measured = spending.measuredLoss ?? 0
    // The upper of the two has its text above, so that neither covers the other.
    if let predicted, predicted > 0 {
      let name = spending.hasUnit ? "predicted" : "chosen"
      lines += mark(chosen, predicted, "#1f5fa8", name, isAbove: predicted >= measured)
    }
    if measured > 0 {
      lines += mark(
        chosen, measured, "#b3261e", "measured", isAbove: measured > predicted ?? 0)
    }
    return (lines + ["</svg>", ""]).joined(separator: "\n")
  }

  private func label(_ decade: Int) -> String {
    decade >= -4 && decade <= 2
      ? decimal(pow(10, Double(decade)), max(0, -decade)) : "1e\(decade)"
  }

  private func line(_ x1: Double, _ y1: Double, _ x2: Double, _ y2: Double) -> String {
    "<line x1=\"\(decimal(x1, 1))\" y1=\"\(decimal(y1, 1))\" x2=\"\(decimal(x2, 1))\" "
      + "y2=\"\(decimal(y2, 1))\" stroke=\"#ddd\"/>"
  }

  private func text(_ x: Double, _ y: Double, _ content: String, anchor: String) -> String {
    "<text x=\"\(decimal(x, 1))\" y=\"\(decimal(y, 1))\" text-anchor=\"\(anchor)\">\(content)</text>"
  }

  /// A dot with its value, on the side where there is room.
  private func mark(
    _ megabytes: Double, _ loss: Double, _ color: String, _ name: String, isAbove: Bool
  ) -> [String] {
    let (x, y) = (x(megabytes), y(loss))
    let isRight = x > Self.width * 0.7
    return [
      "<circle cx=\"\(decimal(x, 1))\" cy=\"\(decimal(y, 1))\" r=\"5\" fill=\"\(color)\"/>",
      text(
        x + (isRight ? -10 : 10), y + (isAbove ? -8 : 16), "\(name) \(significant(loss))",
        anchor: isRight ? "end" : "start"),
    ]
  }
}
