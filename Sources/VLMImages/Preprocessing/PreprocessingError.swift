import VLMFoundation

/// Why a preprocessing configuration cannot be used.
package struct PreprocessingError: ReportableError, Equatable {
  package enum Problem: Sendable, Equatable {
    /// An invalid or missing value; `found` is its text, nil if missing.
    case value(key: String, found: String?, expected: String)
    /// The configuration does not identify its processor.
    case unknownKind
    /// An unsupported image processor class.
    case unknownProcessor(key: String, found: String)
  }

  /// The file's path, or a substitute for it.
  package let name: String
  package let problem: Problem

  package init(name: String, problem: Problem) {
    self.name = name
    self.problem = problem
  }

  package func description(in words: Wording) -> String {
    let file = name.escapedForDisplay()
    switch problem {
    case .value(let key, let found?, let expected):
      return "\(file): '\(key)': found \(found.escapedForDisplay(limit: 60)), expected \(expected)"
    case .value(let key, nil, let expected):
      return "\(file): '\(key)': missing, expected \(expected)"
    case .unknownKind:
      return "\(file): is no preprocessing configuration of transformers, timm, open_clip or "
        + "torchvision" + words.end(.preprocessor(.ofKnownKind))
    case .unknownProcessor(let key, let found):
      return "\(file): '\(key)': found '\(found.escapedForDisplay(limit: 60))', expected the image "
        + "processor of " + ImageProcessorClass.names.joined(separator: ", ")
        + words.end(.preprocessor(.ofModel))
    }
  }

  package var exitStatus: ExitStatus { .badData }
}

/// Reads members of a configuration object; errors name the key. `null` counts as missing.
struct PreprocessingFields {
  let json: JSONValue
  let name: String
  var color = ColorMode.rgb
  /// Whether a number per channel is required; otherwise a single number may apply to all.
  var countsChannels = false

  func failure(_ key: String, _ expected: String) -> PreprocessingError {
    let found = member(key).map { $0.serialized() }
    return PreprocessingError(
      name: name, problem: .value(key: key, found: found, expected: expected))
  }

  func member(_ key: String) -> JSONValue? {
    guard let value = json[key], !value.isNull else { return nil }
    return value
  }

  func bool(_ key: String, default fallback: Bool) throws(PreprocessingError) -> Bool {
    guard let value = member(key) else { return fallback }
    guard let bool = value.boolValue else { throw failure(key, "true or false") }
    return bool
  }

  func string(_ key: String, default fallback: String) throws(PreprocessingError) -> String {
    guard let value = member(key) else { return fallback }
    guard let string = value.stringValue else { throw failure(key, "a string") }
    return string
  }

  /// A positive finite number.
  func positive(_ key: String, default fallback: Double) throws(PreprocessingError) -> Double {
    guard let value = member(key) else { return fallback }
    guard let number = value.doubleValue, number > 0, number.isFinite else {
      throw failure(key, "a positive number")
    }
    return number
  }

  /// A fraction above 0 and at most 1.
  func share(_ key: String, default fallback: Double) throws(PreprocessingError) -> Double {
    let share = try positive(key, default: fallback)
    guard share <= 1 else { throw failure(key, "a share, at most 1") }
    return share
  }

  /// Allowed sides of an encoder's input. Published models stay below 2048.
  static let sides = 1...16_384

  func side(_ value: JSONValue?, _ key: String) throws(PreprocessingError) -> Int {
    guard let side = value?.intValue, Self.sides.contains(side) else {
      throw failure(key, "a size of 1 to \(Self.sides.upperBound)")
    }
    return side
  }

  func filter(_ key: String, default fallback: Resampling) throws(PreprocessingError) -> Resampling
  {
    guard let value = member(key) else { return fallback }
    if let code = value.intValue, let filter = Resampling(code: code) { return filter }
    if let word = value.stringValue?.lowercased() {
      // Python's text of an enumeration value: "InterpolationMode.BICUBIC".
      let last = word.split(separator: ".").last.map(String.init) ?? word
      if let filter = Resampling(rawValue: last) { return filter }
    }
    throw failure(key, "a Pillow filter, 0 to 5 or by name")
  }

  /// Numbers per channel, given as one per channel, as three for RGB, or as a single one.
  func numbers(
    _ key: String, default fallback: [Double], isPositive: Bool
  ) throws(PreprocessingError) -> [Double] {
    guard let value = member(key) else { return color.numbers(fallback) }
    let list = value.arrayValue ?? [value]
    let numbers = list.compactMap(\.doubleValue)
    let counts = countsChannels ? [color.channels] : [1, 3, color.channels]
    // A deviation below the smallest normal Float would make the division overflow.
    guard counts.contains(numbers.count), list.count == numbers.count,
      numbers.allSatisfy({
        abs($0) < 1e30 && (!isPositive || $0 >= Double(Float.leastNormalMagnitude))
      })
    else {
      let counted = color == .rgb ? "three" : "\(color.channels)"
      throw failure(key, "\(counted) \(isPositive ? "positive numbers" : "numbers")")
    }
    return color.numbers(numbers)
  }

  func normalization(
    mean: String, deviation: String, default fallback: Preprocessing.Normalization
  ) throws(PreprocessingError) -> Preprocessing.Normalization {
    .init(
      mean: try numbers(mean, default: fallback.mean, isPositive: false),
      deviation: try numbers(deviation, default: fallback.deviation, isPositive: true))
  }
}
