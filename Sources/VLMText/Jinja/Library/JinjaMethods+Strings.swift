// String methods that search, split and join.

extension JinjaString {
  /// Python's `start` and `end` arguments, clamped to the string; nil if the range is invalid.
  static func range(_ start: Int?, _ end: Int?, in count: Int) -> Range<Int>? {
    func clamped(_ bound: Int) -> Int {
      bound >= 0 ? bound : max(0, bound.addingReportingOverflow(count).partialValue)
    }
    let (first, last) = (clamped(start ?? 0), min(count, clamped(end ?? count)))
    return first <= last ? first..<last : nil
  }

  var reversed: JinjaString { JinjaString(scalars: scalars.reversed(), isMarkup: isMarkup) }

  /// Removes characters for which `isDropped` is true from either end.
  func stripped(
    left: Bool = true, right: Bool = true, where isDropped: (UInt32) -> Bool
  ) -> JinjaString {
    var (start, end) = (0, count)
    while left, start < end, isDropped(self[start]) { start += 1 }
    while right, end > start, isDropped(self[end - 1]) { end -= 1 }
    return start == 0 && end == count ? self : self[start..<end]
  }
}

extension JinjaMethods {
  nonisolated(unsafe) static let ofStrings: [String: StringMethod] = cutting.merging(changing) {
    first, _ in first
  }

  static let unsupportedOfStrings: Set<String> = ["encode", "maketrans", "translate"]

  private nonisolated(unsafe) static let cutting: [String: StringMethod] = [
    "strip": strip, "lstrip": leftStrip, "rstrip": rightStrip, "split": split,
    "rsplit": rightSplit, "splitlines": splitLines, "partition": partition,
    "rpartition": rightPartition, "startswith": startsWith, "endswith": endsWith,
    "removeprefix": removePrefix, "removesuffix": removeSuffix, "replace": replace,
    "join": join, "find": find, "rfind": rightFind, "index": index, "rindex": rightIndex,
    "count": count,
  ]

  private static func strip(
    _ text: JinjaString, _ arguments: JinjaArguments, _ run: JinjaInterpreter
  ) throws(JinjaError) -> JinjaObject {
    try stripped(text, arguments, run, left: true, right: true)
  }

  private static func leftStrip(
    _ text: JinjaString, _ arguments: JinjaArguments, _ run: JinjaInterpreter
  ) throws(JinjaError) -> JinjaObject {
    try stripped(text, arguments, run, left: true, right: false)
  }

  private static func rightStrip(
    _ text: JinjaString, _ arguments: JinjaArguments, _ run: JinjaInterpreter
  ) throws(JinjaError) -> JinjaObject {
    try stripped(text, arguments, run, left: false, right: true)
  }

  private static func stripped(
    _ text: JinjaString, _ arguments: JinjaArguments, _ run: JinjaInterpreter, left: Bool,
    right: Bool
  ) throws(JinjaError) -> JinjaObject {
    let characters = try arguments.placed("strip", 0...1, run).text(0)
    return .string(try stripped(text, characters, run, left: left, right: right))
  }

  /// - Parameter characters: the characters to strip; nil for whitespace.
  static func stripped(
    _ text: JinjaString, _ characters: JinjaString?, _ run: JinjaInterpreter, left: Bool = true,
    right: Bool = true
  ) throws(JinjaError) -> JinjaString {
    try run.charge(text.count, each: 4)
    guard let characters else {
      return text.stripped(left: left, right: right, where: JinjaScalar.isSpace)
    }
    let dropped = Set(characters.scalars.map { $0 & JinjaString.valueMask })
    return text.stripped(left: left, right: right) { dropped.contains($0) }
  }

  // MARK: Splitting

  private static func split(
    _ text: JinjaString, _ arguments: JinjaArguments, _ run: JinjaInterpreter
  ) throws(JinjaError) -> JinjaObject {
    try split(text, arguments, run, fromRight: false)
  }

  private static func rightSplit(
    _ text: JinjaString, _ arguments: JinjaArguments, _ run: JinjaInterpreter
  ) throws(JinjaError) -> JinjaObject {
    try split(text, arguments, run, fromRight: true)
  }

  private static func split(
    _ text: JinjaString, _ arguments: JinjaArguments, _ run: JinjaInterpreter, fromRight: Bool
  ) throws(JinjaError) -> JinjaObject {
    let given = try arguments.bound("split", ["sep", "maxsplit"], run)
    var limit = try given.integer(1, -1)
    if limit < 0 { limit = .max }
    try run.charge(text.count, each: 4)
    // Splitting from the right is splitting the reversed string from the left.
    let source = fromRight ? text.reversed : text
    var ranges: [Range<Int>] = []
    if let separator = try given.text(0) {
      guard !separator.isEmpty else { throw run.error(.value("empty separator")) }
      let search = JinjaSearch(fromRight ? separator.reversed : separator)
      var start = 0
      for place in search.all(in: source, limit: limit) {
        ranges.append(start..<place)
        start = place + separator.count
      }
      ranges.append(start..<source.count)
    } else {
      ranges = words(source, limit: limit)
    }
    if fromRight {
      ranges = ranges.reversed().map { text.count - $0.upperBound..<text.count - $0.lowerBound }
    }
    return try parts(text, ranges, run)
  }

  private static func words(_ text: JinjaString, limit: Int) -> [Range<Int>] {
    var ranges: [Range<Int>] = []
    var at = 0
    func skipSpaces() {
      while at < text.count, JinjaScalar.isSpace(text[at]) { at += 1 }
    }
    skipSpaces()
    while at < text.count {
      let start = at
      if ranges.count == limit {
        ranges.append(start..<text.count)
        break
      }
      while at < text.count, !JinjaScalar.isSpace(text[at]) { at += 1 }
      ranges.append(start..<at)
      skipSpaces()
    }
    return ranges
  }

  private static func parts(
    _ text: JinjaString, _ ranges: [Range<Int>], _ run: JinjaInterpreter
  ) throws(JinjaError) -> JinjaObject {
    try run.charge(ranges.count, each: JinjaInterpreter.elementBytes)
    return try run.list(ranges.map { .string(text[$0]) })
  }

  private static func splitLines(
    _ text: JinjaString, _ arguments: JinjaArguments, _ run: JinjaInterpreter
  ) throws(JinjaError) -> JinjaObject {
    let keepsEnds = try arguments.bound("splitlines", ["keepends"], run).isTrue(0)
    try run.charge(text.count, each: 4)
    return try parts(text, lines(text, keepsEnds: keepsEnds), run)
  }

  static func lines(_ text: JinjaString, keepsEnds: Bool = false) -> [Range<Int>] {
    var ranges: [Range<Int>] = []
    var start = 0
    while start < text.count {
      var end = start
      while end < text.count, !JinjaScalar.isLineEnd(text[end]) { end += 1 }
      var behind = min(end + 1, text.count)
      if end < text.count, text[end] == 0x0d, behind < text.count, text[behind] == 0x0a {
        behind += 1
      }
      ranges.append(start..<(keepsEnds ? behind : end))
      start = behind
    }
    return ranges
  }

  private static func partition(
    _ text: JinjaString, _ arguments: JinjaArguments, _ run: JinjaInterpreter
  ) throws(JinjaError) -> JinjaObject {
    let separator = try arguments.placed("partition", 1...1, run).requiredText(0)
    guard !separator.isEmpty else { throw run.error(.value("empty separator")) }
    try run.charge(text.count, each: 4)
    guard let place = text.firstIndex(of: separator, in: 0..<text.count) else {
      return try run.sequence([.string(text), .text(""), .text("")], .tuple)
    }
    return try partition(text, at: place, separator.count, run)
  }

  private static func rightPartition(
    _ text: JinjaString, _ arguments: JinjaArguments, _ run: JinjaInterpreter
  ) throws(JinjaError) -> JinjaObject {
    let separator = try arguments.placed("rpartition", 1...1, run).requiredText(0)
    guard !separator.isEmpty else { throw run.error(.value("empty separator")) }
    try run.charge(text.count, each: 8)
    let place = text.reversed.firstIndex(of: separator.reversed, in: 0..<text.count)
    guard let place else {
      return try run.sequence([.text(""), .text(""), .string(text)], .tuple)
    }
    return try partition(text, at: text.count - place - separator.count, separator.count, run)
  }

  private static func partition(
    _ text: JinjaString, at place: Int, _ count: Int, _ run: JinjaInterpreter
  ) throws(JinjaError) -> JinjaObject {
    try run.sequence(
      [
        .string(text[0..<place]), .string(text[place..<place + count]),
        .string(text[place + count..<text.count]),
      ], .tuple)
  }

  // MARK: Beginnings and ends

  private static func startsWith(
    _ text: JinjaString, _ arguments: JinjaArguments, _ run: JinjaInterpreter
  ) throws(JinjaError) -> JinjaObject {
    try hasPart(text, arguments, run, "startswith", atEnd: false)
  }

  private static func endsWith(
    _ text: JinjaString, _ arguments: JinjaArguments, _ run: JinjaInterpreter
  ) throws(JinjaError) -> JinjaObject {
    try hasPart(text, arguments, run, "endswith", atEnd: true)
  }

  private static func hasPart(
    _ text: JinjaString, _ arguments: JinjaArguments, _ run: JinjaInterpreter, _ name: String,
    atEnd: Bool
  ) throws(JinjaError) -> JinjaObject {
    let given = try arguments.placed(name, 1...3, run)
    let first = given[0] ?? .null
    try run.refuse(undefined: first)
    var candidates = [first]
    if case .sequence(let sequence) = first, sequence.kind.isTuple {
      candidates = sequence.elements
    }
    let range = JinjaString.range(given.value(1)?.integer, given.value(2)?.integer, in: text.count)
    for candidate in candidates {
      guard case .string(let part) = candidate else {
        throw run.error(
          .value(
            "\(name) first arg must be str or a tuple of str, not \(candidate.typeName)"))
      }
      try run.step(1 + part.count / 8)
      guard let range, part.count <= range.count else { continue }
      let place = atEnd ? range.upperBound - part.count : range.lowerBound
      if text.hasPrefix(part.scalars, at: place) { return .bool(true) }
    }
    return .bool(false)
  }

  private static func removePrefix(
    _ text: JinjaString, _ arguments: JinjaArguments, _ run: JinjaInterpreter
  ) throws(JinjaError) -> JinjaObject {
    let part = try arguments.placed("removeprefix", 1...1, run).requiredText(0)
    guard text.hasPrefix(part.scalars, at: 0) else { return .string(text) }
    try run.charge(text.count, each: 4)
    return .string(text[part.count..<text.count])
  }

  private static func removeSuffix(
    _ text: JinjaString, _ arguments: JinjaArguments, _ run: JinjaInterpreter
  ) throws(JinjaError) -> JinjaObject {
    let part = try arguments.placed("removesuffix", 1...1, run).requiredText(0)
    let count = text.count - part.count
    guard count >= 0, text.hasPrefix(part.scalars, at: count) else { return .string(text) }
    try run.charge(text.count, each: 4)
    return .string(text[0..<count])
  }

  // MARK: Replacing and joining

  private static func replace(
    _ text: JinjaString, _ arguments: JinjaArguments, _ run: JinjaInterpreter
  ) throws(JinjaError) -> JinjaObject {
    let given = try arguments.placed("replace", 2...3, run)
    let (old, new) = (try given.requiredText(0), try given.requiredText(1))
    let limit = try given.integer(2, -1)
    let isEscaped = text.isMarkup && !new.isMarkup
    return .string(try replaced(text, old, isEscaped ? run.escaped(new) : new, limit, run))
  }

  /// - Parameter limit: the maximum number; negative for all.
  static func replaced(
    _ text: JinjaString, _ old: JinjaString, _ new: JinjaString, _ limit: Int,
    _ run: JinjaInterpreter
  ) throws(JinjaError) -> JinjaString {
    try run.charge(text.count, each: 4)
    let limit = limit < 0 ? Int.max : limit
    let places =
      old.isEmpty
      ? Array((0...text.count).prefix(limit)) : JinjaSearch(old).all(in: text, limit: limit)
    if places.isEmpty { return text }
    try run.charge(places.count, each: try run.whole(new.count.multipliedReportingOverflow(by: 4)))
    var scalars: [UInt32] = []
    var start = 0
    for place in places {
      scalars += text.scalars[start..<place]
      scalars += new.scalars
      start = place + old.count
    }
    scalars += text.scalars[start...]
    return JinjaString(scalars: scalars, isMarkup: text.isMarkup)
  }

  private static func join(
    _ text: JinjaString, _ arguments: JinjaArguments, _ run: JinjaInterpreter
  ) throws(JinjaError) -> JinjaObject {
    let elements = try run.elements(of: try arguments.placed("join", 1...1, run)[0] ?? .null)
    var parts: [JinjaString] = []
    for (position, element) in elements.enumerated() {
      guard case .string(let part) = element else {
        throw run.error(
          .value("sequence item \(position): expected str instance, \(element.typeName) found"))
      }
      parts.append(part)
    }
    return try joined(parts, text, run)
  }

  static func joined(
    _ parts: [JinjaString], _ separator: JinjaString, _ run: JinjaInterpreter
  ) throws(JinjaError) -> JinjaObject {
    var scalars: [UInt32] = []
    for (position, part) in parts.enumerated() {
      try run.charge(part.count + (position > 0 ? separator.count : 0), each: 4)
      if position > 0 { scalars += separator.scalars }
      scalars += part.scalars
    }
    return .string(JinjaString(scalars: scalars, isMarkup: separator.isMarkup))
  }

  // MARK: Looking

  /// The position of an argument in a range of the text; nil if it does not occur.
  private static func place(
    _ text: JinjaString, _ arguments: JinjaArguments, _ run: JinjaInterpreter, _ name: String,
    fromRight: Bool
  ) throws(JinjaError) -> Int? {
    let given = try arguments.placed(name, 1...3, run)
    let part = try given.requiredText(0)
    try run.charge(text.count, each: fromRight ? 4 : 1)
    guard
      let range = JinjaString.range(
        given.value(1)?.integer, given.value(2)?.integer, in: text.count)
    else { return nil }
    guard fromRight else { return text.firstIndex(of: part, in: range) }
    let reversed = text.reversed.firstIndex(
      of: part.reversed, in: text.count - range.upperBound..<text.count - range.lowerBound)
    return reversed.map { text.count - $0 - part.count }
  }

  private static func find(
    _ text: JinjaString, _ arguments: JinjaArguments, _ run: JinjaInterpreter
  ) throws(JinjaError) -> JinjaObject {
    .int(try place(text, arguments, run, "find", fromRight: false) ?? -1)
  }

  private static func rightFind(
    _ text: JinjaString, _ arguments: JinjaArguments, _ run: JinjaInterpreter
  ) throws(JinjaError) -> JinjaObject {
    .int(try place(text, arguments, run, "rfind", fromRight: true) ?? -1)
  }

  private static func index(
    _ text: JinjaString, _ arguments: JinjaArguments, _ run: JinjaInterpreter
  ) throws(JinjaError) -> JinjaObject {
    guard let place = try place(text, arguments, run, "index", fromRight: false) else {
      throw run.error(.value("substring not found"))
    }
    return .int(place)
  }

  private static func rightIndex(
    _ text: JinjaString, _ arguments: JinjaArguments, _ run: JinjaInterpreter
  ) throws(JinjaError) -> JinjaObject {
    guard let place = try place(text, arguments, run, "rindex", fromRight: true) else {
      throw run.error(.value("substring not found"))
    }
    return .int(place)
  }

  private static func count(
    _ text: JinjaString, _ arguments: JinjaArguments, _ run: JinjaInterpreter
  ) throws(JinjaError) -> JinjaObject {
    let given = try arguments.placed("count", 1...3, run)
    let part = try given.requiredText(0)
    try run.charge(text.count, each: 4)
    guard
      let range = JinjaString.range(
        given.value(1)?.integer, given.value(2)?.integer, in: text.count)
    else { return .int(0) }
    if part.isEmpty { return .int(range.count + 1) }
    return .int(JinjaSearch(part).all(in: text[range]).count)
  }
}
