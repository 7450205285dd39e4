import VLMTensor

#if canImport(Glibc)
  import Glibc
#endif

/// The frequencies that a sequence's positions are rotated with, which may change as it grows.
struct RotationFrequencies: Sendable {
  private var values: [Float] = []
  /// The length that `values` were made for; `.dynamic` goes by it.
  private var length = 0

  /// Before positions are run that make the sequence `length` long.
  mutating func prepare(_ config: LLaMAConfig, length: Int) {
    guard case .dynamic(_, let original) = config.ropeScaling else {
      if values.isEmpty { set(config, length: 1) }
      return
    }
    // As transformers does it: longer sequences change the base, a short one resets it.
    if values.isEmpty || length > self.length || length <= original { set(config, length: length) }
  }

  private mutating func set(_ config: LLaMAConfig, length: Int) {
    self.length = length
    values = config.ropeScaling.frequencies(
      base: config.ropeBase, dimension: config.headDimension, length: length
    ).map { Float($0) }
  }

  /// Sines and cosines of a position's angles, to a row: `position * frequency` in f32, as upstream.
  func turn(
    _ position: Int, _ config: LLaMAConfig, _ row: Int, _ cosines: MatrixView, _ sines: MatrixView
  ) {
    let factor = config.ropeScaling.attentionFactor
    for (column, frequency) in values.enumerated() {
      let angle = Double(Float(position) * frequency)
      cosines[row, column] = Float(cos(angle) * factor)
      sines[row, column] = Float(sin(angle) * factor)
    }
  }
}
