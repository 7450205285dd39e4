import VLMFoundation
import VLMTensor

#if canImport(Glibc)
  import Glibc
#endif

/// How the frequencies of rotary position embeddings are changed for contexts longer than those of
/// training. Formulas follow transformers' `modeling_rope_utils.py`.
package enum RotaryScaling: Sendable, Equatable {
  case none
  /// Positions divided by `factor`.
  case linear(factor: Double)
  /// "NTK-aware": the base grows once a sequence is longer than `original`.
  case dynamic(factor: Double, original: Int)
  /// Llama 3.1: long waves are slowed down by `factor`, short ones kept, those between blended.
  case llama3(factor: Double, lowFrequency: Double, highFrequency: Double, original: Int)
  /// Peng et al., "YaRN": a ramp over the dimensions between those that turn `betaFast` and
  /// `betaSlow` times in the original context; sines and cosines times `attention`.
  case yarn(YaRN)
  /// Ding et al., "LongRoPE": each frequency divided by a factor of its own, the ones that were found for
  /// short sequences or, once a sequence is longer than `original`, the long ones.
  case longRoPE(LongRoPE)

  package struct YaRN: Sendable, Equatable {
    package var factor: Double
    package var original: Int
    package var betaFast: Double
    package var betaSlow: Double
    package var attention: Double
    /// The ramp's ends are whole dimensions.
    package var truncate: Bool

    package init(
      factor: Double, original: Int, betaFast: Double = 32, betaSlow: Double = 1,
      attention: Double, truncate: Bool = true
    ) {
      self.factor = factor
      self.original = original
      self.betaFast = betaFast
      self.betaSlow = betaSlow
      self.attention = attention
      self.truncate = truncate
    }
  }

  package struct LongRoPE: Sendable, Equatable {
    /// A divisor of each frequency.
    package var short: [Double]
    package var long: [Double]
    /// Positions up to which the short ones hold.
    package var original: Int
    /// What sines and cosines are multiplied by.
    package var attention: Double

    package init(short: [Double], long: [Double], original: Int, attention: Double) {
      self.short = short
      self.long = long
      self.original = original
      self.attention = attention
    }
  }

  /// What sines and cosines are multiplied by.
  var attentionFactor: Double {
    switch self {
    case .yarn(let yarn): yarn.attention
    case .longRoPE(let rope): rope.attention
    default: 1
    }
  }

  /// Positions beyond which a sequence's frequencies are others; nil where they never change.
  package var turningPoint: Int? {
    switch self {
    case .dynamic(_, let original): original
    case .longRoPE(let rope): rope.original
    default: nil
    }
  }

  /// Angle per position of each pair of elements: `[dimension / 2]`.
  ///
  /// - Parameter length: positions of the sequence, which `.dynamic` and `.longRoPE` go by.
  package func frequencies(base: Double, dimension: Int, length: Int) -> [Double] {
    let half = dimension / 2
    func plain(_ base: Double) -> [Double] {
      (0..<half).map { pow(base, -2 * Double($0) / Double(dimension)) }
    }
    switch self {
    case .none: return plain(base)
    case .linear(let factor): return plain(base).map { $0 / factor }
    case .dynamic(let factor, let original):
      guard length > original, dimension > 2 else { return plain(base) }
      let stretch = factor * Double(length) / Double(original) - (factor - 1)
      return plain(base * pow(stretch, Double(dimension) / Double(dimension - 2)))
    case .llama3(let factor, let low, let high, let original):
      return plain(base).map { frequency in
        let turns = Double(original) * frequency / (2 * Double.pi)
        if turns < low { return frequency / factor }
        if turns > high { return frequency }
        let blend = (turns - low) / (high - low)
        return (1 - blend) * frequency / factor + blend * frequency
      }
    case .yarn(let yarn):
      func dimensionOf(turns: Double) -> Double {
        Double(dimension) * log(Double(yarn.original) / (turns * 2 * Double.pi)) / (2 * log(base))
      }
      var (low, high) = (dimensionOf(turns: yarn.betaFast), dimensionOf(turns: yarn.betaSlow))
      if yarn.truncate { (low, high) = (low.rounded(.down), high.rounded(.up)) }
      low = max(low, 0)
      high = min(high, Double(dimension - 1))
      if low == high { high += 0.001 }
      return plain(base).enumerated().map { index, frequency in
        let ramp = min(1, max(0, (Double(index) - low) / (high - low)))
        return frequency / yarn.factor * ramp + frequency * (1 - ramp)
      }
    case .longRoPE(let rope):
      let factors = length > rope.original ? rope.long : rope.short
      return zip(plain(base), factors).map { $0 / $1 }
    }
  }

  /// - Parameter dimension: elements of a head that turn.
  func validate(dimension: Int) throws(ModelError) {
    func check(
      _ field: String, _ value: Double, _ range: ClosedRange<Double>
    ) throws(ModelError) {
      try ModelError.check("rope_scaling.\(field)", value, range)
    }
    let (factors, lengths) = (1.0...1e6, 1...Double(LLaMAConfig.maximumContext))
    switch self {
    case .none: break
    case .linear(let factor): try check("factor", factor, factors)
    case .dynamic(let factor, let original):
      try check("factor", factor, factors)
      try check("original", Double(original), lengths)
    case .llama3(let factor, let low, let high, let original):
      try check("factor", factor, factors)
      try check("low_frequency", low, 1e-6...1e6)
      // The blend divides by their difference.
      try check("high_frequency", high, low + 1e-6...2e6)
      try check("original", Double(original), lengths)
    case .yarn(let yarn):
      try check("factor", yarn.factor, factors)
      try check("original", Double(yarn.original), lengths)
      try check("beta_slow", yarn.betaSlow, 1e-6...1e6)
      try check("beta_fast", yarn.betaFast, yarn.betaSlow...1e6)
      try check("attention", yarn.attention, 1e-3...1e3)
    case .longRoPE(let rope):
      for (name, factors) in [("short", rope.short), ("long", rope.long)] {
        guard factors.count == dimension / 2 else {
          throw ModelError(
            .configuration(
              field: "rope_scaling.\(name)", found: "\(factors.count) factors",
              expected: "\(dimension / 2), one for each frequency"))
        }
        for factor in factors { try check(name, factor, 1e-3...1e6) }
      }
      try check("original", Double(rope.original), lengths)
      try check("attention", rope.attention, 1e-3...1e3)
    }
  }
}

// MARK: - JSON of the container's config section

extension RotaryScaling {
  package var json: JSONValue {
    switch self {
    case .none: ["type": "none"]
    case .linear(let factor): ["type": "linear", "factor": .double(factor)]
    case .dynamic(let factor, let original):
      ["type": "dynamic", "factor": .double(factor), "original": .int(original)]
    case .llama3(let factor, let low, let high, let original):
      [
        "type": "llama3", "factor": .double(factor), "low_frequency": .double(low),
        "high_frequency": .double(high), "original": .int(original),
      ]
    case .yarn(let yarn):
      [
        "type": "yarn", "factor": .double(yarn.factor), "original": .int(yarn.original),
        "beta_fast": .double(yarn.betaFast), "beta_slow": .double(yarn.betaSlow),
        "attention": .double(yarn.attention), "truncate": .bool(yarn.truncate),
      ]
    case .longRoPE(let rope):
      [
        "type": "longrope", "short": .array(rope.short.map { .double($0) }),
        "long": .array(rope.long.map { .double($0) }), "original": .int(rope.original),
        "attention": .double(rope.attention),
      ]
    }
  }

  init(_ fields: ConfigFields) throws(ModelError) {
    switch try fields.string("type") {
    case "none": self = .none
    case "linear": self = .linear(factor: try fields.double("factor"))
    case "dynamic":
      self = .dynamic(factor: try fields.double("factor"), original: try fields.int("original"))
    case "llama3":
      self = .llama3(
        factor: try fields.double("factor"), lowFrequency: try fields.double("low_frequency"),
        highFrequency: try fields.double("high_frequency"), original: try fields.int("original"))
    case "yarn":
      self = .yarn(
        YaRN(
          factor: try fields.double("factor"), original: try fields.int("original"),
          betaFast: try fields.double("beta_fast"), betaSlow: try fields.double("beta_slow"),
          attention: try fields.double("attention"), truncate: try fields.bool("truncate")))
    case "longrope":
      self = .longRoPE(
        LongRoPE(
          short: try fields.doubles("short"), long: try fields.doubles("long"),
          original: try fields.int("original"), attention: try fields.double("attention")))
    case let other:
      throw fields.unexpected(
        "type", other, expected: "none, linear, dynamic, llama3, yarn or longrope")
    }
  }
}
