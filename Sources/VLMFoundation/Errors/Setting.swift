/// Something that a caller can set, where a message is about what was set.
///
/// The libraries have arguments and members of options for these, the commands have options:
/// `Wording` knows what to call them.
package enum Setting: Sendable, Hashable, CaseIterable {
  // MARK: Of a conversion

  case bits
  case calibration
  case headActivation
  case labelsFile
  /// What a model may lose.
  case loss
  case modelBase
  /// A file whose schemes are taken.
  case plan
  case scores
  /// Bytes of a file.
  case size
  case state
  case tensorSchemes
  /// The vision half of a model in GGUF.
  case visionHalf
  case visionTower
  case visionTowerSlow

  // MARK: Of a picture

  case keepsAspect
  case picture
  case resolution
}
