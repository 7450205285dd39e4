/// Methods of strings, lists, tuples and dictionaries, as Python has them.
enum JinjaMethods {
  typealias StringMethod =
    (JinjaString, JinjaArguments, JinjaInterpreter) throws(JinjaError) -> JinjaObject
  typealias SequenceMethod =
    (JinjaSequence, JinjaArguments, JinjaInterpreter) throws(JinjaError) -> JinjaObject
  typealias DictionaryMethod =
    (JinjaDictionary, JinjaArguments, JinjaInterpreter) throws(JinjaError) -> JinjaObject

  nonisolated(unsafe) static let ofSequences: [String: SequenceMethod] = [
    "index": index, "count": count, "copy": copy,
  ]

  nonisolated(unsafe) static let ofDictionaries: [String: DictionaryMethod] = [
    "get": get, "keys": keys, "values": values, "items": items, "copy": copyDictionary,
  ]

  /// Methods that the sandbox refuses.
  static let changingLists: Set<String> = [
    "append", "clear", "pop", "reverse", "insert", "sort", "extend", "remove",
  ]
  static let changingDictionaries: Set<String> = [
    "clear", "pop", "popitem", "setdefault", "update",
  ]

  static func call(
    _ method: JinjaMethod, _ arguments: JinjaArguments, _ run: JinjaInterpreter
  ) throws(JinjaError) -> JinjaObject {
    switch method.receiver {
    case .string(let text):
      if let body = ofStrings[method.name] { return try body(text, arguments, run) }
    case .sequence(let sequence):
      if let body = ofSequences[method.name] { return try body(sequence, arguments, run) }
    case .dictionary(let dictionary):
      if let body = ofDictionaries[method.name] { return try body(dictionary, arguments, run) }
    case .loop(let loop): return try call(loop, method.name, arguments, run)
    case .global: return try fromKeys(arguments, run)
    default: break
    }
    throw run.error(.unsupported("the method '\(method.name)'"))
  }

  private static func call(
    _ loop: JinjaLoop, _ name: String, _ arguments: JinjaArguments, _ run: JinjaInterpreter
  ) throws(JinjaError) -> JinjaObject {
    let values = arguments.positional
    if name == "cycle" {
      guard !values.isEmpty else { throw run.error(.value("no items for cycling given")) }
      return values[max(0, loop.index) % values.count]
    }
    var isSame = loop.lastChanged?.count == values.count
    if isSame, let last = loop.lastChanged {
      for (a, b) in zip(last, values) where isSame { isSame = try run.equal(a, b) }
    }
    loop.lastChanged = values
    return .bool(!isSame)
  }

  private static func fromKeys(
    _ arguments: JinjaArguments, _ run: JinjaInterpreter
  ) throws(JinjaError) -> JinjaObject {
    let given = try arguments.placed("fromkeys", 1...2, run)
    var builder = JinjaDictionaryBuilder()
    for key in try run.elements(of: given[0] ?? .null) {
      try builder.set(key, given[1] ?? .null, run)
    }
    return try builder.object(run)
  }

  // MARK: Lists and tuples

  private static func index(
    _ sequence: JinjaSequence, _ arguments: JinjaArguments, _ run: JinjaInterpreter
  ) throws(JinjaError) -> JinjaObject {
    let given = try arguments.placed("index", 1...3, run)
    let element = given[0] ?? .null
    let range = JinjaString.range(
      given.value(1)?.integer, given.value(2)?.integer, in: sequence.elements.count)
    for position in range ?? 0..<0 {
      try run.step()
      if try run.equal(sequence.elements[position], element) { return .int(position) }
    }
    throw run.error(
      .value("\(try run.shortRepresentation(element)) is not in \(sequence.kind.typeName)"))
  }

  private static func count(
    _ sequence: JinjaSequence, _ arguments: JinjaArguments, _ run: JinjaInterpreter
  ) throws(JinjaError) -> JinjaObject {
    let wanted = try arguments.placed("count", 1...1, run)[0] ?? .null
    var count = 0
    for element in sequence.elements {
      try run.step()
      if try run.equal(element, wanted) { count += 1 }
    }
    return .int(count)
  }

  private static func copy(
    _ sequence: JinjaSequence, _ arguments: JinjaArguments, _ run: JinjaInterpreter
  ) throws(JinjaError) -> JinjaObject {
    _ = try arguments.placed("copy", 0...0, run)
    return try run.sequence(sequence.elements, sequence.kind)
  }

  // MARK: Dictionaries

  private static func get(
    _ dictionary: JinjaDictionary, _ arguments: JinjaArguments, _ run: JinjaInterpreter
  ) throws(JinjaError) -> JinjaObject {
    let given = try arguments.placed("get", 1...2, run)
    let key = given[0] ?? .null
    guard let hashed = try run.key(of: key) else {
      throw run.error(.value("unhashable type: '\(key.typeName)'"))
    }
    return dictionary[hashed] ?? given[1] ?? .null
  }

  private static func keys(
    _ dictionary: JinjaDictionary, _ arguments: JinjaArguments, _ run: JinjaInterpreter
  ) throws(JinjaError) -> JinjaObject {
    _ = try arguments.placed("keys", 0...0, run)
    return try run.sequence(dictionary.keys, .keys)
  }

  private static func values(
    _ dictionary: JinjaDictionary, _ arguments: JinjaArguments, _ run: JinjaInterpreter
  ) throws(JinjaError) -> JinjaObject {
    _ = try arguments.placed("values", 0...0, run)
    return try run.sequence(dictionary.values, .values)
  }

  private static func items(
    _ dictionary: JinjaDictionary, _ arguments: JinjaArguments, _ run: JinjaInterpreter
  ) throws(JinjaError) -> JinjaObject {
    _ = try arguments.placed("items", 0...0, run)
    return try run.sequence(try items(of: dictionary, run), .items)
  }

  /// The (key, value) pairs.
  static func items(
    of dictionary: JinjaDictionary, _ run: JinjaInterpreter
  ) throws(JinjaError) -> [JinjaObject] {
    try run.step(dictionary.count)
    var pairs: [JinjaObject] = []
    pairs.reserveCapacity(dictionary.count)
    for (key, value) in zip(dictionary.keys, dictionary.values) {
      pairs.append(try run.sequence([key, value], .tuple))
    }
    return pairs
  }

  private static func copyDictionary(
    _ dictionary: JinjaDictionary, _ arguments: JinjaArguments, _ run: JinjaInterpreter
  ) throws(JinjaError) -> JinjaObject {
    _ = try arguments.placed("copy", 0...0, run)
    return .dictionary(dictionary)
  }
}
