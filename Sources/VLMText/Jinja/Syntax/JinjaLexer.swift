/// A token of a template.
struct JinjaToken: Sendable {
  enum Kind: Sendable, Equatable {
    case data(JinjaString)
    case blockBegin, blockEnd, variableBegin, variableEnd
    case name(String)
    case string(JinjaString)
    case integer(Int)
    case float(Double)
    case symbol(String)
    case end
  }

  let line: Int
  let kind: Kind

  /// The token's name in messages.
  var shown: String {
    switch kind {
    case .data: "template text"
    case .blockBegin: "'{%'"
    case .blockEnd: "'%}'"
    case .variableBegin: "'{{'"
    case .variableEnd: "'}}'"
    case .name(let name): "'\(name)'"
    case .string: "a string"
    case .integer, .float: "a number"
    case .symbol(let symbol): "'\(symbol)'"
    case .end: "the end of the template"
    }
  }
}

/// Splits a template into tokens, with the whitespace control of jinja2's lexer under `trim_blocks`
/// and `lstrip_blocks`.
struct JinjaLexer {
  let source: [UInt32]
  var at = 0
  private(set) var line = 1
  private var tokens: [JinjaToken] = []
  /// Pending closing brackets.
  private var open: [UInt32] = []

  static func tokens(of source: String) throws(JinjaError) -> [JinjaToken] {
    var lexer = JinjaLexer(source)
    try lexer.scan()
    lexer.add(.end)
    return lexer.tokens
  }

  /// Line breaks become `
  ///
  /// `, and a trailing one is removed.
  private init(_ text: String) {
    var scalars: [UInt32] = []
    scalars.reserveCapacity(text.utf8.count)
    var wasReturn = false
    for scalar in text.unicodeScalars {
      if scalar == "\r" {
        scalars.append(0x0a)
      } else if scalar != "\n" || !wasReturn {
        scalars.append(scalar.value)
      }
      wasReturn = scalar == "\r"
    }
    if scalars.last == 0x0a { scalars.removeLast() }
    source = scalars
  }

  private enum Tag { case block, variable, comment }

  private mutating func scan() throws(JinjaError) {
    while at < source.count {
      var start = at
      var tag: Tag?
      while start + 1 < source.count {
        if source[start] == Self.brace {
          switch source[start + 1] {
          case Self.brace: tag = .variable
          case Self.percent: tag = .block
          case Self.hash: tag = .comment
          default: break
          }
        }
        if tag != nil { break }
        start += 1
      }
      guard let tag else {
        addData(to: source.count)
        move(to: source.count)
        return
      }
      let sign = control(start + 2)
      addData(to: textEnd(before: start, sign: sign, isVariable: tag == .variable))
      move(to: start)
      if tag == .block, let end = rawBegin(start + 2) {
        move(to: end)
        try scanRaw()
        continue
      }
      move(to: start + 2 + (sign == nil ? 0 : 1))
      switch tag {
      case .comment: try scanComment()
      case .block:
        add(.blockBegin)
        try scanTag(isBlock: true)
      case .variable:
        add(.variableBegin)
        try scanTag(isBlock: false)
      }
    }
  }

  // MARK: Text around tags

  /// The `-` or `+` of an opening tag.
  private func control(_ position: Int) -> UInt32? {
    guard position < source.count else { return nil }
    return source[position] == Self.minus || source[position] == Self.plus ? source[position] : nil
  }

  /// The end of the text from `at` to a tag at `end`, after whitespace control.
  private func textEnd(before end: Int, sign: UInt32?, isVariable: Bool) -> Int {
    var start = end
    if sign == Self.minus {
      while start > at, JinjaScalar.isSpace(source[start - 1]) { start -= 1 }
      return start
    }
    if sign == Self.plus || isVariable { return end }
    while start > at, source[start - 1] != 0x0a {
      guard JinjaScalar.isSpace(source[start - 1]) else { return end }
      start -= 1
    }
    return start > at || at == 0 || source[at - 1] == 0x0a ? start : end
  }

  private mutating func addData(to end: Int) {
    guard end > at else { return }
    add(.data(JinjaString(scalars: Array(source[at..<end]))))
  }

  private mutating func add(_ kind: JinjaToken.Kind) {
    tokens.append(JinjaToken(line: line, kind: kind))
  }

  private mutating func move(to end: Int) {
    for position in at..<max(at, end) where source[position] == 0x0a { line += 1 }
    at = end
  }

  func matches(_ text: StaticString, at position: Int) -> Bool {
    let count = text.utf8CodeUnitCount
    guard count <= source.count - position else { return false }
    for offset in 0..<count where source[position + offset] != UInt32(text.utf8Start[offset]) {
      return false
    }
    return true
  }

  private func afterSpaces(_ position: Int) -> Int {
    var position = position
    while position < source.count, JinjaScalar.isSpace(source[position]) { position += 1 }
    return position
  }

  /// The position after `raw %}` if the tag whose `{%` ends at `position` is `raw`; nil otherwise.
  private func rawBegin(_ position: Int) -> Int? {
    var end = afterSpaces(control(position) == nil ? position : position + 1)
    guard matches("raw", at: end) else { return nil }
    end = afterSpaces(end + 3)
    if matches("-%}", at: end) { return afterSpaces(end + 3) }
    return matches("%}", at: end) ? end + 2 : nil
  }

  private mutating func scanRaw() throws(JinjaError) {
    var start = at
    while start < source.count {
      if matches("{%", at: start) {
        let sign = control(start + 2)
        let name = afterSpaces(sign == nil ? start + 2 : start + 3)
        if matches("endraw", at: name),
          let end = closing(afterSpaces(name + 6), Self.percent, trims: true)
        {
          addData(to: textEnd(before: start, sign: sign, isVariable: false))
          return move(to: end)
        }
      }
      start += 1
    }
    throw error(.unexpected(found: "the end of the template", expected: "'{% endraw %}'"))
  }

  private mutating func scanComment() throws(JinjaError) {
    var end = at
    while end < source.count {
      if let behind = closing(end, Self.hash, trims: true) { return move(to: behind) }
      end += 1
    }
    throw error(.unexpected(found: "the end of the template", expected: "'#}'"))
  }

  /// The position after the end of a tag that starts at `position`, and after the whitespace it
  /// removes.
  private func closing(_ position: Int, _ mark: UInt32, trims: Bool) -> Int? {
    guard position < source.count else { return nil }
    let sign = control(position)
    let start = sign == nil ? position : position + 1
    guard start + 1 < source.count, source[start] == mark, source[start + 1] == Self.closingBrace
    else { return nil }
    if sign == Self.minus { return afterSpaces(start + 2) }
    if sign == Self.plus { return trims ? start + 2 : nil }
    return trims && start + 2 < source.count && source[start + 2] == 0x0a ? start + 3 : start + 2
  }

  // MARK: Within a tag

  private mutating func scanTag(isBlock: Bool) throws(JinjaError) {
    open = []
    while at < source.count {
      if open.isEmpty,
        let end = closing(at, isBlock ? Self.percent : Self.closingBrace, trims: isBlock)
      {
        add(isBlock ? .blockEnd : .variableEnd)
        return move(to: end)
      }
      let scalar = source[at]
      if JinjaScalar.isSpace(scalar) {
        move(to: afterSpaces(at))
      } else if JinjaScalar.isDigit(scalar) {
        let (kind, end) = try number()
        add(kind)
        move(to: end)
      } else if JinjaScalar.isWord(scalar) {
        var end = at
        while end < source.count, JinjaScalar.isWord(source[end]) { end += 1 }
        add(.name(JinjaString.string(of: source[at..<end])))
        move(to: end)
      } else if scalar == 0x27 || scalar == 0x22 {
        let (text, end) = try string()
        add(.string(text))
        move(to: end)
      } else {
        try symbol()
      }
    }
  }

  private static let symbols = Set(
    [
      "+", "-", "/", "//", "*", "%", "**", "~", "[", "]", "(", ")", "{", "}", "==", "!=", ">", ">=",
      "<", "<=", "=", ".", ":", "|", ",", ";",
    ])

  private mutating func symbol() throws(JinjaError) {
    for count in [2, 1] where at + count <= source.count {
      let text = JinjaString.string(of: source[at..<at + count])
      guard Self.symbols.contains(text) else { continue }
      switch text {
      case "{": open.append(Self.closingBrace)
      case "(": open.append(0x29)
      case "[": open.append(0x5d)
      case "}", ")", "]":
        guard open.popLast() == source[at] else { throw error(.syntax("unexpected '\(text)'")) }
      default: break
      }
      add(.symbol(text))
      return move(to: at + count)
    }
    throw error(.syntax("unexpected '\(JinjaString.string(of: source[at..<at + 1]))'"))
  }

  func error(_ problem: JinjaError.Problem) -> JinjaError { JinjaError(line: line, problem) }

  private static let brace: UInt32 = 0x7b
  private static let closingBrace: UInt32 = 0x7d
  private static let percent: UInt32 = 0x25
  private static let hash: UInt32 = 0x23
  private static let minus: UInt32 = 0x2d
  private static let plus: UInt32 = 0x2b
}
