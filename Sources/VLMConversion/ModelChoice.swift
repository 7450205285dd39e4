import VLMCheckpoint
import VLMFoundation
import VLMModels

/// Which of the models in a checkpoint is meant, where training left several or other things beside
/// it.
struct ModelChoice {
  /// The model's tensors, a language model's under its own names.
  let catalog: TensorCatalog
  /// Tensors that are no part of it, by the checkpoint's names.
  let unused: [CheckpointFacts.Name]

  /// - Parameter stored: the catalog with the names of the file, from which the wrappers of training
  ///   have not been taken.
  /// - Throws: `.severalStates` where a choice is left.
  init(_ stored: TensorCatalog) throws(ConversionError) {
    let catalog = stored.unwrapped()
    let places = ModelPlace.find(catalog.tensors.map(\.name))
    guard let place = try Self.choose(places, stored, catalog) else {
      (self.catalog, unused) = (catalog, [])
      return
    }
    let states = places.map { Self.state($0, stored, catalog) }
    let chosen = catalog.selecting(prefix: place.prefix)
    self.catalog =
      places.count == 1
      ? chosen
      : chosen.adding([
        Note(
          "reading the state '\(Self.state(place, stored, catalog).escapedForDisplay())' of "
            + states.map { "'\($0.escapedForDisplay())'" }.joined(separator: ", "), .anotherState)
      ])
    // Tensors of the other models are not listed as unused.
    unused = catalog.tensors.lazy.filter { tensor in
      !places.contains { tensor.name.hasPrefix($0.prefix) }
    }.map { ($0.name, $0.shape) }
  }

  /// The place whose prefix has to be removed. Nil where names have none, and for image models, whose
  /// own recognition finds the prefix and the heads beside it.
  private static func choose(
    _ places: [ModelPlace], _ stored: TensorCatalog, _ catalog: TensorCatalog
  ) throws(ConversionError) -> ModelPlace? {
    guard let first = places.first else { return nil }
    if places.count == 1 { return first.isLanguage && !first.prefix.isEmpty ? first : nil }
    let averaged = places.filter(\.isAveraged)
    if averaged.count == 1, places.allSatisfy({ $0.isLanguage == first.isLanguage }) {
      return averaged[0]
    }
    throw ConversionError(
      path: stored.path, .severalStates(places.map { state($0, stored, catalog) }))
  }

  /// What a state is called that gets a place: by the names of the file.
  private static func state(
    _ place: ModelPlace, _ stored: TensorCatalog, _ catalog: TensorCatalog
  ) -> String {
    var prefix = place.prefix
    if let position = catalog.tensors.firstIndex(where: { $0.name.hasPrefix(prefix) }) {
      let inner = catalog.tensors[position].name.dropFirst(prefix.count)
      let name = stored.tensors[position].name
      if name.hasSuffix(inner) { prefix = String(name.dropLast(inner.count)) }
    }
    let parts = [stored.state, prefix.hasSuffix(".") ? String(prefix.dropLast()) : prefix]
    return parts.filter { !$0.isEmpty }.joined(separator: ".")
  }
}
