import VLMFoundation

/// Makes a grammar of a JSON Schema (draft 2020-12).
///
/// Every document of the grammar is valid. Some valid ones it does not have: members come in the
/// schema's order, and an object with `properties` has others only where `additionalProperties` says
/// so. A keyword that cannot be kept is refused by its name.
struct SchemaCompiler {
  let file: String
  private let document: SchemaPart
  var rules = JSONRules()
  /// Rules by the schemas that hold together in them.
  private var numbers: [[SchemaPart]: Int] = [:]
  private var pending: [[SchemaPart]] = []
  /// Schemas looked at, each time it was needed.
  private var visits = 0

  static let limits = JSONLimits(
    maximumDepth: 64, maximumBytes: 1 << 20, maximumNodes: 100_000)
  private static let maximumVisits = 200_000
  /// Choices that `anyOf` beside other keywords may multiply to.
  private static let maximumChoices = 256

  init(_ document: JSONValue, file: String) {
    self.file = file
    self.document = SchemaPart(pointer: "#", value: document)
  }

  /// - Throws: `TextError` with the JSON pointer of what is not supported or contradicts itself.
  mutating func compile() throws(TextError) -> Grammar {
    let root = reference([document])
    while let parts = pending.popLast() {
      guard let rule = numbers[parts] else { continue }
      rules.define(rule, try expression(of: parts))
    }
    guard case .rule(let number) = root else {
      throw TextError(file: file, place: "#", .missing)
    }
    return try Grammar(rules.rules, root: number, file: file)
  }

  /// What satisfies all of `parts`; anything where there are none.
  mutating func reference(_ parts: [SchemaPart]) -> GrammarExpression {
    var seen = Set<SchemaPart>()
    let parts = parts.filter { seen.insert($0).inserted }
    if parts.isEmpty { return rules.value() }
    if let rule = numbers[parts] { return .rule(rule) }
    let rule = rules.add(parts[0].pointer)
    numbers[parts] = rule
    pending.append(parts)
    return .rule(rule)
  }

  func error(_ place: String, _ found: String, _ expected: String) -> TextError {
    TextError(file: file, place: place, .value(found: found, expected: expected))
  }

  private mutating func expression(of parts: [SchemaPart]) throws(TextError) -> GrammarExpression {
    if parts.count == 1, let forwarded = try forwarded(parts[0]) { return forwarded }
    var choices: [GrammarExpression] = []
    for node in try nodes(of: parts) { choices.append(try expression(of: node)) }
    return choices.count == 1 ? choices[0] : .choice(choices)
  }

  /// A schema that only names another, or a choice of others: their rules are used as they are.
  private mutating func forwarded(_ part: SchemaPart) throws(TextError) -> GrammarExpression? {
    guard let members = part.value.objectValue?.members else { return nil }
    let keywords = members.filter { !SchemaNode.isAnnotation($0.key) }
    guard keywords.count == 1, let only = keywords.first else { return nil }
    let inner = part.part(only.key, only.value)
    switch only.key {
    case "$ref": return reference([try target(of: inner)])
    case "anyOf", "oneOf":
      var choices: [GrammarExpression] = []
      for choice in try alternatives(inner, only.key) { choices.append(reference([choice])) }
      return .choice(choices)
    default: return nil
    }
  }

  /// The schemas of `anyOf` or `oneOf`.
  ///
  /// - Throws: `TextError` for a `oneOf` of which two may hold at once.
  private mutating func alternatives(
    _ part: SchemaPart, _ key: String
  ) throws(TextError) -> [SchemaPart] {
    let choices = part.parts(of: try KeywordReader(part: part, file: file).array())
    guard key == "oneOf", choices.count > 1 else { return choices }
    guard choices.count <= Self.maximumChoices else {
      throw error(part.pointer, "\(choices.count) schemas", "at most \(Self.maximumChoices)")
    }
    var nodes: [[SchemaNode]] = []
    for choice in choices { nodes.append(try self.nodes(of: [choice])) }
    for (second, later) in nodes.enumerated() {
      for (first, earlier) in nodes[..<second].enumerated() {
        for a in earlier {
          for b in later {
            if try excludes(a, b), try excludes(b, a) { continue }
            throw error(
              part.pointer, "schemas \(first) and \(second), of which both may hold",
              "'anyOf', or schemas that exclude each other by type or by a property with constants")
          }
        }
      }
    }
    return choices
  }

  // MARK: Schemas that hold together

  /// The schemas that `parts` amount to, of which one must hold.
  mutating func nodes(of parts: [SchemaPart]) throws(TextError) -> [SchemaNode] {
    var result: [SchemaNode] = []
    try expand(
      SchemaNode(pointer: parts.first?.pointer ?? "#"), parts, seen: [], groups: [], &result)
    return result
  }

  private mutating func expand(
    _ node: SchemaNode, _ parts: [SchemaPart], seen: Set<SchemaPart>, groups: [[SchemaPart]],
    _ result: inout [SchemaNode]
  ) throws(TextError) {
    var (node, seen, groups) = (node, seen, groups)
    var work = Array(parts.reversed())
    while let part = work.popLast() {
      guard seen.insert(part).inserted else { continue }
      visits += 1
      guard visits <= Self.maximumVisits else {
        throw error(part.pointer, "more combinations of schemas", "at most \(Self.maximumVisits)")
      }
      if part.value == .bool(true) { continue }
      if part.value == .bool(false) {
        node.isNever = true
        continue
      }
      node.members.append(.init())
      node.elements.append(.init())
      for member in try KeywordReader(part: part, file: file).object().members {
        let inner = part.part(member.key, member.value)
        if try node.read(member.key, inner, file: file) { continue }
        switch member.key {
        case "$ref": work.append(try target(of: inner))
        case "allOf":
          let all = inner.parts(of: try KeywordReader(part: inner, file: file).array())
          work.append(contentsOf: all.reversed())
        default: groups.append(try alternatives(inner, member.key))
        }
      }
    }
    guard let group = groups.popLast() else {
      guard result.count < Self.maximumChoices else {
        throw error(node.pointer, "more combinations", "at most \(Self.maximumChoices)")
      }
      return result.append(node)
    }
    for choice in group {
      try expand(node, [choice], seen: seen, groups: groups, &result)
    }
  }

  /// What a `$ref` names in this document.
  private func target(of part: SchemaPart) throws(TextError) -> SchemaPart {
    let reader = KeywordReader(part: part, file: file)
    let text = try reader.string()
    guard text == "#" || text.hasPrefix("#/") else {
      throw reader.unsupported("'\(text)', a reference to what is not in this document,")
    }
    guard let path = Self.path(text) else { throw reader.error("'\(text)'", "a JSON pointer") }
    var found = document
    for name in path {
      let next: JSONValue? =
        switch found.value {
        case .object(let object): object[name]
        case .array(let elements):
          Int(name).flatMap { elements.indices.contains($0) ? elements[$0] : nil }
        default: nil
        }
      guard let next else { throw reader.error("'\(text)'", "a place in this document") }
      found = found.part(name, next)
    }
    return found
  }

  /// The names of a pointer behind `#`, with `~0`, `~1` and `%NN` resolved.
  private static func path(_ text: String) -> [String]? {
    var bytes: [UInt8] = []
    var rest = Array(text.utf8.dropFirst())[...]
    while let byte = rest.popFirst() {
      guard byte == UInt8(ascii: "%") else {
        bytes.append(byte)
        continue
      }
      let digits = String(decoding: rest.prefix(2), as: UTF8.self)
      guard digits.utf8.count == 2, let value = UInt8(digits, radix: 16) else { return nil }
      bytes.append(value)
      rest = rest.dropFirst(2)
    }
    return bytes.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false).dropFirst()
      .map { name in
        var plain: [UInt8] = []
        var rest = name
        while let byte = rest.popFirst() {
          guard byte == UInt8(ascii: "~"), let next = rest.popFirst() else {
            plain.append(byte)
            continue
          }
          plain.append(next == UInt8(ascii: "1") ? UInt8(ascii: "/") : UInt8(ascii: "~"))
        }
        return String(decoding: plain, as: UTF8.self)
      }
  }
}
