/// SplitMix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014): the
/// state grows by 0x9E3779B97F4A7C15, and two multiplications scramble it. The same seed gives the
/// same numbers on every machine.
package struct SplitMix64: RandomNumberGenerator, Sendable {
  private var state: UInt64

  package init(seed: UInt64) { state = seed }

  package mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
    return mixed ^ (mixed >> 31)
  }

  /// The upper 53 bits as a fraction: 0 ..< 1.
  package mutating func nextUnit() -> Double { Double(next() >> 11) / 9_007_199_254_740_992 }

  /// The upper 24 bits: -`bound` ..< `bound`.
  package mutating func next(in bound: Float) -> Float {
    (Float(next() >> 40) / Float(1 << 23) - 1) * bound
  }
}
