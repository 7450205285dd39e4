import VLMImages
import VLMModels
import VLMTensor
import VLMText

#if canImport(Glibc)
  import Glibc
#endif

/// A picture of what a tower makes of an image: its input as it saw it, the features on the way and
/// the tokens it gives, and, where two resolutions are joined, how far each gate is open.
///
/// It watches the intermediates of one image, keeps the few that it draws by their roles, and needs to
/// know nothing of the model.
package struct Explanation: Sendable {
  /// A map of features, channels last.
  struct FeatureMap: Sendable, Equatable {
    let height: Int
    let width: Int
    let channels: Int
    let values: [Float]
    /// What the map's own width and height were, before it was thinned out.
    let extent: String

    init(height: Int, width: Int, channels: Int, values: [Float], extent: String? = nil) {
      self.height = height
      self.width = width
      self.channels = channels
      self.values = values
      self.extent = extent ?? "\(width)×\(height)"
    }
  }

  /// The deviations and means that the input was normalised with.
  private let normalization: Preprocessing.Normalization
  private var pixels: Canvas?
  private var features: (caption: String, map: FeatureMap)?
  private var low: FeatureMap?
  private var high: FeatureMap?
  private var stages: [(name: String, map: FeatureMap)] = []
  private var layers: [(name: String, map: FeatureMap)] = []
  private var gates: [(index: Int, value: Double)] = []

  package init(normalization: Preprocessing.Normalization) {
    self.normalization = normalization
  }

  /// Looks at an intermediate.
  ///
  /// - Parameters:
  ///   - shape: `[1, channels, height, width]`, or `[1, tokens, channels]`; of a transformer's
  ///     tokens also `[1, channels, 1, tokens]`.
  package mutating func see(_ role: ObservationRole, _ shape: [Int], _ values: [Float]) {
    guard values.count == shape.reduce(1, *), !values.isEmpty, shape.first == 1 else { return }
    switch role {
    case .input where shape.count == 4:
      pixels = picture(values, channels: shape[1], height: shape[2], width: shape[3])
    case .stage(let index):
      if let map = map(shape, values) { stages.append(("stage \(index)", map)) }
    case .layer(let index) where index > 0:
      if let map = map(shape, values) { layers.append(("layer \(index)", map)) }
    case .lowResolution: low = map(shape, values) ?? low
    case .highResolution: high = map(shape, values) ?? high
    case .gate(let index):
      let gate = tanh(Double(values[0]))
      if values.count == 1, gate.isFinite { gates.append((index, gate)) }
    case .features:
      if let map = map(shape, values) { features = ("features", map) }
    case .visualTokens:
      if let map = map(shape, values) { features = ("visual tokens", map) }
    case .input, .layer, .other: break
    }
  }

  /// The map that an intermediate is, thinned out where no panel could show it; tokens get the grid
  /// that fits the input's proportions best. A leading class token is left out.
  private func map(_ shape: [Int], _ values: [Float]) -> FeatureMap? {
    if shape.count == 4 {
      let (channels, height, width) = (shape[1], shape[2], shape[3])
      guard height * width > 1 else { return nil }
      // Tokens that come as a map of one line.
      if height == 1, pixels != nil,
        let map = map([1, width, channels], Self.channelsLast(values, channels: channels))
      {
        return map
      }
      let step = (max(height, width) + Self.longestMap - 1) / Self.longestMap
      if step > 1 {
        return Self.thinned(values, height: height, width: width, channels: channels, step: step)
      }
      return FeatureMap(
        height: height, width: width, channels: channels,
        values: Self.channelsLast(values, channels: channels))
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

  /// Lines or columns of a map at most: a third of a panel's, and what finding directions takes is in
  /// proportion to their product.
  private static let longestMap = 128

  private static func channelsLast(_ values: [Float], channels: Int) -> [Float] {
    let area = values.count / channels
    var last = [Float](repeating: 0, count: values.count)
    for channel in 0..<channels {
      for place in 0..<area { last[place * channels + channel] = values[channel * area + place] }
    }
    return last
  }

  /// The means of squares of `step` by `step`, smaller ones at the right and lower edge.
  private static func thinned(
    _ values: [Float], height: Int, width: Int, channels: Int, step: Int
  ) -> FeatureMap {
    let (lines, columns) = ((height + step - 1) / step, (width + step - 1) / step)
    var means = [Float](repeating: 0, count: lines * columns * channels)
    for line in 0..<lines {
      let rows = line * step..<min(height, (line + 1) * step)
      for column in 0..<columns {
        let places = column * step..<min(width, (column + 1) * step)
        let share = 1 / Float(rows.count * places.count)
        for channel in 0..<channels {
          var sum: Float = 0
          for row in rows {
            for place in places { sum += values[(channel * height + row) * width + place] }
          }
          means[(line * columns + column) * channels + channel] = sum * share
        }
      }
    }
    return FeatureMap(
      height: lines, width: columns, channels: channels, values: means, extent: "\(width)×\(height)"
    )
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

  /// Red, green and blue come first; of a model that sees fewer channels the first is gray.
  private func picture(_ values: [Float], channels: Int, height: Int, width: Int) -> Canvas {
    var canvas = Canvas(width: width, height: height)
    let area = width * height
    for place in 0..<area {
      let sample = (0..<3).map { color -> UInt8 in
        let channel = channels < 3 ? 0 : color
        let value = Double(values[channel * area + place])
        let known = min(channel, normalization.mean.count - 1)
        let level = value * normalization.deviation[known] + normalization.mean[known]
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
  private static let lineHeight = 26
  private static let panelsPerLine = 3

  /// The drawing, nil when there was no input to see.
  package func draw() -> Canvas? {
    guard let pixels else { return nil }
    var panels = [Panel(caption: "input \(pixels.width)×\(pixels.height)", picture: pixels)]
    var maps = stages
    // Without a norm behind it the last stage is what the tower gives.
    if let last = maps.last, last.map == features?.map { maps.removeLast() }
    // A third, two thirds and all of a transformer's layers.
    let wanted = [layers.count / 3, layers.count * 2 / 3, layers.count].map { $0 - 1 }
    for index in Set(wanted).sorted() where layers.indices.contains(index) {
      if index < layers.count - 1 || layers[index].map != features?.map {
        maps.append(layers[index])
      }
    }
    if let low { maps.append(("low resolution", low)) }
    if let high { maps.append(("high resolution", high)) }
    if let features { maps.append((features.caption, features.map)) }
    panels += maps.map { panel($0.name, $0.map) }
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
    return Panel(caption: "\(name) \(map.extent)", picture: picture)
  }

  private func compose(_ panels: [Panel], inputWidth: Int, inputHeight: Int) -> Canvas {
    let longest = max(inputWidth, inputHeight)
    let width = max(1, Self.side * inputWidth / longest)
    let height = max(1, Self.side * inputHeight / longest)
    let cell = max(width, panels.map { Canvas.textWidth($0.caption) }.max() ?? 0) + Self.margin
    // Four stand better in two lines of two than in lines of three and one.
    let perLine = panels.count == 4 ? 2 : min(panels.count, Self.panelsPerLine)
    let lines = (panels.count + perLine - 1) / perLine
    let lineHeight = Self.lineHeight + height + Self.margin
    let gatesTop = Self.margin + lines * lineHeight
    let gatesHeight = gates.isEmpty ? 0 : Self.lineHeight * (gates.count + 1) + Self.margin / 2
    let notesTop = gatesTop + gatesHeight
    let canvasWidth = Self.margin + perLine * cell
    let notes = notes(panels).flatMap {
      Self.wrapped($0, width: canvasWidth - 2 * Self.margin)
    }
    var canvas = Canvas(
      width: canvasWidth, height: notesTop + notes.count * Self.lineHeight + Self.margin / 2)
    for (index, panel) in panels.enumerated() {
      let left = Self.margin + index % perLine * cell
      let top = Self.margin + index / perLine * lineHeight
      canvas.write(panel.caption, x: left, y: top)
      canvas.draw(panel.picture, x: left, y: top + Self.lineHeight, width: width, height: height)
    }
    if !gates.isEmpty { drawGates(&canvas, top: gatesTop) }
    for (line, note) in notes.enumerated() {
      canvas.write(note, x: Self.margin, y: notesTop + line * Self.lineHeight, .faint)
    }
    return canvas
  }

  /// What a person needs to know to read the drawing.
  private func notes(_ panels: [Panel]) -> [String] {
    var notes: [String] = []
    if panels.count > 1 {
      notes.append("within each map, what has like features has like colours")
    }
    if !gates.isEmpty { notes.append("gates: how much of the high resolution is added") }
    return notes
  }

  private static func wrapped(_ text: String, width: Int) -> [String] {
    var lines: [String] = []
    for word in text.split(separator: " ") {
      if let last = lines.last, Canvas.textWidth(last + " " + word) <= width {
        lines[lines.count - 1] = last + " " + word
      } else {
        lines.append(String(word))
      }
    }
    return lines
  }

  /// A bar for each adapter's gate, from -1 to 1: how much of the high resolution is added.
  private func drawGates(_ canvas: inout Canvas, top: Int) {
    let label = "adapter 00 -0.000"
    let left = Self.margin + Canvas.textWidth(label) + Self.margin
    let half = min(Self.side, (canvas.width - left - Self.margin) / 2)
    let middle = left + half
    canvas.write("gates", x: Self.margin, y: top)
    let (low, high) = ("-1", "+1")
    canvas.write(low, x: left, y: top)
    canvas.write("0", x: middle - Canvas.textWidth("0") / 2, y: top)
    canvas.write(high, x: middle + half - Canvas.textWidth(high), y: top)
    for (row, gate) in gates.sorted(by: { $0.index < $1.index }).enumerated() {
      let y = top + (row + 1) * Self.lineHeight
      let text = (gate.value < 0 ? "-" : "+") + Self.thousandths(abs(gate.value))
      canvas.write("adapter \(gate.index) \(text)", x: Self.margin, y: y)
      let length = Int((abs(gate.value) * Double(half)).rounded())
      canvas.fill(
        x: gate.value < 0 ? middle - length : middle, y: y, width: length,
        height: 2 * Glyphs.height, gate.value < 0 ? .negative : .positive)
      canvas.fill(x: middle, y: y - 4, width: 1, height: Self.lineHeight, .rule)
    }
  }

  private static func thousandths(_ value: Double) -> String {
    let scaled = Int((value * 1000).rounded())
    let digits = String(scaled % 1000)
    return "\(scaled / 1000)." + String(repeating: "0", count: 3 - digits.count) + digits
  }
}
