/// The arguments of a function, filter, test or method.
struct JinjaArguments {
  var positional: [JinjaObject] = []
  private(set) var named: [(name: String, value: JinjaObject)] = []

  init(_ positional: [JinjaObject] = []) { self.positional = positional }

  mutating func add(
    _ name: String, _ value: JinjaObject, _ run: JinjaInterpreter
  ) throws(JinjaError) {
    try run.step(1 + named.count / 8)
    guard !named.contains(where: { $0.name == name }) else {
      throw run.error(.value("got multiple values for keyword argument '\(name)'"))
    }
    named.append((name, value))
  }

  /// Removes and returns the keyword argument `name`.
  mutating func take(_ name: String) -> JinjaObject? {
    named.firstIndex { $0.name == name }.map { named.remove(at: $0).value }
  }

  /// The arguments in the order of `parameters`; nil for absent ones.
  ///
  /// - Parameters:
  ///   - function: its name, for messages.
  ///   - required: the number of `parameters` without a default.
  func bound(
    _ function: String, _ parameters: [String], required: Int = 0, _ run: JinjaInterpreter
  ) throws(JinjaError) -> JinjaBoundArguments {
    guard positional.count <= parameters.count else {
      throw run.error(
        .value(
          "\(function)() takes at most \(parameters.count) argument(s)"
            + " (\(positional.count) given)"))
    }
    var values: [JinjaObject?] = Array(repeating: nil, count: parameters.count)
    for (position, value) in positional.enumerated() { values[position] = value }
    for (name, value) in named {
      guard let position = parameters.firstIndex(of: name) else {
        throw run.error(
          .value("\(function)() got an unexpected keyword argument '\(name)'"))
      }
      guard values[position] == nil else {
        throw run.error(.value("\(function)() got multiple values for argument '\(name)'"))
      }
      values[position] = value
    }
    for position in 0..<required where values[position] == nil {
      throw run.error(
        .value("\(function)() missing required argument '\(parameters[position])'"))
    }
    return JinjaBoundArguments(function: function, values: values, run: run)
  }

  /// As `bound`, for a function with positional parameters only.
  func placed(
    _ function: String, _ range: ClosedRange<Int>, _ run: JinjaInterpreter
  ) throws(JinjaError) -> JinjaBoundArguments {
    guard named.isEmpty else {
      throw run.error(.value("\(function)() takes no keyword arguments"))
    }
    guard range.contains(positional.count) else {
      throw run.error(
        .value(
          "\(function)() expected \(range.lowerBound) to \(range.upperBound) arguments,"
            + " got \(positional.count)"))
    }
    var values: [JinjaObject?] = positional.map { $0 }
    while values.count < range.upperBound { values.append(nil) }
    return JinjaBoundArguments(function: function, values: values, run: run)
  }
}

/// Arguments in the order of the parameters.
struct JinjaBoundArguments {
  let function: String
  let values: [JinjaObject?]
  let run: JinjaInterpreter

  subscript(position: Int) -> JinjaObject? { values[position] }

  private func wrong(_ value: JinjaObject, _ expected: String) -> JinjaError {
    run.error(.value("\(function)() argument must be \(expected), not \(value.typeName)"))
  }

  /// An integer; `initial` if absent.
  func integer(_ position: Int, _ initial: Int) throws(JinjaError) -> Int {
    guard let value = values[position] else { return initial }
    try run.refuse(undefined: value)
    guard let integer = value.integer else { throw wrong(value, "int") }
    return integer
  }

  /// A string; nil if absent or `None`.
  func text(_ position: Int) throws(JinjaError) -> JinjaString? {
    guard let value = values[position] else { return nil }
    if case .null = value { return nil }
    guard case .string(let text) = value else {
      try run.refuse(undefined: value)
      throw wrong(value, "str")
    }
    // Comparing or searching costs at least its length.
    try run.step(text.count / 4)
    return text
  }

  func requiredText(_ position: Int) throws(JinjaError) -> JinjaString {
    guard let text = try text(position) else { throw wrong(.null, "str") }
    return text
  }

  func isTrue(_ position: Int, _ initial: Bool = false) -> Bool {
    values[position]?.isTrue ?? initial
  }

  /// Nil if absent or `None`.
  func value(_ position: Int) -> JinjaObject? {
    if case .some(.null) = values[position] { return nil }
    return values[position]
  }
}

/// Collects the members of a dictionary; the last value of a repeated key counts.
struct JinjaDictionaryBuilder {
  private var keys: [JinjaObject] = []
  private var values: [JinjaObject] = []
  private var index: [JinjaKey: Int] = [:]

  mutating func set(
    _ key: JinjaObject, _ value: JinjaObject, _ run: JinjaInterpreter
  ) throws(JinjaError) {
    guard let hashed = try run.key(of: key) else {
      throw run.error(.value("unhashable type: '\(key.typeName)'"))
    }
    try run.charge(2 * JinjaInterpreter.elementBytes)
    if let position = index[hashed] {
      values[position] = value
    } else {
      index[hashed] = keys.count
      keys.append(key)
      values.append(value)
    }
  }

  func object(_ run: JinjaInterpreter) throws(JinjaError) -> JinjaObject {
    var depth = 0
    for value in keys + values { depth = max(depth, value.depth) }
    try run.check(depth: depth + 1)
    return .dictionary(
      JinjaDictionary(keys: keys, values: values, index: index, depth: depth + 1))
  }
}
