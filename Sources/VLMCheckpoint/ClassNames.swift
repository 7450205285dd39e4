import VLMFoundation

/// Names of classes in the forms in which training tools keep them: a list, names by index, or
/// indices by name.
package enum ClassNames {
  /// The names in `json`, by index; nil if it has none of the forms, or if its indices are not 0 to
  /// N - 1.
  package static func names(_ json: JSONValue) -> [String]? {
    if let list = json.arrayValue {
      let names = list.compactMap(\.stringValue)
      return names.count == list.count && !names.isEmpty ? names : nil
    }
    guard let members = json.objectValue?.members, !members.isEmpty else { return nil }
    let indices = members.map { Int($0.key) }
    let byIndex = indices.allSatisfy { $0 != nil }
    var slots = [String?](repeating: nil, count: members.count)
    for (member, index) in zip(members, indices) {
      // Keras's ImageNet list has an identifier before each name.
      let text = member.value.stringValue ?? member.value.arrayValue?.last?.stringValue
      let stated = member.value.intValue ?? member.value.stringValue.flatMap { Int($0) }
      let isNamed = byIndex && text != nil
      guard let slot = isNamed ? index : stated, slots.indices.contains(slot), slots[slot] == nil
      else { return nil }
      slots[slot] = isNamed ? text : member.key
    }
    return slots.compactMap { $0 }
  }

  /// A match of `search`: its keys, and the names if they can be read.
  package struct Found {
    package let place: String
    package let names: [String]?

    package init(place: String, names: [String]?) {
      self.place = place
      self.names = names
    }
  }

  /// Every value under a key for class names, also in nested objects; the most specific key first.
  package static func search(_ json: JSONValue, at place: String = "", depth: Int = 3) -> [Found] {
    var found: [(rank: Int, Found)] = []
    var inner: [Found] = []
    for member in json.objectValue?.members ?? [] {
      let name = place.isEmpty ? member.key : place + "." + member.key
      if let rank = ClassNameKeys.rank(member.key),
        member.value.objectValue != nil || member.value.arrayValue != nil
      {
        found.append((rank, Found(place: name, names: names(member.value))))
      } else if depth > 0, member.value.objectValue != nil {
        inner += search(member.value, at: name, depth: depth - 1)
      }
    }
    return found.sorted { $0.rank < $1.rank }.map { $0.1 } + inner
  }

  /// The names in a user's file: lines of text, or JSON in one of the forms.
  ///
  /// - Throws: `CheckpointError` if the file is neither.
  package static func read(_ path: String) throws(CheckpointError) -> [String] {
    let file = try MappedFile.ofCheckpoint(path: path)
    guard file.count <= maximumBytes else {
      throw CheckpointError(path: path, problem: .names("\(file.count) bytes", "a list of names"))
    }
    if file.count > 0, let kind = FileKind.standIn(file) {
      throw CheckpointError(
        path: path, problem: .names(kind.name, "a list of names" + kind.end))
    }
    var bytes = file.withBytes(0..<file.count) { Array($0) }
    ForeignEncoding.dropMark(of: &bytes)
    if let encoding = bytes.withUnsafeBytes({ ForeignEncoding.name(of: $0) }) {
      throw CheckpointError(
        path: path, problem: .names("a text in \(encoding)", "UTF-8; save it as that"))
    }
    guard let text = String(validating: bytes, as: UTF8.self) else {
      throw CheckpointError(path: path, problem: .names("bytes that are no text", "UTF-8"))
    }
    let first = text.unicodeScalars.first { !$0.properties.isWhitespace }
    guard first == "[" || first == "{" else { return try lines(text, path) }
    let json: JSONValue
    do throws(JSONError) {
      json = try JSONValue.parse(bytes, limits: JSONLimits(maximumBytes: maximumBytes))
    } catch {
      throw CheckpointError(path: path, problem: .json(error))
    }
    if let names = names(json) ?? search(json).lazy.compactMap(\.names).first { return names }
    throw CheckpointError(
      path: path,
      problem: .names(
        "JSON without them",
        "a list of names, {index: name} or {name: index} with indices from 0, each once"))
  }

  private static let maximumBytes = 16 << 20

  /// One name per line, with any line ending.
  private static func lines(_ text: String, _ path: String) throws(CheckpointError) -> [String] {
    var lines = text.split(
      omittingEmptySubsequences: false, whereSeparator: { ["\n", "\r\n", "\r"].contains($0) }
    )
    .map { line in
      String(line.drop { $0.isWhitespace }.reversed().drop { $0.isWhitespace }.reversed())
    }
    while lines.last?.isEmpty ?? false { lines.removeLast() }
    if let empty = lines.firstIndex(of: "") {
      throw CheckpointError(
        path: path, problem: .names("line \(empty + 1) empty", "a name on every line"))
    }
    guard !lines.isEmpty else {
      throw CheckpointError(path: path, problem: .names("nothing", "a name on every line"))
    }
    return lines
  }
}
