import VLMContainer
import VLMFoundation
import VLMModels
import VLMTensor

/// How the weights of a model are read that do not all stay in memory.
package struct WeightReading: Sendable {
  package let reader: WeightReader
  /// Bytes that the process may take.
  package let limit: Int
  /// One for each part of the weights.
  let places: [WeightPlace]
  /// The part of each tensor that is multiplied.
  let partOfTensor: [String: Int]

  /// Nil where all weights stay in memory.
  init?(_ container: Container, _ description: ModelDescription, _ use: MemoryUse) throws {
    if use == .all { return nil }
    let limit = use.limit(
      weights: container.weightBytes, available: Machine.availableMemory, own: Machine.ownMemory)
    guard let limit else { return nil }
    let parts = WeightParts(try description.manifest(), in: container)
    guard !parts.parts.isEmpty else { return nil }
    self.limit = limit
    let reader = WeightReader(file: container.file, parts: parts.parts) {
      use.weightLimit(of: limit, own: Machine.ownMemory)
    }
    self.reader = reader
    places = parts.parts.indices.map { WeightPlace(reader, part: $0) }
    partOfTensor = parts.partOfTensor
  }

  /// Bytes of a context where nobody says how long it is to be: the weights need the rest.
  package var contextBytes: Int { limit / 4 }
}
