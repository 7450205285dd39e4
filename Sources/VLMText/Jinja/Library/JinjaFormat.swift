/// A format specification, shared by `%` and `format`.
struct JinjaFormatSpecification {
  var fill: UInt32 = 0x20
  /// `<`, `>`, `^` or `=`; nil for the default of the value's type.
  var alignment: Character?
  var sign: Character?
  var isAlternate = false
  var width = 0
  var grouping: Character?
  var precision: Int?
  var type: Character?

  /// Formats a number from its sign and digits, with padding.
  func number(
    _ text: String, _ run: JinjaInterpreter, prefix: String = ""
  ) throws(JinjaError) -> JinjaString {
    var digits = Substring(text)
    var sign = ""
    if digits.hasPrefix("-") {
      sign = "-"
      digits.removeFirst()
    } else if let mark = self.sign, mark != "-" {
      sign = String(mark)
    }
    var body = String(digits)
    if let grouping { body = Self.grouped(body, by: grouping, every: prefix.isEmpty ? 3 : 4) }
    guard alignment == "=" else {
      return try padded(JinjaString(sign + prefix + body), run, right: true)
    }
    let room = width - sign.count - prefix.count - body.count
    guard room > 0 else { return JinjaString(sign + prefix + body) }
    try run.charge(room, each: 4)
    return JinjaString(
      scalars: JinjaString(sign + prefix).scalars + Array(repeating: fill, count: room)
        + JinjaString(body).scalars)
  }

  private static func grouped(_ digits: String, by mark: Character, every count: Int) -> String {
    let whole = digits.prefix { $0.isHexDigit }
    var result = ""
    for (position, digit) in whole.enumerated() {
      if position > 0, (whole.count - position) % count == 0 { result.append(mark) }
      result.append(digit)
    }
    return result + digits.dropFirst(whole.count)
  }

  /// - Parameter right: whether text without an alignment is right-aligned.
  func padded(
    _ text: JinjaString, _ run: JinjaInterpreter, right: Bool
  ) throws(JinjaError) -> JinjaString {
    let room = width - text.count
    guard room > 0 else { return text }
    try run.charge(width, each: 4)
    switch alignment ?? (right ? ">" : "<") {
    case "<": return text.padded(left: 0, right: room, fill)
    case "^": return text.padded(left: room / 2, right: room - room / 2, fill)
    default: return text.padded(left: room, right: 0, fill)
    }
  }

  func text(_ text: JinjaString, _ run: JinjaInterpreter) throws(JinjaError) -> JinjaString {
    var text = text
    if let precision, precision < text.count { text = text[0..<precision] }
    return try padded(text, run, right: false)
  }

  /// - Parameter type: one of `dxXobc`.
  func integer(_ value: Int, _ type: Character, _ run: JinjaInterpreter) throws(JinjaError)
    -> JinjaString
  {
    let (radix, prefix): (Int, String)
    switch type {
    case "x": (radix, prefix) = (16, "0x")
    case "X": (radix, prefix) = (16, "0X")
    case "o": (radix, prefix) = (8, "0o")
    case "b": (radix, prefix) = (2, "0b")
    case "c":
      guard let scalar = UInt32(exactly: value).flatMap(Unicode.Scalar.init) else {
        throw run.error(.value("%c requires int in range(0x110000) or single unicode character"))
      }
      return try padded(JinjaString(scalars: [scalar.value]), run, right: false)
    default: (radix, prefix) = (10, "")
    }
    try run.step(4)
    let digits = String(value, radix: radix, uppercase: type == "X")
    return try number(digits, run, prefix: isAlternate ? prefix : "")
  }

  /// - Parameter type: one of `eEfFgG%`.
  func float(_ value: Double, _ type: Character, _ run: JinjaInterpreter) throws(JinjaError)
    -> JinjaString
  {
    try run.step(JinjaNumber.steps)
    let precision = precision ?? 6
    guard precision <= 400 else { throw run.error(.unsupported("so high a precision")) }
    if !value.isFinite {
      let name = value.isNaN ? "nan" : value < 0 ? "-inf" : "inf"
      return try number(type.isUppercase ? name.uppercased() : name, run)
    }
    if type == "%" {
      return try number(JinjaNumber.printed(value * 100, "f", precision: precision) + "%", run)
    }
    return try number(
      JinjaNumber.printed(value, type, precision: precision, flags: isAlternate ? "#" : ""), run)
  }
}

/// Python's `format % values`.
extension JinjaInterpreter {
  func formatted(_ format: JinjaString, _ values: JinjaObject) throws(JinjaError) -> JinjaObject {
    var formatter = JinjaPercentFormatter(format, values, self)
    return .string(try formatter.run())
  }
}

private struct JinjaPercentFormatter {
  private let format: JinjaString
  private let values: JinjaObject
  private let interpreter: JinjaInterpreter
  private var at = 0
  private var next = 0
  private var arguments: [JinjaObject]
  private var result: [UInt32] = []

  init(_ format: JinjaString, _ values: JinjaObject, _ run: JinjaInterpreter) {
    self.format = format
    self.values = values
    interpreter = run
    if case .sequence(let sequence) = values, sequence.kind.isTuple {
      arguments = sequence.elements
    } else {
      arguments = [values]
    }
  }

  private func error(_ text: String) -> JinjaError { interpreter.error(.value(text)) }

  mutating func run() throws(JinjaError) -> JinjaString {
    try interpreter.charge(format.count, each: 4)
    var usesNames = false
    while at < format.count {
      guard format[at] == 0x25 else {
        result.append(format.scalars[at])
        at += 1
        continue
      }
      at += 1
      var named: JinjaObject?
      if at < format.count, format[at] == 0x28 {
        named = try member()
        usesNames = true
      }
      try conversion(named)
    }
    var takesMore = false
    if case .dictionary = values { takesMore = true }
    if case .sequence(let sequence) = values, !sequence.kind.isTuple { takesMore = true }
    guard usesNames || takesMore || next >= arguments.count else {
      throw error("not all arguments converted during string formatting")
    }
    return JinjaString(scalars: result, isMarkup: format.isMarkup)
  }

  /// The mapping key `(name)`.
  private mutating func member() throws(JinjaError) -> JinjaObject {
    guard case .dictionary(let members) = values else { throw error("format requires a mapping") }
    let start = at + 1
    var level = 1
    at = start
    while at < format.count {
      if format[at] == 0x28 { level += 1 }
      if format[at] == 0x29 { level -= 1 }
      at += 1
      if level == 0 { break }
    }
    guard level == 0 else { throw error("incomplete format key") }
    let name = format[start..<at - 1]
    guard let value = members[name] else { throw error("KeyError: '\(name.string)'") }
    return value
  }

  private mutating func argument() throws(JinjaError) -> JinjaObject {
    guard next < arguments.count else { throw error("not enough arguments for format string") }
    next += 1
    return arguments[next - 1]
  }

  /// A number, or `*` for the next argument.
  private mutating func size() throws(JinjaError) -> Int? {
    if at < format.count, format[at] == 0x2a {
      at += 1
      guard let size = try argument().integer else { throw error("* wants int") }
      return size
    }
    var size: Int?
    while at < format.count, JinjaScalar.isDigit(format[at]) {
      let digit = Int(format[at]) - 0x30
      guard case let value = size ?? 0, value < 1 << 40 else { throw error("width too big") }
      size = value * 10 + digit
      at += 1
    }
    return size
  }

  private mutating func conversion(_ named: JinjaObject?) throws(JinjaError) {
    var specification = JinjaFormatSpecification()
    flags: while at < format.count {
      switch format[at] {
      case 0x2d: specification.alignment = "<"
      case 0x2b: specification.sign = "+"
      case 0x20: specification.sign = specification.sign ?? " "
      case 0x23: specification.isAlternate = true
      case 0x30:
        if specification.alignment == nil { specification.alignment = "=" }
      default: break flags
      }
      at += 1
    }
    if specification.alignment == "=" { specification.fill = 0x30 }
    specification.width = try size() ?? 0
    if specification.width < 0 {
      specification.alignment = "<"
      specification.width = specification.width == .min ? .max : -specification.width
    }
    if at < format.count, format[at] == 0x2e {
      at += 1
      specification.precision = max(0, try size() ?? 0)
    }
    while at < format.count, [0x68, 0x6c, 0x4c].contains(format[at]) { at += 1 }
    guard at < format.count, let scalar = Unicode.Scalar(format[at]) else {
      throw error("incomplete format")
    }
    at += 1
    if scalar == "%" { return result.append(0x25) }
    let value: JinjaObject
    if let named { value = named } else { value = try argument() }
    try interpreter.step(4)
    let text = try text(value, Character(scalar), specification)
    try interpreter.charge(text.count, each: 4)
    result += text.scalars
  }

  private func text(
    _ value: JinjaObject, _ type: Character, _ given: JinjaFormatSpecification
  ) throws(JinjaError) -> JinjaString {
    var specification = given
    switch type {
    case "s", "r", "a":
      if specification.alignment == "=" {
        (specification.alignment, specification.fill) = (">", 0x20)
      }
      if specification.alignment == nil { specification.alignment = ">" }
      var text =
        type == "s"
        ? try interpreter.text(of: value) : try interpreter.representation(of: value)
      if type == "s", format.isMarkup, !text.isMarkup { text = interpreter.escaped(text) }
      return try specification.text(text, interpreter)
    case "c":
      if case .string(let text) = value, text.count == 1 {
        specification.alignment = specification.alignment ?? ">"
        return try specification.padded(text, interpreter, right: true)
      }
      guard let integer = value.integer else { throw error("%c requires int or char") }
      specification.alignment = specification.alignment ?? ">"
      return try specification.integer(integer, "c", interpreter)
    case "d", "i", "u", "x", "X", "o":
      try interpreter.refuse(undefined: value)
      var integer = value.integer
      if case .float(let number) = value, "diu".contains(type) {
        integer = Int(exactly: number.rounded(.towardZero))
      }
      guard let integer else {
        throw error("%\(type) format: a real number is required, not \(value.typeName)")
      }
      guard specification.precision == nil else {
        throw interpreter.error(.unsupported("the precision of an integer"))
      }
      let kind: Character = "xXo".contains(type) ? type : "d"
      return try specification.integer(integer, kind, interpreter)
    case "e", "E", "f", "F", "g", "G":
      try interpreter.refuse(undefined: value)
      guard let number = value.number else {
        throw error("must be real number, not \(value.typeName)")
      }
      return try specification.float(number, type, interpreter)
    default: throw error("unsupported format character '\(type)'")
    }
  }
}
