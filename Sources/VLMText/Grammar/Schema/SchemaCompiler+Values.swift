import VLMFoundation

/// Grammars of values.
extension SchemaCompiler {
  mutating func expression(of node: SchemaNode) throws(TextError) -> GrammarExpression {
    if node.isNever { return .never }
    if let values = node.values { return try listed(values, node) }
    let types = node.writtenTypes
    if types.count == SchemaType.allCases.count { return rules.value() }
    var choices: [GrammarExpression] = []
    for type in SchemaType.allCases where types.contains(type) {
      switch type {
      case .object: choices.append(try object(node))
      case .array: choices.append(try array(node))
      case .string: choices.append(try string(node))
      case .number: choices.append(number(node))
      case .integer where types.contains(.number): continue
      case .integer: choices.append(integer(node))
      case .boolean: choices += [.text("true"), .text("false")]
      case .null: choices.append(.text("null"))
      }
    }
    return choices.count == 1 ? choices[0] : .choice(choices)
  }

  /// `enum` and `const`: the values as they are, without white space.
  private func listed(
    _ values: [JSONValue], _ node: SchemaNode
  ) throws(TextError) -> GrammarExpression {
    if let assertion = node.assertion {
      throw TextError(
        file: file, place: node.pointer, .unsupported("'\(assertion)' beside 'enum' or 'const'"))
    }
    return .choice(
      values.filter { node.allows(SchemaType(of: $0)) && node.isWithinBounds($0) }
        .map { .text($0.serialized()) })
  }

  private func integer(_ node: SchemaNode) -> GrammarExpression {
    node.numbers.minimum == nil && node.numbers.maximum == nil
      ? JSONGrammar.integer : node.numbers.integers()
  }

  private func number(_ node: SchemaNode) -> GrammarExpression {
    node.numbers.minimum == nil && node.numbers.maximum == nil
      ? JSONGrammar.number : node.numbers.numbers()
  }

  // MARK: Strings

  private mutating func string(_ node: SchemaNode) throws(TextError) -> GrammarExpression {
    var content: SchemaPattern?
    if let format = node.format, !SchemaFormat.unbound.contains(format.value.stringValue ?? "") {
      guard node.pattern == nil else {
        throw TextError(
          file: file, place: format.pointer, .unsupported("'format' beside 'pattern'"))
      }
      let name = format.value.stringValue ?? ""
      guard let pattern = SchemaFormat.patterns[name] else {
        let known = Array(SchemaFormat.patterns.keys) + Array(SchemaFormat.unbound)
        let names = known.sorted().joined(separator: ", ")
        throw error(format.pointer, "'\(name)'", "one of \(names)")
      }
      content = try SchemaPattern(pattern, file: file, place: format.pointer)
    } else if let pattern = node.pattern {
      content = try SchemaPattern(
        pattern.value.stringValue ?? "", file: file, place: pattern.pointer)
    }
    guard let content else {
      if node.minimumLength == 0, node.maximumLength == nil { return rules.string() }
      if let maximum = node.maximumLength, maximum < node.minimumLength { return .never }
      return JSONGrammar.string(minimum: node.minimumLength, maximum: node.maximumLength)
    }
    let isWithin =
      content.minimumLength >= node.minimumLength
      && (node.maximumLength.map { content.maximumLength ?? .max <= $0 } ?? true)
    guard isWithin else {
      throw TextError(
        file: file, place: node.pointer,
        .unsupported("a length that 'pattern' or 'format' does not keep by itself"))
    }
    return JSONGrammar.quoted(content.expression)
  }

  // MARK: Arrays

  /// Elements of a tuple before those that are all alike.
  private static var maximumPrefix: Int { 256 }

  private mutating func array(_ node: SchemaNode) throws(TextError) -> GrammarExpression {
    var maximum = node.maximumItems
    for elements in node.elements where elements.rest?.value == .bool(false) {
      maximum = min(maximum ?? .max, elements.prefix.count)
    }
    if let maximum, maximum < node.minimumItems { return .never }
    let prefix = node.elements.map(\.prefix.count).max() ?? 0
    guard prefix <= Self.maximumPrefix else {
      throw error(node.pointer, "\(prefix) 'prefixItems'", "at most \(Self.maximumPrefix)")
    }
    if prefix == 0, maximum == nil, node.minimumItems == 0,
      node.elements.allSatisfy({ $0.rest == nil })
    {
      return rules.array()
    }
    let rest = reference(node.elements.compactMap(\.rest))
    // From the last to the first: what may follow so many elements.
    let left = maximum.map { max(0, $0 - prefix) }
    var tail =
      prefix == 0
      ? JSONGrammar.several(rest, minimum: node.minimumItems, maximum: maximum)
      : GrammarExpression.repeated(
        .sequence([JSONGrammar.comma, rest]), minimum: max(0, node.minimumItems - prefix),
        maximum: left)
    for index in (0..<prefix).reversed() {
      guard index < maximum ?? .max else {
        tail = .empty
        continue
      }
      let parts = node.elements.compactMap { elements in
        index < elements.prefix.count ? elements.prefix[index] : elements.rest
      }
      tail = .sequence([reference(parts), tail])
      if index > 0 { tail = .sequence([JSONGrammar.comma, tail]) }
      if index >= node.minimumItems { tail = tail.optional }
    }
    return JSONGrammar.enclosed("[", tail, "]")
  }

  // MARK: Objects

  private mutating func object(_ node: SchemaNode) throws(TextError) -> GrammarExpression {
    var names: [String] = []
    var known = Set<ExactString>()
    for name in node.members.flatMap({ $0.properties.map(\.name) }) + node.required
    where known.insert(ExactString(name)).inserted {
      names.append(name)
    }
    let additions = node.members.compactMap(\.additional)
    let isOpen =
      !additions.contains { $0.value == .bool(false) } && (!additions.isEmpty || names.isEmpty)
    if names.isEmpty, additions.isEmpty, node.minimumProperties == 0, node.maximumProperties == nil
    {
      return rules.object()
    }
    try checkCounts(node, names.count)
    var items: [GrammarExpression.ListItem] = []
    for name in names {
      let parts = node.members.compactMap { $0.property(name) ?? $0.additional }
      let key = GrammarExpression.text(JSONValue.string(name).serialized())
      items.append(
        .init(
          expression: JSONGrammar.member(key, reference(parts)),
          isOptional: !node.required.contains { $0.hasSameBytes(as: name) }))
    }
    let left = node.maximumProperties.map { $0 - names.count }
    if isOpen, left != 0 {
      let key =
        names.isEmpty ? rules.string() : JSONGrammar.quoted(ExcludedNames.expression(names))
      let member = JSONGrammar.member(key, reference(additions))
      items.append(
        .init(
          expression: JSONGrammar.several(member, minimum: 1, maximum: left), isOptional: true))
    }
    return JSONGrammar.enclosed("{", .list(items, separator: JSONGrammar.comma), "}")
  }

  /// Names may come twice where any are allowed, so that they cannot be counted.
  private func checkCounts(_ node: SchemaNode, _ names: Int) throws(TextError) {
    if node.minimumProperties > node.required.count {
      throw TextError(
        file: file, place: node.pointer,
        .unsupported("'minProperties' above the number of required properties"))
    }
    if let maximum = node.maximumProperties, maximum < names {
      throw TextError(
        file: file, place: node.pointer,
        .unsupported("'maxProperties' below the number of properties"))
    }
  }
}

/// Names of members that are none of some. They have no escapes, with which a name could be written
/// in another way.
enum ExcludedNames {
  static func expression(_ names: [String]) -> GrammarExpression {
    let any = GrammarExpression.repeated(.scalars(JSONGrammar.plain), minimum: 0, maximum: nil)
    return expression(names.map { Array($0.unicodeScalars.prefix(maximumLength))[...] }, any)
  }

  /// Names that agree so far are all excluded.
  private static let maximumLength = 64

  private static func expression(
    _ names: [ArraySlice<Unicode.Scalar>], _ any: GrammarExpression
  ) -> GrammarExpression {
    var longer: [Unicode.Scalar: [ArraySlice<Unicode.Scalar>]] = [:]
    for name in names {
      if let first = name.first { longer[first, default: []].append(name.dropFirst()) }
    }
    // What was cut off is excluded with all that begins so.
    var choices: [GrammarExpression] = names.contains(where: \.isEmpty) ? [] : [.empty]
    let isCut = names.contains { $0.isEmpty && $0.startIndex >= maximumLength }
    if !isCut {
      let next = ScalarSet(longer.keys.map { $0.value...$0.value })
      choices.append(.sequence([.scalars(JSONGrammar.plain.subtracting(next)), any]))
    }
    for (scalar, rest) in longer.sorted(by: { $0.key < $1.key }) {
      guard JSONGrammar.plain.contains(scalar.value) else { continue }
      choices.append(.sequence([.text(String(scalar)), expression(rest, any)]))
    }
    return .choice(choices)
  }
}

extension Grammar {
  /// JSON that is valid for a schema.
  ///
  /// - Parameter file: the schema's name, for messages.
  /// - Throws: `TextError` for a text that is no JSON, and for keywords that are not supported.
  package init(jsonSchema: [UInt8], file: String = "schema") throws(TextError) {
    let value: JSONValue
    do throws(JSONError) {
      value = try JSONValue.parse(jsonSchema, limits: SchemaCompiler.limits)
    } catch {
      throw TextError(file: file, place: "schema", .json("\(error)"))
    }
    var compiler = SchemaCompiler(value, file: file)
    self = try compiler.compile()
  }
}
