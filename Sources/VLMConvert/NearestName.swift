/// The name of a file that a name which is not in it was most likely expected to be.
enum NearestName {
  /// Names looked at.
  private static let limit = 1 << 16

  /// The name that shares the most parts with `name` at its end and its beginning; nil for none.
  static func find(_ name: String, among names: some Sequence<String>) -> String? {
    let wanted = name.split(separator: ".")
    var best: (score: Int, name: String)?
    for candidate in names.prefix(limit) {
      let parts = candidate.split(separator: ".")
      let end = zip(wanted.reversed(), parts.reversed()).prefix { $0 == $1 }.count
      let beginning = zip(wanted, parts).prefix { $0 == $1 }.count
      let score = 2 * end + beginning
      if score > best?.score ?? -1 { best = (score, candidate) }
    }
    return best?.name
  }
}
