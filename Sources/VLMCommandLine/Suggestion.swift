/// The name that a person may have meant by a misspelt one.
package enum Suggestion {
  /// The name at the smallest edit distance; nil where that is more than a third of the letters.
  package static func nearest(to name: String, of names: [String]) -> String? {
    let wanted = Array(name.lowercased().utf8.prefix(64))
    let candidates = names.filter { $0.utf8.count <= 64 }.map { candidate in
      (name: candidate, distance: distance(wanted, Array(candidate.lowercased().utf8)))
    }
    guard let best = candidates.min(by: { $0.distance < $1.distance }),
      best.distance * 3 <= wanted.count
    else { return nil }
    return best.name
  }

  /// The Levenshtein distance: letters changed, added or left out.
  private static func distance(_ a: [UInt8], _ b: [UInt8]) -> Int {
    var row = Array(0...b.count)
    for (i, letter) in a.enumerated() {
      var diagonal = row[0]
      row[0] = i + 1
      for (j, other) in b.enumerated() {
        let changed = diagonal + (letter == other ? 0 : 1)
        diagonal = row[j + 1]
        row[j + 1] = min(changed, diagonal + 1, row[j] + 1)
      }
    }
    return row[b.count]
  }
}
