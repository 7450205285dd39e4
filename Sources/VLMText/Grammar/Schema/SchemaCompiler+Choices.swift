import VLMFoundation

/// Whether alternatives of a `oneOf` exclude each other.
extension SchemaCompiler {
  /// Whether no document that is written for `a` is valid for `b`.
  mutating func excludes(_ a: SchemaNode, _ b: SchemaNode) throws(TextError) -> Bool {
    if a.isNever || b.isNever { return true }
    if let first = a.values, let second = b.values {
      return !first.contains { value in second.contains { SchemaNode.areEqual(value, $0) } }
    }
    func withIntegers(_ types: Set<SchemaType>) -> Set<SchemaType> {
      types.contains(.number) ? types.union([.integer]) : types
    }
    let types = withIntegers(a.writtenTypes).intersection(withIntegers(b.allowedTypes))
    if types.isEmpty { return true }
    guard types == [.object], a.values == nil, b.values == nil else { return false }
    for name in a.required {
      // A member that only `a` has, where `b` says which there may be.
      let isForeign = b.members.contains { members in
        members.additional?.value == .bool(false) && members.property(name) == nil
      }
      if isForeign { return true }
      if let first = try constants(name, a), let second = try constants(name, b),
        !first.contains(where: { value in second.contains { SchemaNode.areEqual(value, $0) } })
      {
        return true
      }
    }
    return false
  }

  /// The values that a property may have where they are listed.
  private mutating func constants(
    _ name: String, _ node: SchemaNode
  ) throws(TextError) -> [JSONValue]? {
    let parts = node.members.compactMap { $0.property(name) }
    guard !parts.isEmpty else { return nil }
    var values: [JSONValue] = []
    for node in try nodes(of: parts) {
      if node.isNever { continue }
      guard let some = node.values else { return nil }
      values += some
    }
    return values
  }
}
