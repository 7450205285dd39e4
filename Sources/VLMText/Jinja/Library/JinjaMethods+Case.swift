// String methods for case conversion, character classes and padding.

extension JinjaString {
  func mapped(_ mapping: JinjaScalar.Mapping) -> JinjaString {
    var scalars: [UInt32] = []
    scalars.reserveCapacity(count)
    for position in 0..<count { append(position, mapping, to: &scalars) }
    return JinjaString(scalars: scalars, isMarkup: isMarkup)
  }

  private func append(_ position: Int, _ mapping: JinjaScalar.Mapping, to scalars: inout [UInt32]) {
    if mapping == .lower, self[position] == 0x3a3, isFinal(position) {
      scalars.append(0x3c2 | self.scalars[position] & Self.userMark)
    } else {
      JinjaScalar.append(self.scalars[position], as: mapping, to: &scalars)
    }
  }

  /// Whether a sigma at `position` ends a word.
  private func isFinal(_ position: Int) -> Bool {
    func isIgnored(_ place: Int) -> Bool {
      JinjaScalar.properties(self[place])?.isCaseIgnorable ?? false
    }
    // Words and ignorable characters between letters are short; the scan is bounded.
    var before = position - 1
    while before >= 0, position - before < 64, isIgnored(before) { before -= 1 }
    guard before >= 0, JinjaScalar.isCased(self[before]) else { return false }
    var after = position + 1
    while after < count, after - position < 64, isIgnored(after) { after += 1 }
    return after == count || !JinjaScalar.isCased(self[after])
  }

  /// Swaps upper and lower case.
  var swapped: JinjaString {
    var scalars: [UInt32] = []
    for position in 0..<count {
      append(position, JinjaScalar.isUpper(self[position]) ? .lower : .upper, to: &scalars)
    }
    return JinjaString(scalars: scalars, isMarkup: isMarkup)
  }

  /// Case folding for caseless comparison.
  var folded: JinjaString {
    var scalars: [UInt32] = []
    for scalar in mapped(.upper).scalars { JinjaScalar.append(scalar, as: .lower, to: &scalars) }
    return JinjaString(scalars: scalars, isMarkup: isMarkup)
  }

  /// The first letter in title case, the others in lower case.
  var capitalized: JinjaString {
    var scalars: [UInt32] = []
    for position in 0..<count {
      append(position, position == 0 ? .title : .lower, to: &scalars)
    }
    return JinjaString(scalars: scalars, isMarkup: isMarkup)
  }

  /// The first letter of each run of letters in title case, the others in lower case.
  var titled: JinjaString {
    var scalars: [UInt32] = []
    var isWithin = false
    for position in 0..<count {
      append(position, isWithin ? .lower : .title, to: &scalars)
      isWithin = JinjaScalar.isCased(self[position])
    }
    return JinjaString(scalars: scalars, isMarkup: isMarkup)
  }

  func padded(left: Int, right: Int, _ fill: UInt32) -> JinjaString {
    JinjaString(
      scalars: Array(repeating: fill, count: max(0, left)) + scalars
        + Array(repeating: fill, count: max(0, right)), isMarkup: isMarkup)
  }
}

extension JinjaMethods {
  nonisolated(unsafe) static let changing: [String: StringMethod] = [
    "lower": { (text, arguments, run) throws(JinjaError) in
      try changed(text, arguments, run, "lower") { $0.mapped(.lower) }
    },
    "upper": { (text, arguments, run) throws(JinjaError) in
      try changed(text, arguments, run, "upper") { $0.mapped(.upper) }
    },
    "casefold": { (text, arguments, run) throws(JinjaError) in
      try changed(text, arguments, run, "casefold") { $0.folded }
    },
    "capitalize": { (text, arguments, run) throws(JinjaError) in
      try changed(text, arguments, run, "capitalize") { $0.capitalized }
    },
    "title": { (text, arguments, run) throws(JinjaError) in
      try changed(text, arguments, run, "title") { $0.titled }
    },
    "swapcase": { (text, arguments, run) throws(JinjaError) in
      try changed(text, arguments, run, "swapcase") { $0.swapped }
    },
    "isalpha": { (text, arguments, run) throws(JinjaError) in
      try satisfies(text, arguments, run, "isalpha", JinjaScalar.isAlpha)
    },
    "isdigit": { (text, arguments, run) throws(JinjaError) in
      try satisfies(text, arguments, run, "isdigit") {
        [.decimal, .digit].contains(JinjaScalar.properties($0)?.numericType)
      }
    },
    "isdecimal": { (text, arguments, run) throws(JinjaError) in
      try satisfies(text, arguments, run, "isdecimal") {
        JinjaScalar.properties($0)?.numericType == .decimal
      }
    },
    "isnumeric": { (text, arguments, run) throws(JinjaError) in
      try satisfies(text, arguments, run, "isnumeric", JinjaScalar.isNumeric)
    },
    "isalnum": { (text, arguments, run) throws(JinjaError) in
      try satisfies(text, arguments, run, "isalnum", JinjaScalar.isAlphanumeric)
    },
    "isspace": { (text, arguments, run) throws(JinjaError) in
      try satisfies(text, arguments, run, "isspace", JinjaScalar.isSpace)
    },
    "isascii": { (text, arguments, run) throws(JinjaError) in
      try satisfies(text, arguments, run, "isascii", ofEmpty: true) { $0 < 0x80 }
    },
    "isprintable": { (text, arguments, run) throws(JinjaError) in
      try satisfies(text, arguments, run, "isprintable", ofEmpty: true, JinjaScalar.isPrintable)
    },
    "islower": { (text, arguments, run) throws(JinjaError) in
      _ = try arguments.placed("islower", 0...0, run)
      try run.step(text.count)
      return .bool(isCased(text, JinjaScalar.isLower))
    },
    "isupper": { (text, arguments, run) throws(JinjaError) in
      _ = try arguments.placed("isupper", 0...0, run)
      try run.step(text.count)
      return .bool(isCased(text, JinjaScalar.isUpper))
    },
    "istitle": { (text, arguments, run) throws(JinjaError) in
      _ = try arguments.placed("istitle", 0...0, run)
      try run.step(text.count)
      return .bool(isTitle(text))
    },
    "isidentifier": { (text, arguments, run) throws(JinjaError) in
      try satisfies(
        text, arguments, run, "isidentifier", JinjaScalar.isWord,
        first: {
          !JinjaScalar.isNumeric($0)
        })
    },
    "center": center, "ljust": leftJustify, "rjust": rightJustify, "zfill": zeroFill,
    "expandtabs": expandTabs, "format": format, "format_map": formatMap,
  ]

  private static func changed(
    _ text: JinjaString, _ arguments: JinjaArguments, _ run: JinjaInterpreter, _ name: String,
    _ change: (JinjaString) -> JinjaString
  ) throws(JinjaError) -> JinjaObject {
    _ = try arguments.placed(name, 0...0, run)
    // A letter maps to at most three, found in Unicode tables.
    try run.charge(text.count, each: 12)
    try run.step(text.count / 2)
    return .string(change(text))
  }

  private static func satisfies(
    _ text: JinjaString, _ arguments: JinjaArguments, _ run: JinjaInterpreter, _ name: String,
    ofEmpty: Bool = false, _ holds: (UInt32) -> Bool, first: (UInt32) -> Bool = { _ in true }
  ) throws(JinjaError) -> JinjaObject {
    _ = try arguments.placed(name, 0...0, run)
    try run.step(text.count / 2)
    if text.isEmpty { return .bool(ofEmpty) }
    return .bool(first(text[0]) && (0..<text.count).allSatisfy { holds(text[$0]) })
  }

  /// Whether there are cased letters and all of them are of one case.
  static func isCased(_ text: JinjaString, _ isOfCase: (UInt32) -> Bool) -> Bool {
    var isAny = false
    for position in 0..<text.count where JinjaScalar.isCased(text[position]) {
      guard isOfCase(text[position]) else { return false }
      isAny = true
    }
    return isAny
  }

  private static func isTitle(_ text: JinjaString) -> Bool {
    var (isAny, isWithin) = (false, false)
    for position in 0..<text.count {
      let scalar = text[position]
      if JinjaScalar.isUpper(scalar) || JinjaScalar.isTitle(scalar) {
        if isWithin { return false }
        (isAny, isWithin) = (true, true)
      } else if JinjaScalar.isLower(scalar) {
        if !isWithin { return false }
        isAny = true
      } else {
        isWithin = false
      }
    }
    return isAny
  }

  // MARK: Filling

  /// The padding needed for the width in the first argument, and the fill character.
  private static func room(
    _ text: JinjaString, _ arguments: JinjaArguments, _ run: JinjaInterpreter, _ name: String
  ) throws(JinjaError) -> (width: Int, room: Int, fill: UInt32) {
    let given = try arguments.placed(name, 1...2, run)
    let width = try given.integer(0, 0)
    let fill = try given.text(1) ?? JinjaString(" ")
    guard fill.count == 1 else {
      throw run.error(.value("The fill character must be exactly one character long"))
    }
    guard width > text.count else { return (width, 0, fill.scalars[0]) }
    try run.charge(width, each: 4)
    return (width, width - text.count, fill.scalars[0])
  }

  private static func center(
    _ text: JinjaString, _ arguments: JinjaArguments, _ run: JinjaInterpreter
  ) throws(JinjaError) -> JinjaObject {
    let (width, room, fill) = try room(text, arguments, run, "center")
    let left = room / 2 + (room & width & 1)
    return .string(text.padded(left: left, right: room - left, fill))
  }

  private static func leftJustify(
    _ text: JinjaString, _ arguments: JinjaArguments, _ run: JinjaInterpreter
  ) throws(JinjaError) -> JinjaObject {
    let (_, room, fill) = try room(text, arguments, run, "ljust")
    return .string(text.padded(left: 0, right: room, fill))
  }

  private static func rightJustify(
    _ text: JinjaString, _ arguments: JinjaArguments, _ run: JinjaInterpreter
  ) throws(JinjaError) -> JinjaObject {
    let (_, room, fill) = try room(text, arguments, run, "rjust")
    return .string(text.padded(left: room, right: 0, fill))
  }

  private static func zeroFill(
    _ text: JinjaString, _ arguments: JinjaArguments, _ run: JinjaInterpreter
  ) throws(JinjaError) -> JinjaObject {
    let width = try arguments.placed("zfill", 1...1, run).integer(0, 0)
    guard width > text.count else { return .string(text) }
    try run.charge(width, each: 4)
    let hasSign = !text.isEmpty && (text[0] == 0x2b || text[0] == 0x2d)
    let digits = hasSign ? text[1..<text.count] : text
    var filled = digits.padded(left: width - text.count, right: 0, 0x30)
    if hasSign { filled.scalars.insert(text.scalars[0], at: 0) }
    return .string(filled)
  }

  private static func expandTabs(
    _ text: JinjaString, _ arguments: JinjaArguments, _ run: JinjaInterpreter
  ) throws(JinjaError) -> JinjaObject {
    let size = try arguments.bound("expandtabs", ["tabsize"], run).integer(0, 8)
    try run.charge(text.count, each: 4)
    var scalars: [UInt32] = []
    var column = 0
    for scalar in text.scalars {
      switch scalar & JinjaString.valueMask {
      case 0x09:
        guard size > 0 else { continue }
        let count = size - column % size
        try run.charge(count, each: 4)
        scalars += repeatElement(0x20, count: count)
        column = 0
      case 0x0a, 0x0d:
        scalars.append(scalar)
        column = 0
      default:
        scalars.append(scalar)
        column += 1
      }
    }
    return try run.string(scalars, isMarkup: text.isMarkup)
  }
}
