import VLMCheckpoint
import VLMFoundation
import VLMTensor

/// What a file of statistics says, for people and as JSON.
package struct StatisticsListing {
  private let file: StatisticsFile
  private let entries: [Entry]

  /// A group and what stands out.
  private struct Entry {
    let group: StatisticsGroup
    let rows: Int
    /// √(mean x²) over all inputs.
    let rootMeanSquare: Double
    /// The fewest inputs that have half of Σ x².
    let half: Int
    /// What the model loses by errors in each matrix; nil where that was not found out.
    let sensitivities: [Double]?

    init(_ group: StatisticsGroup, _ file: StatisticsFile) {
      self.group = group
      let (rows, _, squares) = file.moments(of: group)
      self.rows = Int(min(rows, 1e15))
      let total = squares.reduce(0, +)
      rootMeanSquare = (total / rows / Double(group.inputs)).squareRoot()
      var (sum, count) = (0.0, 0)
      for square in squares.sorted(by: >) where sum < total / 2 {
        sum += square
        count += 1
      }
      half = count
      let found = group.tensors.map { file.sensitivity(of: $0) }
      sensitivities = found.contains { $0 != nil } ? found.map { $0 ?? 0 } : nil
    }

    var json: JSONValue {
      var object: JSONObject = JSONObject()
      object.set("tensors", .array(group.tensors.map { .string($0) }))
      object.set("inputs", .int(group.inputs))
      object.set("rows", .int(rows))
      object.set("hessian", .bool(group.hasHessian))
      object.set("rms", .double(rootMeanSquare))
      object.set("inputs_with_half", .int(half))
      if let sensitivities {
        object.set("sensitivities", .array(sensitivities.map { .double($0) }))
      }
      return .object(object)
    }
  }

  /// - Returns: nil for a file of another kind.
  /// - Throws: `StatisticsError` for a damaged file of statistics.
  package init?(path: String) throws {
    guard !FileSystem.isFolder(path), let catalog = try? SafetensorsFile.read(path: path),
      StatisticsFile.isStatistics(catalog)
    else { return nil }
    let file = try StatisticsFile.open(path: path)
    self.file = file
    entries = file.groups.map { Entry($0, file) }
  }

  package var json: JSONValue {
    [
      "kind": "statistics", "data": file.provenance,
      "groups": .array(entries.map(\.json)),
      "losses": .array(
        file.losses.points.map {
          ["expected": .double($0.expected), "measured": .double($0.measured)]
        }),
    ]
  }

  package var lines: [String] {
    func number(_ one: String) -> String {
      file.provenance[one + "s"]?.intValue.map { counted($0, one) } ?? "? \(one)s"
    }
    let head =
      "statistics of \(number("picture")), \(number("text")), \(number("token")): "
      + counted(entries.count, "input") + " of matrices"
    let inputs = entries.map(Self.line(of:))
    let losses = file.losses.points.map { point in
      "  measured: a mixture whose matrices add up to \(significant(point.expected)) lost "
        + significant(point.measured)
    }
    return [head] + inputs + losses
  }

  /// One input of matrices: which, what was seen of it, and what errors of its matrices cost.
  private static func line(of entry: Entry) -> String {
    let others = entry.group.tensors.count - 1
    var line = "  \(entry.group.name.escapedForDisplay())"
    if others > 0 { line += " and \(others) more" }
    line += "  \(counted(entry.group.inputs, "input")), \(counted(entry.rows, "row")), "
    line += "RMS \(text(entry.rootMeanSquare)), half of the squares in \(entry.half)"
    if entry.group.hasHessian { line += ", Hessian" }
    if let losses = entry.sensitivities {
      line += ", loss by relative error " + losses.map(significant).joined(separator: " ")
    }
    return line
  }

  /// Three digits.
  private static func text(_ value: Double) -> String {
    guard value > 0, value.isFinite else { return "0" }
    var (scale, size) = (1.0, value)
    while size < 100, scale < 1e30 {
      size *= 10
      scale *= 10
    }
    return "\((value * scale).rounded() / scale)"
  }
}
