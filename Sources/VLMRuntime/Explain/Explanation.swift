import VLMInput
import VLMTensor

#if canImport(Glibc)
  import Glibc
#endif

/// A picture of what a tower makes of an image: its input as it saw it, the tokens it gives, and,
/// where two resolutions are joined, the features of both and how far each gate is open.
///
/// It watches the named intermediates of one image, keeps the few that it draws, and needs to know
/// nothing of the model.
package struct Explanation: Sendable {
  /// A map of features, channels last.
  struct FeatureMap: Sendable, Equatable {
    let height: Int
    let width: Int
    let channels: Int
    let values: [Float]
  }

  /// The deviations and means that the input was normalised with.
  private let normalization: Preprocessing.Normalization
  private var pixels: Canvas?
  private var tokens: FeatureMap?
  private var low: FeatureMap?
  private var high: FeatureMap?
  private var stages: [(name: String, map: FeatureMap)] = []
  private var gates: [(index: Int, value: Double)] = []

  package init(normalization: Preprocessing.Normalization) {
    self.normalization = normalization
  }

  /// Looks at an intermediate.
  ///
  /// - Parameters:
  ///   - shape: `[1, channels, height, width]`, or `[1, tokens, channels]`.
  package mutating func see(_ name: String, _ shape: [Int], _ values: [Float]) {
    let name = name.hasPrefix("tower.") ? String(name.dropFirst(6)) : name
    guard values.count == shape.reduce(1, *), !values.isEmpty, shape.first == 1 else { return }
    if name == "pixel_values", shape.count == 4, shape[1] == 3 {
      pixels = picture(values, height: shape[2], width: shape[3])
    } else if let gate = Self.index(of: name, after: "adapter", before: ".gate") {
      if values.count == 1 { gates.append((gate, tanh(Double(values[0])))) }
    } else if let map = map(shape, values) {
      switch name {
      case "features", "visual_tokens": tokens = map
      case let name where name.hasPrefix("fast.hidden"): low = map
      case let name where name.hasPrefix("slow.stage"): high = map
      case let name where Self.index(of: name, after: "stage", before: "") != nil:
        stages.append((name, map))
      case let name where Self.index(of: name, after: "hidden", before: "") != nil:
        stages = [(name, map)]
      default: break
      }
    }
  }

  /// "adapter12.gate" gives 12.
  private static func index(of name: String, after prefix: String, before suffix: String) -> Int? {
    guard name.hasPrefix(prefix), name.hasSuffix(suffix) else { return nil }
    return Int(name.dropFirst(prefix.count).dropLast(suffix.count))
  }

  /// The map that an intermediate is; tokens get the grid that fits the input's proportions best.
  /// A leading class token is left out.
  private func map(_ shape: [Int], _ values: [Float]) -> FeatureMap? {
    if shape.count == 4 {
      let (channels, height, width) = (shape[1], shape[2], shape[3])
      guard height * width > 1 else { return nil }
      var last = [Float](repeating: 0, count: values.count)
      for channel in 0..<channels {
        for place in 0..<height * width {
          last[place * channels + channel] = values[channel * height * width + place]
        }
      }
      // Tokens that come as a map of one line.
      if height == 1 { return map([1, width, channels], last) }
      return FeatureMap(height: height, width: width, channels: channels, values: last)
    }
    guard shape.count == 3, let pixels else { return nil }
    let (count, channels) = (shape[1], shape[2])
    for skipped in 0...1 {
      if let (height, width) = Self.grid(count - skipped, like: pixels.width, pixels.height) {
        return FeatureMap(
          height: height, width: width, channels: channels,
          values: Array(values[(skipped * channels)...]))
      }
    }
    return nil
  }

  /// The factors of `count` in the proportions of width to height, nil when none come close.
  private static func grid(_ count: Int, like width: Int, _ height: Int) -> (Int, Int)? {
    guard count > 1 else { return nil }
    let wanted = Double(width) / Double(height)
    let lines = (1...count).filter { count % $0 == 0 }.min { a, b in
      func distance(_ lines: Int) -> Double {
        abs(log(Double(count / lines) / Double(lines) / wanted))
      }
      return distance(a) < distance(b)
    }
    guard let lines, abs(log(Double(count / lines) / Double(lines) / wanted)) < 0.3 else {
      return nil
    }
    return (lines, count / lines)
  }

  private func picture(_ values: [Float], height: Int, width: Int) -> Canvas {
    var canvas = Canvas(width: width, height: height)
    let area = width * height
    for place in 0..<area {
      let sample = (0..<3).map { channel -> UInt8 in
        let value = Double(values[channel * area + place])
        let level = value * normalization.deviation[channel] + normalization.mean[channel]
        return level.isFinite ? UInt8(min(255, max(0, (level * 255).rounded()))) : 0
      }
      canvas[place % width, place / width] = .init(sample[0], sample[1], sample[2])
    }
    return canvas
  }

  // MARK: - Drawing

  private struct Panel {
    let caption: String
    let picture: Canvas
  }

  /// The longer side of a panel.
  private static let side = 384
  private static let margin = 16
  private static let captionHeight = 26

  /// The drawing, nil when there was no input to see.
  package func draw() -> Canvas? {
    guard let pixels else { return nil }
    var panels = [Panel(caption: "input \(pixels.width)×\(pixels.height)", picture: pixels)]
    if let tokens = tokens ?? stages.last?.map {
      panels.append(panel("tokens", tokens))
    }
    if let low { panels.append(panel("low resolution", low)) }
    if let high { panels.append(panel("high resolution", high)) }
    if low == nil, high == nil {
      for stage in stages.dropLast() { panels.append(panel(stage.name, stage.map)) }
    }
    return compose(panels, inputWidth: pixels.width, inputHeight: pixels.height)
  }

  private func panel(_ name: String, _ map: FeatureMap) -> Panel {
    let colours = PrincipalComponents.project(
      map.values, rows: map.height * map.width, columns: map.channels)
    var picture = Canvas(width: map.width, height: map.height)
    for place in 0..<map.width * map.height {
      let level = (0..<3).map { UInt8((colours[place * 3 + $0] * 255).rounded()) }
      picture[place % map.width, place / map.width] = .init(level[0], level[1], level[2])
    }
    return Panel(caption: "\(name) \(map.width)×\(map.height)", picture: picture)
  }

  private func compose(_ panels: [Panel], inputWidth: Int, inputHeight: Int) -> Canvas {
    let longest = max(inputWidth, inputHeight)
    let width = max(1, Self.side * inputWidth / longest)
    let height = max(1, Self.side * inputHeight / longest)
    let cell = max(width, panels.map { Canvas.textWidth($0.caption) }.max() ?? 0)
    let gateHeight = gates.isEmpty ? 0 : Self.captionHeight * (gates.count + 1) + Self.margin
    var canvas = Canvas(
      width: Self.margin + panels.count * (cell + Self.margin),
      height: 2 * Self.margin + Self.captionHeight + height + gateHeight)
    for (index, panel) in panels.enumerated() {
      let left = Self.margin + index * (cell + Self.margin)
      canvas.write(panel.caption, x: left, y: Self.margin)
      canvas.draw(
        panel.picture, x: left, y: Self.margin + Self.captionHeight, width: width, height: height)
    }
    if !gates.isEmpty {
      drawGates(&canvas, top: 2 * Self.margin + Self.captionHeight + height)
    }
    return canvas
  }

  /// A bar for each adapter's gate, from -1 to 1: how much of the high resolution is added.
  private func drawGates(_ canvas: inout Canvas, top: Int) {
    let label = "adapter 0 -0.000"
    let left = Self.margin + Canvas.textWidth(label) + Self.margin
    let half = min(Self.side, (canvas.width - left - Self.margin) / 2)
    let middle = left + half
    canvas.write("gates", x: Self.margin, y: top)
    let (low, high) = ("-1", "+1")
    canvas.write(low, x: left, y: top)
    canvas.write("0", x: middle - Canvas.textWidth("0") / 2, y: top)
    canvas.write(high, x: middle + half - Canvas.textWidth(high), y: top)
    for (row, gate) in gates.sorted(by: { $0.index < $1.index }).enumerated() {
      let y = top + (row + 1) * Self.captionHeight
      let text = (gate.value < 0 ? "-" : "+") + Self.thousandths(abs(gate.value))
      canvas.write("adapter \(gate.index) \(text)", x: Self.margin, y: y)
      let length = Int((abs(gate.value) * Double(half)).rounded())
      canvas.fill(
        x: gate.value < 0 ? middle - length : middle, y: y, width: length,
        height: 2 * Glyphs.height, gate.value < 0 ? .negative : .positive)
      canvas.fill(x: middle, y: y - 4, width: 1, height: Self.captionHeight, .rule)
    }
  }

  private static func thousandths(_ value: Double) -> String {
    let scaled = Int((value * 1000).rounded())
    let digits = String(scaled % 1000)
    return "\(scaled / 1000)." + String(repeating: "0", count: 3 - digits.count) + digits
  }
}
