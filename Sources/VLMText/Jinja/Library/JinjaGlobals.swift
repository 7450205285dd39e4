// The global functions of templates.

extension JinjaInterpreter {
  /// The limit of jinja2's sandbox.
  static let longestRange = 100_000

  func call(_ global: JinjaGlobal, _ arguments: JinjaArguments) throws(JinjaError) -> JinjaObject {
    switch global {
    case .range: return try range(arguments)
    case .raiseException:
      let message = try arguments.bound("raise_exception", ["message"], required: 1, self)[0]
      throw error(.raised(try text(of: message ?? .null).string))
    case .strftimeNow:
      let format = try arguments.bound("strftime_now", ["format"], required: 1, self)
      return try time(try format.requiredText(0))
    case .dict:
      var builder = JinjaDictionaryBuilder()
      for (key, value) in try members(arguments, "dict") { try builder.set(key, value, self) }
      return try builder.object(self)
    case .namespace:
      var named: [(name: String, value: JinjaObject)] = []
      for (key, value) in try members(arguments, "namespace") {
        guard case .string(let name) = key else {
          throw error(.unsupported("a name in a namespace that is no string"))
        }
        named.append((name.string, value))
      }
      return try namespace(named)
    }
  }

  private func range(_ arguments: JinjaArguments) throws(JinjaError) -> JinjaObject {
    let given = try arguments.placed("range", 1...3, self)
    let first = try given.integer(0, 0)
    let hasEnd = given[1] != nil
    let (start, end) = (hasEnd ? first : 0, hasEnd ? try given.integer(1, 0) : first)
    let step = try given.integer(2, 1)
    guard step != 0 else { throw error(.value("range() arg 3 must not be zero")) }
    let distance = Double(end) - Double(start)
    guard distance / Double(step) <= Double(Self.longestRange) else {
      throw error(
        .value(
          "Range too big. The sandbox blocks ranges larger than MAX_RANGE"
            + " (\(Self.longestRange))."))
    }
    var elements: [JinjaObject] = []
    var value = start
    while step > 0 ? value < end : value > end {
      elements.append(.int(value))
      let (next, overflows) = value.addingReportingOverflow(step)
      if overflows { break }
      value = next
    }
    return try sequence(elements, .range(start: start, end: end, step: step))
  }

  /// Python's `dict(…)`.
  private func members(
    _ arguments: JinjaArguments, _ function: String
  ) throws(JinjaError) -> [(key: JinjaObject, value: JinjaObject)] {
    guard arguments.positional.count <= 1 else {
      throw error(
        .value(
          "\(function) expected at most 1 argument, got \(arguments.positional.count)"))
    }
    var members: [(key: JinjaObject, value: JinjaObject)] = []
    if case .dictionary(let dictionary)? = arguments.positional.first {
      members = Array(zip(dictionary.keys, dictionary.values))
      try step(members.count)
    } else if let pairs = arguments.positional.first {
      for pair in try elements(of: pairs) {
        let parts = try elements(of: pair, atMost: 3)
        guard parts.count == 2 else {
          throw error(.value("a pair of key and value has \(parts.count) parts, expected 2"))
        }
        members.append((parts[0], parts[1]))
      }
    }
    for (name, value) in arguments.named { members.append((.text(name), value)) }
    return members
  }

  private func time(_ format: JinjaString) throws(JinjaError) -> JinjaObject {
    let now = now ?? JinjaTime.now()
    try charge(format.count, each: 40)
    var result: [UInt32] = []
    let text = format.scalars
    var at = 0
    while at < text.count {
      guard format[at] == 0x25, at + 1 < text.count else {
        result.append(text[at])
        at += 1
        continue
      }
      var flag: Character?
      var place = at + 1
      if let scalar = Unicode.Scalar(format[place]), "-_0^".unicodeScalars.contains(scalar),
        place + 1 < text.count
      {
        flag = Character(scalar)
        place += 1
      }
      try step(4)
      if let scalar = Unicode.Scalar(format[place]),
        let part = now.formatted(Character(scalar), flag: flag)
      {
        result.append(contentsOf: part.unicodeScalars.lazy.map(\.value))
      } else {
        result += text[at...place]
      }
      at = place + 1
    }
    return try string(result)
  }
}
