/// The members of a JSON object, in order, each key once.
package struct JSONObject: Sendable, Equatable {
  package struct Member: Sendable, Equatable {
    package let key: String
    package fileprivate(set) var value: JSONValue
  }

  package private(set) var members: [Member] = []
  /// Position by key, kept from the ninth member on: below that a scan is quicker and smaller.
  private var index: [ExactString: Int] = [:]

  private static let scannedCount = 8

  package init() {}

  package var count: Int { members.count }
  package var isEmpty: Bool { members.isEmpty }
  package var keys: [String] { members.map(\.key) }

  /// Setting replaces the value in place or appends; setting nil is not offered.
  package subscript(key: String) -> JSONValue? { position(of: key).map { members[$0].value } }

  /// Replaces the value of `key`, or appends it.
  package mutating func set(_ key: String, _ value: JSONValue) {
    if let position = position(of: key) {
      members[position].value = value
    } else {
      append(key, value)
    }
  }

  /// Appends a member unless `key` is there already, and says whether it did.
  package mutating func insert(_ key: String, _ value: JSONValue) -> Bool {
    if position(of: key) != nil { return false }
    append(key, value)
    return true
  }

  private mutating func append(_ key: String, _ value: JSONValue) {
    members.append(Member(key: key, value: value))
    if members.count == Self.scannedCount + 1 {
      for (position, member) in members.enumerated() { index[ExactString(member.key)] = position }
    } else if members.count > Self.scannedCount {
      index[ExactString(key)] = members.count - 1
    }
  }

  private func position(of key: String) -> Int? {
    members.count > Self.scannedCount
      ? index[ExactString(key)] : members.firstIndex { $0.key.hasSameBytes(as: key) }
  }

  package static func == (a: JSONObject, b: JSONObject) -> Bool { a.members == b.members }
}
