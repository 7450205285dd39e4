import VLMContainer
import VLMTensor

/// The parts of a container's weights in the order in which a model asks for them, which is nearly the
/// order in which it uses them: layer by layer.
struct WeightParts: Equatable {
  /// A layer each, or what else belongs together by its name.
  private(set) var parts: [WeightReader.Part] = []
  /// The part of each tensor that is multiplied.
  private(set) var partOfTensor: [String: Int] = [:]

  /// - Parameter manifest: what the model asks for; tensors that the container lacks are passed over.
  init(_ manifest: [TensorSpec], in container: Container) {
    var names: [String] = []
    var ranges: [[Range<Int>]] = []
    // Tables of which a few rows are looked up are no part of a pass.
    for spec in manifest where spec.role != .embedding {
      guard let entry = container.tensor(named: spec.path), !entry.range.isEmpty else { continue }
      let name = Self.name(of: spec.path)
      if names.last != name {
        names.append(name)
        ranges.append([])
      }
      ranges[ranges.count - 1].append(entry.range)
      if spec.role.isMatrix { partOfTensor[spec.path] = names.count - 1 }
    }
    let multiplied = Set(partOfTensor.values)
    var place = [Int](repeating: 0, count: names.count)
    for index in names.indices where multiplied.contains(index) {
      place[index] = parts.count
      parts.append(WeightReader.Part(name: names[index], ranges: Self.joined(ranges[index])))
    }
    partOfTensor = partOfTensor.mapValues { place[$0] }
  }

  var byteCount: Int { parts.reduce(0) { $0 + $1.byteCount } }

  /// "model.layers.3" of "model.layers.3.mlp.up_proj.weight": up to the last number, or else all but
  /// the last word.
  private static func name(of path: String) -> String {
    let words = path.split(separator: ".").dropLast()
    let last = words.lastIndex { Int($0) != nil } ?? words.endIndex - 1
    return words.isEmpty ? path : words[words.startIndex...last].joined(separator: ".")
  }

  /// Ascending ranges, those that touch as one, up to the gaps of alignment between tensors.
  private static func joined(_ ranges: [Range<Int>]) -> [Range<Int>] {
    var result: [Range<Int>] = []
    for range in ranges.sorted(by: { $0.lowerBound < $1.lowerBound }) {
      if let last = result.last, range.lowerBound - last.upperBound < 4096 {
        result[result.count - 1] = last.lowerBound..<max(last.upperBound, range.upperBound)
      } else {
        result.append(range)
      }
    }
    return result
  }
}
