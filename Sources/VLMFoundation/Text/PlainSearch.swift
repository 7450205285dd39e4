// Searching for a fixed text. The standard library has this too, in the module of its regular expressions,
// which a program that calls one of them links as a whole: 1.3 MB where Swift's runtime is linked in. To
// Swift any other module's declaration hides that module's; `scripts/build-tools` checks that nothing of
// it is left.

extension StringProtocol {
  /// Whether `other` is in the text, character by character as `==` compares them; an empty text is.
  package func contains(_ other: String) -> Bool {
    let wanted = Array(other)
    guard let first = wanted.first else { return true }
    var start = startIndex
    while let match = self[start...].firstIndex(of: first) {
      if self[match...].starts(with: wanted) { return true }
      start = index(after: match)
    }
    return false
  }

  /// The parts of the text that `separator` divides, empty ones too.
  package func parts(between separator: String) -> [SubSequence] {
    let wanted = Array(separator)
    guard let first = wanted.first else { return [self[...]] }
    var parts: [SubSequence] = []
    var begin = startIndex
    var start = startIndex
    while let match = self[start...].firstIndex(of: first) {
      if self[match...].starts(with: wanted) {
        parts.append(self[begin..<match])
        begin = index(match, offsetBy: wanted.count)
        start = begin
      } else {
        start = index(after: match)
      }
    }
    return parts + [self[begin...]]
  }
}
