// String filters.

extension JinjaInterpreter {
  /// Escapes HTML's five special characters.
  func escaped(_ text: JinjaString) -> JinjaString {
    var scalars: [UInt32] = []
    scalars.reserveCapacity(text.count)
    for scalar in text.scalars {
      let mark = scalar & JinjaString.userMark
      let entity: String? =
        switch scalar & JinjaString.valueMask {
        case 0x26: "&amp;"
        case 0x3c: "&lt;"
        case 0x3e: "&gt;"
        case 0x27: "&#39;"
        case 0x22: "&#34;"
        default: nil
        }
      if let entity {
        scalars.append(contentsOf: entity.unicodeScalars.lazy.map { $0.value | mark })
      } else {
        scalars.append(scalar)
      }
    }
    return JinjaString(scalars: scalars, isMarkup: true)
  }
}

extension JinjaFilters {
  nonisolated(unsafe) static let texts: [String: Filter] = [
    "capitalize": method("capitalize"), "lower": method("lower"), "upper": method("upper"),
    "center": center, "e": escape, "escape": escape, "forceescape": forceEscape,
    "format": format, "indent": indent, "join": join, "replace": replace, "safe": safe,
    "title": title, "trim": trim, "truncate": truncate, "urlencode": urlEncode,
    "wordcount": wordCount,
  ]

  /// A filter that applies a string method without arguments to `str(value)`.
  private static func method(_ name: String) -> Filter {
    { (run: JinjaInterpreter, value: JinjaObject, arguments: JinjaArguments) throws(JinjaError) in
      let text = try run.text(of: value)
      guard let method = JinjaMethods.ofStrings[name] else { return .string(text) }
      return try method(text, arguments, run)
    }
  }

  private static func center(
    _ run: JinjaInterpreter, _ value: JinjaObject, _ arguments: JinjaArguments
  ) throws(JinjaError) -> JinjaObject {
    let width = try arguments.bound("center", ["width"], run).integer(0, 80)
    let text = try run.text(of: value)
    guard let method = JinjaMethods.ofStrings["center"] else { return .string(text) }
    return try method(text, JinjaArguments([.int(width)]), run)
  }

  private static func escape(
    _ run: JinjaInterpreter, _ value: JinjaObject, _ arguments: JinjaArguments
  ) throws(JinjaError) -> JinjaObject {
    _ = try arguments.placed("escape", 0...0, run)
    let text = try run.text(of: value)
    try run.charge(text.count, each: 20)
    return .string(text.isMarkup ? text : run.escaped(text))
  }

  private static func forceEscape(
    _ run: JinjaInterpreter, _ value: JinjaObject, _ arguments: JinjaArguments
  ) throws(JinjaError) -> JinjaObject {
    _ = try arguments.placed("forceescape", 0...0, run)
    let text = try run.text(of: value)
    try run.charge(text.count, each: 20)
    return .string(run.escaped(text))
  }

  private static func safe(
    _ run: JinjaInterpreter, _ value: JinjaObject, _ arguments: JinjaArguments
  ) throws(JinjaError) -> JinjaObject {
    _ = try arguments.placed("safe", 0...0, run)
    var text = try run.text(of: value)
    text.isMarkup = true
    return .string(text)
  }

  private static func format(
    _ run: JinjaInterpreter, _ value: JinjaObject, _ arguments: JinjaArguments
  ) throws(JinjaError) -> JinjaObject {
    guard arguments.positional.isEmpty || arguments.named.isEmpty else {
      throw run.error(
        .value("can't handle positional and keyword arguments at the same time"))
    }
    let text = try run.text(of: value)
    if arguments.named.isEmpty {
      return try run.formatted(text, try run.sequence(arguments.positional, .tuple))
    }
    var builder = JinjaDictionaryBuilder()
    for (name, value) in arguments.named { try builder.set(.text(name), value, run) }
    return try run.formatted(text, try builder.object(run))
  }

  private static func indent(
    _ run: JinjaInterpreter, _ value: JinjaObject, _ arguments: JinjaArguments
  ) throws(JinjaError) -> JinjaObject {
    let given = try arguments.bound("indent", ["width", "first", "blank"], run)
    try run.refuse(undefined: value)
    guard case .string(let text) = value else {
      throw run.error(
        .value("unsupported operand type(s) for +=: '\(value.typeName)' and 'str'"))
    }
    var indent: [UInt32]
    if case .string(let text)? = given[0] {
      indent = text.scalars
    } else {
      let width = max(0, try given.integer(0, 4))
      try run.charge(width, each: 4)
      indent = Array(repeating: 0x20, count: width)
    }
    let source = JinjaString(scalars: text.scalars + [0x0a])
    let lines = JinjaMethods.lines(source)
    try run.charge(text.count, each: 8)
    try run.charge(
      lines.count, each: try run.whole((indent.count + 1).multipliedReportingOverflow(by: 4)))
    var scalars: [UInt32] = []
    if given.isTrue(1) { scalars += indent }
    for (position, line) in lines.enumerated() {
      if position > 0 {
        scalars.append(0x0a)
        if !line.isEmpty || given.isTrue(2) { scalars += indent }
      }
      scalars += source.scalars[line]
    }
    return .string(JinjaString(scalars: scalars, isMarkup: text.isMarkup))
  }

  private static func join(
    _ run: JinjaInterpreter, _ value: JinjaObject, _ arguments: JinjaArguments
  ) throws(JinjaError) -> JinjaObject {
    let given = try arguments.bound("join", ["d", "attribute"], run)
    let path = try JinjaPath(given.value(1), run)
    var separator = try run.text(of: given[0] ?? .text(""))
    separator.isMarkup = false
    var parts: [JinjaString] = []
    for element in try run.elements(of: value) {
      parts.append(try run.text(of: try path.value(of: element, run)))
    }
    return try JinjaMethods.joined(parts, separator, run)
  }

  private static func replace(
    _ run: JinjaInterpreter, _ value: JinjaObject, _ arguments: JinjaArguments
  ) throws(JinjaError) -> JinjaObject {
    let given = try arguments.bound("replace", ["old", "new", "count"], required: 2, run)
    var text = try run.text(of: value)
    text.isMarkup = false
    let old = try run.text(of: given[0] ?? .null)
    let new = try run.text(of: given[1] ?? .null)
    let limit = given.value(2) == nil ? -1 : try given.integer(2, -1)
    return .string(try JinjaMethods.replaced(text, old, new, limit, run))
  }

  private static func title(
    _ run: JinjaInterpreter, _ value: JinjaObject, _ arguments: JinjaArguments
  ) throws(JinjaError) -> JinjaObject {
    _ = try arguments.placed("title", 0...0, run)
    let text = try run.text(of: value)
    try run.charge(text.count, each: 12)
    try run.step(text.count / 2)
    func divides(_ scalar: UInt32) -> Bool {
      JinjaScalar.isSpace(scalar) || [0x2d, 0x28, 0x7b, 0x5b, 0x3c].contains(scalar)
    }
    var scalars: [UInt32] = []
    var start = 0
    while start < text.count {
      var end = start + 1
      while end < text.count, divides(text[end]) == divides(text[start]) { end += 1 }
      JinjaScalar.append(text.scalars[start], as: .upper, to: &scalars)
      scalars += text[start + 1..<end].mapped(.lower).scalars
      start = end
    }
    return .string(JinjaString(scalars: scalars))
  }

  private static func trim(
    _ run: JinjaInterpreter, _ value: JinjaObject, _ arguments: JinjaArguments
  ) throws(JinjaError) -> JinjaObject {
    let characters = try arguments.bound("trim", ["chars"], run).text(0)
    return .string(try JinjaMethods.stripped(try run.text(of: value), characters, run))
  }

  private static func truncate(
    _ run: JinjaInterpreter, _ value: JinjaObject, _ arguments: JinjaArguments
  ) throws(JinjaError) -> JinjaObject {
    let given = try arguments.bound("truncate", ["length", "killwords", "end", "leeway"], run)
    let length = try given.integer(0, 255)
    let end = try given.text(2) ?? JinjaString("...")
    let leeway = given.value(3) == nil ? 5 : try given.integer(3, 5)
    guard length >= end.count else {
      throw run.error(.value("expected length >= \(end.count), got \(length)"))
    }
    guard leeway >= 0 else { throw run.error(.value("expected leeway >= 0, got \(leeway)")) }
    guard case .string(let text) = value else {
      if value.isUndefined { return value }
      throw run.error(.value("object of type '\(value.typeName)' has no len()"))
    }
    try run.charge(text.count, each: 4)
    let (room, overflows) = length.addingReportingOverflow(leeway)
    guard !overflows, text.count > room else { return value }
    var kept = length - end.count
    if !given.isTrue(1), let space = (0..<kept).last(where: { text[$0] == 0x20 }) { kept = space }
    return .string(
      JinjaString(scalars: text.scalars[..<kept] + end.scalars, isMarkup: text.isMarkup))
  }

  private static func urlEncode(
    _ run: JinjaInterpreter, _ value: JinjaObject, _ arguments: JinjaArguments
  ) throws(JinjaError) -> JinjaObject {
    _ = try arguments.placed("urlencode", 0...0, run)
    var pairs: [JinjaObject] = []
    switch value {
    case .dictionary(let dictionary): pairs = try JinjaMethods.items(of: dictionary, run)
    case .sequence, .iterator: pairs = try run.elements(of: value)
    default: return .string(try quoted(value, run, keeps: 0x2f))
    }
    var scalars: [UInt32] = []
    for pair in pairs {
      let parts = try run.elements(of: pair, atMost: 3)
      guard parts.count == 2 else {
        throw run.error(.value("a pair of key and value has \(parts.count) parts, expected 2"))
      }
      if !scalars.isEmpty { scalars.append(0x26) }
      scalars += try quoted(parts[0], run, keeps: nil).scalars
      scalars.append(0x3d)
      scalars += try quoted(parts[1], run, keeps: nil).scalars
    }
    return try run.string(scalars)
  }

  /// - Parameter kept: characters kept besides letters and digits; nil for query strings, where
  ///   spaces become `+`.
  private static func quoted(
    _ value: JinjaObject, _ run: JinjaInterpreter, keeps kept: UInt32?
  ) throws(JinjaError) -> JinjaString {
    let text = try run.text(of: value)
    try run.charge(text.count, each: 48)
    try run.step(text.count)
    var scalars: [UInt32] = []
    for scalar in text.scalars {
      let plain = scalar & JinjaString.valueMask
      let mark = scalar & JinjaString.userMark
      if plain == kept || plain < 0x80 && JinjaScalar.isWord(plain)
        || [0x2d, 0x2e, 0x7e].contains(plain)
      {
        scalars.append(scalar)
      } else if plain == 0x20, kept == nil {
        scalars.append(0x2b | mark)
      } else {
        for byte in JinjaString.string(of: [scalar]).utf8 {
          let hex = JinjaNumber.padded(String(byte, radix: 16, uppercase: true), 2)
          scalars.append(contentsOf: ("%" + hex).unicodeScalars.lazy.map { $0.value | mark })
        }
      }
    }
    return JinjaString(scalars: scalars)
  }

  private static func wordCount(
    _ run: JinjaInterpreter, _ value: JinjaObject, _ arguments: JinjaArguments
  ) throws(JinjaError) -> JinjaObject {
    _ = try arguments.placed("wordcount", 0...0, run)
    let text = try run.text(of: value)
    try run.step(text.count)
    var count = 0
    for position in 0..<text.count where JinjaScalar.isWord(text[position]) {
      if position == 0 || !JinjaScalar.isWord(text[position - 1]) { count += 1 }
    }
    return .int(count)
  }
}
