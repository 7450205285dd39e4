import VLMTensor

#if canImport(Glibc)
  import Glibc
#endif

/// The frequencies that a sequence's positions are rotated with, which may change as it grows.
struct RotationFrequencies: Sendable {
  private var global: [Float] = []
  /// Those of layers with a base of their own; empty where there are none.
  private var local: [Float] = []
  /// The length that they were made for; `.dynamic` and `.longRoPE` go by it.
  private var length = 0

  /// Before positions are run that make the sequence `length` long.
  mutating func prepare(_ config: LLaMAConfig, length: Int) {
    switch config.ropeScaling {
    case .dynamic(_, let original):
      // As transformers does it: longer sequences change the base, a short one resets it.
      if global.isEmpty || length > self.length || length <= original {
        set(config, length: length)
      }
    case .longRoPE(let rope):
      let changes = (length > rope.original) != (self.length > rope.original)
      if global.isEmpty || changes { set(config, length: length) }
    default:
      if global.isEmpty { set(config, length: 1) }
    }
  }

  /// Whether keys that were rotated before are right in a sequence of `length` positions. LongRoPE's are
  /// not on the other side of its original length; `.dynamic` leaves them as they are, as transformers
  /// does.
  func holds(_ config: LLaMAConfig, length: Int) -> Bool {
    guard case .longRoPE(let rope) = config.ropeScaling, !global.isEmpty else { return true }
    return (length > rope.original) == (self.length > rope.original)
  }

  /// How many positions behind the first `position` turn by the same angles whether they are run one by
  /// one or together; 1 where each is a case of its own.
  static func steadyCount(_ config: LLaMAConfig, from position: Int) -> Int {
    switch config.ropeScaling {
    case .dynamic(_, let original): max(1, original - position)
    case .longRoPE(let rope): position < rope.original ? rope.original - position : .max
    default: .max
    }
  }

  private mutating func set(_ config: LLaMAConfig, length: Int) {
    func frequencies(_ scaling: RotaryScaling, _ base: Double) -> [Float] {
      scaling.frequencies(base: base, dimension: config.rotaryDimension, length: length)
        .map { Float($0) }
    }
    self.length = length
    global = frequencies(config.ropeScaling, config.ropeBase)
    local = config.traits.localBase.map { frequencies(.none, $0) } ?? []
  }

  /// Sines and cosines of a position's angles, to a row: `position * frequency` in f32, as upstream.
  func turn(_ position: Int, _ config: LLaMAConfig, _ row: Int, _ tables: RotationTables) {
    let factor = config.ropeScaling.attentionFactor
    func fill(_ frequencies: [Float], _ angles: RotationTables.Angles, _ factor: Double) {
      for (column, frequency) in frequencies.enumerated() {
        let angle = Double(Float(position) * frequency)
        angles.cosines[row, column] = Float(cos(angle) * factor)
        angles.sines[row, column] = Float(sin(angle) * factor)
      }
    }
    fill(global, tables.global, factor)
    if let angles = tables.local { fill(local, angles, 1) }
  }
}

/// Cosines and sines of the angles of some rows.
struct RotationTables: Sendable {
  /// `[rows, rotaryDimension / 2]` each.
  struct Angles: Sendable {
    let cosines: MatrixView
    let sines: MatrixView
  }

  let global: Angles
  /// Of layers with a base of their own; nil where there are none.
  let local: Angles?

  /// Floats that the tables of so many rows take.
  static func count(_ config: LLaMAConfig, rows: Int) -> Int {
    rows * config.rotaryDimension * (config.traits.localBase == nil ? 1 : 2)
  }

  /// - Parameter memory: one row of `count` floats.
  init(_ config: LLaMAConfig, rows: Int, in memory: MatrixView) {
    let half = config.rotaryDimension / 2
    func angles(_ memory: MatrixView) -> (Angles, MatrixView) {
      let (cosines, rest) = memory.split(rows: rows, columns: half)
      let (sines, behind) = rest.split(rows: rows, columns: half)
      return (Angles(cosines: cosines, sines: sines), behind)
    }
    let (global, rest) = angles(memory)
    self.global = global
    local = config.traits.localBase == nil ? nil : angles(rest).0
  }

  /// Nil for layers without positions.
  func angles(_ rotation: LayerTraits.Rotation) -> Angles? {
    switch rotation {
    case .global: global
    case .local: local
    case .none: nil
    }
  }
}
