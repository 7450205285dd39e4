// Python's `str.format`.

extension JinjaMethods {
  static func format(
    _ text: JinjaString, _ arguments: JinjaArguments, _ run: JinjaInterpreter
  ) throws(JinjaError) -> JinjaObject {
    var formatter = JinjaBraceFormatter(arguments, run)
    let scalars = try formatter.formatted(text, level: 0)
    return .string(JinjaString(scalars: scalars, isMarkup: text.isMarkup))
  }

  static func formatMap(
    _ text: JinjaString, _ arguments: JinjaArguments, _ run: JinjaInterpreter
  ) throws(JinjaError) -> JinjaObject {
    guard case .dictionary(let members)? = try arguments.placed("format_map", 1...1, run)[0] else {
      throw run.error(.value("format_map() argument must be a mapping"))
    }
    var named = JinjaArguments()
    for (key, value) in zip(members.keys, members.values) {
      if case .string(let name) = key { try named.add(name.string, value, run) }
    }
    return try format(text, named, run)
  }
}

private struct JinjaBraceFormatter {
  private var arguments: JinjaArguments
  private let run: JinjaInterpreter
  private var next = 0

  init(_ arguments: JinjaArguments, _ run: JinjaInterpreter) {
    self.arguments = arguments
    self.run = run
  }

  private func error(_ text: String) -> JinjaError { run.error(.value(text)) }

  /// - Parameter level: nesting level of fields within format specifications, from 0.
  mutating func formatted(_ text: JinjaString, level: Int) throws(JinjaError) -> [UInt32] {
    guard level < 3 else { throw error("Max string recursion exceeded") }
    try run.charge(text.count, each: 4)
    var result: [UInt32] = []
    var at = 0
    while at < text.count {
      let scalar = text[at]
      let isBrace = scalar == 0x7b || scalar == 0x7d
      if isBrace, at + 1 < text.count, text[at + 1] == scalar {
        result.append(text.scalars[at])
        at += 2
      } else if scalar == 0x7b {
        var end = at + 1
        var open = 1
        while end < text.count {
          if text[end] == 0x7b { open += 1 }
          if text[end] == 0x7d { open -= 1 }
          if open == 0 { break }
          end += 1
        }
        guard end < text.count else { throw error("expected '}' before end of string") }
        let field = try field(text[at + 1..<end], level: level)
        try run.charge(field.count, each: 4)
        result += field.scalars
        at = end + 1
      } else if scalar == 0x7d {
        throw error("Single '}' encountered in format string")
      } else {
        result.append(text.scalars[at])
        at += 1
      }
    }
    return result
  }

  private mutating func field(_ field: JinjaString, level: Int) throws(JinjaError) -> JinjaString {
    try run.step(4)
    var nameEnd = 0
    var brackets = 0
    while nameEnd < field.count {
      if field[nameEnd] == 0x5b { brackets = 1 }
      if field[nameEnd] == 0x5d { brackets = 0 }
      if brackets == 0, field[nameEnd] == 0x3a || field[nameEnd] == 0x21 { break }
      nameEnd += 1
    }
    var value = try value(named: field[0..<nameEnd].string)
    var at = nameEnd
    if at < field.count, field[at] == 0x21 {
      guard at + 1 < field.count else {
        throw error("end of string while looking for conversion specifier")
      }
      switch field[at + 1] {
      case 0x72, 0x61: value = .string(try run.representation(of: value))
      case 0x73: value = .string(try run.text(of: value))
      default: throw error("unknown conversion specifier")
      }
      at += 2
      guard at == field.count || field[at] == 0x3a else {
        throw error("expected ':' after conversion specifier")
      }
    }
    let specification = at < field.count ? field[at + 1..<field.count] : JinjaString(scalars: [])
    let expanded = JinjaString(scalars: try formatted(specification, level: level + 1))
    return try text(of: value, expanded)
  }

  /// `name.attribute[item]`.
  private mutating func value(named path: String) throws(JinjaError) -> JinjaObject {
    let head = path.prefix { $0 != "." && $0 != "[" }
    var value: JinjaObject
    if head.isEmpty || head.allSatisfy({ $0.isASCII && $0.isNumber }) {
      let position = head.isEmpty ? next : Int(head) ?? .max
      if head.isEmpty { next += 1 }
      guard position < arguments.positional.count else {
        throw error("Replacement index \(position) out of range for positional args tuple")
      }
      value = arguments.positional[position]
    } else {
      guard let found = arguments.named.first(where: { $0.name == head }) else {
        throw error("KeyError: '\(head)'")
      }
      value = found.value
    }
    var rest = path.dropFirst(head.count)
    while let mark = rest.first {
      rest.removeFirst()
      if mark == "." {
        let name = String(rest.prefix { $0 != "." && $0 != "[" })
        rest = rest.dropFirst(name.count)
        guard !name.isEmpty else { throw error("Empty attribute in format string") }
        value = try run.attribute(name, JinjaString(name), of: value)
      } else if mark == "[", let end = rest.firstIndex(of: "]") {
        let key = rest[..<end]
        rest = rest[rest.index(after: end)...]
        let isNumber = !key.isEmpty && key.allSatisfy { $0.isASCII && $0.isNumber }
        value = try run.item(
          isNumber ? .int(Int(key) ?? .max) : .text(String(key)), of: value)
      } else {
        throw error("Only '.' or '[' may follow ']' in format field specifier")
      }
    }
    return value
  }

  private func text(
    of value: JinjaObject, _ source: JinjaString
  ) throws(JinjaError) -> JinjaString {
    if source.isEmpty { return try run.text(of: value) }
    var specification = try parse(source)
    var value = value
    if case .bool(let truth) = value { value = .int(truth ? 1 : 0) }
    switch value {
    case .string(let text):
      guard specification.type == nil || specification.type == "s" else {
        throw error(
          "Unknown format code '\(specification.type.map(String.init) ?? "")' for object of type"
            + " 'str'")
      }
      if specification.alignment == "=" {
        throw error("'=' alignment not allowed in string format specifier")
      }
      return try specification.text(text, run)
    case .int(let integer):
      let type = specification.type ?? "d"
      if "eEfFgG%".contains(type) { return try specification.float(Double(integer), type, run) }
      guard "dxXobcn".contains(type) else {
        throw error("Unknown format code '\(type)' for object of type 'int'")
      }
      guard specification.precision == nil else {
        throw error("Precision not allowed in integer format specifier")
      }
      return try specification.integer(integer, type, run)
    case .float(let number):
      guard let type = specification.type else {
        guard specification.precision == nil else {
          throw run.error(.unsupported("a precision without a type"))
        }
        return try specification.number(JinjaNumber.representation(number), run)
      }
      guard "eEfFgGn%".contains(type) else {
        throw error("Unknown format code '\(type)' for object of type 'float'")
      }
      if type == "n" { specification.type = "g" }
      return try specification.float(number, type == "n" ? "g" : type, run)
    default:
      throw error("unsupported format string passed to \(value.typeName).__format__")
    }
  }

  private func parse(_ source: JinjaString) throws(JinjaError) -> JinjaFormatSpecification {
    var specification = JinjaFormatSpecification()
    var at = 0
    func character(_ position: Int) -> Character? {
      guard position < source.count, let scalar = Unicode.Scalar(source[position]) else {
        return nil
      }
      return Character(scalar)
    }
    func size() throws(JinjaError) -> Int? {
      var size: Int?
      while let digit = character(at)?.wholeNumberValue, at < source.count {
        guard (size ?? 0) < 1 << 40 else { throw error("Too many decimal digits in format string") }
        size = (size ?? 0) * 10 + digit
        at += 1
      }
      return size
    }
    if let mark = character(1), "<>=^".contains(mark) {
      specification.fill = source.scalars[0]
      specification.alignment = mark
      at = 2
    } else if let mark = character(0), "<>=^".contains(mark) {
      specification.alignment = mark
      at = 1
    }
    if let mark = character(at), "+- ".contains(mark) {
      specification.sign = mark
      at += 1
    }
    if character(at) == "#" {
      specification.isAlternate = true
      at += 1
    }
    if character(at) == "0" {
      if specification.alignment == nil {
        specification.alignment = "="
        specification.fill = 0x30
      }
      at += 1
    }
    specification.width = try size() ?? 0
    if let mark = character(at), mark == "," || mark == "_" {
      specification.grouping = mark
      at += 1
    }
    if character(at) == "." {
      at += 1
      guard let precision = try size() else { throw error("Format specifier missing precision") }
      specification.precision = precision
    }
    specification.type = character(at)
    guard at + (specification.type == nil ? 0 : 1) == source.count else {
      throw error("Invalid format specifier")
    }
    return specification
  }
}
