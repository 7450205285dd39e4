import VLMFoundation
import VLMTensor

/// Which of a tower's hidden states stand side by side in what a projector reads: a list for
/// transformers' `vision_feature_layer`, as Granite Vision has it.
package struct FeatureLayers: Sendable, Equatable {
  /// Indices into transformers' `hidden_states`, from 0, which enters the first layer, to the number
  /// of layers, in the order of their columns; empty where what leaves the last layer is read alone.
  package let indices: [Int]

  package static let last = FeatureLayers()

  private init() { indices = [] }

  /// - Parameters:
  ///   - selected: indices of which -1 is what leaves the last layer, and 0 what enters the first.
  ///   - all: layers that the checkpoint has.
  /// - Returns: also the layers that run.
  /// - Throws: `ModelError` for an index that there is not.
  static func selected(
    _ selected: [Int], of all: Int
  ) throws(ModelError) -> (FeatureLayers, run: Int) {
    var indices: [Int] = []
    for layer in selected {
      guard (-all - 1...all).contains(layer) else {
        throw ModelError(
          .configuration(
            field: TowerFacts.layerKey,
            found: selected.count == 1 ? "\(layer)" : "\(layer) in a list",
            expected: "\(-all - 1) to \(all)"))
      }
      indices.append(layer < 0 ? all + 1 + layer : layer)
    }
    if indices.count == 1 { return (.last, indices[0]) }
    let layers = FeatureLayers(indices)
    try layers.validate(TowerFacts.layerKey, layers: indices.max() ?? 0)
    return (layers, indices.max() ?? 0)
  }

  private init(_ indices: [Int]) { self.indices = indices }

  /// Features side by side.
  var count: Int { max(1, indices.count) }

  /// More than any model has.
  static let maximumCount = 64

  /// Refuses what is no list of several of a tower's hidden states, the last among them: those behind
  /// it would run for nothing.
  func validate(_ field: String, layers: Int) throws(ModelError) {
    guard !indices.isEmpty else { return }
    guard (2...Self.maximumCount).contains(indices.count), layers > 0, indices.max() == layers,
      indices.allSatisfy({ $0 >= 0 })
    else {
      throw ModelError(
        .configuration(
          field: field, found: "\(indices)",
          expected: "2 to \(Self.maximumCount) numbers from 0 to \(layers), the last among them"))
    }
  }

  /// What a container says; nil for `last`, as files from before there were these have it.
  var json: JSONValue? { indices.isEmpty ? nil : .array(indices.map { .int($0) }) }

  /// Reads what `json` wrote.
  init(_ fields: ConfigFields, _ key: String) throws(ModelError) {
    indices = try fields.statedInts(key) ?? []
  }
}
