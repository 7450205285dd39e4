// Python's `str` and `repr`.

extension JinjaInterpreter {
  /// `str(value)`, the form written to the output.
  func text(of value: JinjaObject) throws(JinjaError) -> JinjaString {
    switch value {
    case .string(let text): return text
    case .undefined: return JinjaString(scalars: [])
    case .int(let value): return JinjaString(String(value))
    default: return try representation(of: value)
    }
  }

  /// `repr(value)`.
  func representation(of value: JinjaObject) throws(JinjaError) -> JinjaString {
    var writer = JinjaRepresentationWriter(run: self)
    try writer.write(value)
    return JinjaString(scalars: writer.scalars)
  }

  /// `repr(value)` without origin marks, for messages.
  func shortRepresentation(_ value: JinjaObject) throws(JinjaError) -> String {
    String(try representation(of: value).string.prefix(80))
  }
}

private struct JinjaRepresentationWriter {
  let run: JinjaInterpreter
  var scalars: [UInt32] = []

  init(run: JinjaInterpreter) { self.run = run }

  private mutating func append(_ text: String) {
    scalars.append(contentsOf: text.unicodeScalars.lazy.map(\.value))
  }

  /// Recurses to the depth of the value.
  mutating func write(_ value: JinjaObject) throws(JinjaError) {
    try run.step()
    switch value {
    case .undefined: append("Undefined")
    case .null: append("None")
    case .bool(let value): append(value ? "True" : "False")
    case .int(let value): append(String(value))
    case .float(let value):
      try run.step(JinjaNumber.steps)
      append(JinjaNumber.representation(value))
    case .string(let text):
      if text.isMarkup { append("Markup(") }
      try quote(text)
      if text.isMarkup { append(")") }
    case .sequence(let sequence): try write(sequence)
    case .dictionary(let dictionary):
      append("{")
      for (position, key) in dictionary.keys.enumerated() {
        if position > 0 { append(", ") }
        try write(key)
        append(": ")
        try write(dictionary.values[position])
      }
      append("}")
    case .iterator: append("<generator>")
    case .namespace: append("<namespace>")
    case .macro(let number):
      append("<Macro '\(run.name(ofMacro: number))'>")
    case .loop(let loop): append("<LoopContext \(loop.index + 1)>")
    case .global(let global): append("<function \(global.rawValue)>")
    case .method(let method):
      append("<built-in method \(method.name) of \(method.receiver.typeName) object>")
    }
  }

  private mutating func write(_ sequence: JinjaSequence) throws(JinjaError) {
    let (opening, closing): (String, String)
    switch sequence.kind {
    case .list: (opening, closing) = ("[", "]")
    case .tuple, .group:
      (opening, closing) = ("(", sequence.elements.count == 1 ? ",)" : ")")
    case .keys: (opening, closing) = ("dict_keys([", "])")
    case .values: (opening, closing) = ("dict_values([", "])")
    case .items: (opening, closing) = ("dict_items([", "])")
    case .range(let start, let end, let step):
      return append("range(\(start), \(end)\(step == 1 ? "" : ", \(step)"))")
    }
    append(opening)
    for (position, element) in sequence.elements.enumerated() {
      if position > 0 { append(", ") }
      try write(element)
    }
    append(closing)
  }

  private mutating func quote(_ text: JinjaString) throws(JinjaError) {
    try run.charge(text.count, each: 16)
    var hasSingle = false
    var hasDouble = false
    for position in 0..<text.count {
      if text[position] == 0x27 { hasSingle = true }
      if text[position] == 0x22 { hasDouble = true }
    }
    let quote: UInt32 = hasSingle && !hasDouble ? 0x22 : 0x27
    scalars.append(quote)
    for scalar in text.scalars {
      let value = scalar & JinjaString.valueMask
      let mark = scalar & JinjaString.userMark
      let escape: String?
      switch value {
      case quote, 0x5c: escape = nil
      case 0x0a: escape = "\\n"
      case 0x0d: escape = "\\r"
      case 0x09: escape = "\\t"
      default:
        guard !JinjaScalar.isPrintable(value) else {
          scalars.append(scalar)
          continue
        }
        let (letter, width) =
          value < 0x100 ? ("x", 2) : value < 0x10000 ? ("u", 4) : ("U", 8)
        escape = "\\" + letter + JinjaNumber.padded(String(value, radix: 16), width)
      }
      if let escape {
        scalars.append(contentsOf: escape.unicodeScalars.lazy.map { $0.value | mark })
      } else {
        scalars.append(0x5c | mark)
        scalars.append(scalar)
      }
    }
    scalars.append(quote)
  }
}
