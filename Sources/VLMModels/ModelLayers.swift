/// A model with its weights, by what it is made of. It never changes, and can be shared.
package enum ModelLayers: Sendable {
  /// A tower that makes a vector of a picture.
  case image(any VisionTower)
  /// Two towers whose vectors lie in one space.
  case imageAndText(CLIP)
  /// A language model.
  case language(LLaMA)
  /// A language model that is shown pictures.
  case imageAndLanguage(LLaVA)
}
