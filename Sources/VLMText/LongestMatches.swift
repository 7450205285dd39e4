/// Knows, at each place of a text, the longest of many strings that begins there.
///
/// The automaton of Aho and Corasick for the strings read backwards: in one pass from the end of a
/// text its state says what begins at each place. Time is linear in the text, whatever the strings
/// are, and memory in the strings.
struct LongestMatches: Sendable {
  /// Where the states begin that a state leads to by one more byte; one more than there are states.
  /// States are numbered by length, so that those of one parent are neighbours.
  private var firstChild: [Int32] = []
  /// The byte that led to a state.
  private var bytes: [UInt8] = [0]
  /// The state of the longest part that the same text leaves, without its last byte of backward order.
  private var fallback: [Int32] = [0]
  /// The string that a state's text begins with, the longest; -1 for none.
  private var longest: [Int32] = [-1]
  /// By byte, from the start.
  private var roots = [Int32](repeating: 0, count: 256)
  /// Bytes of the longest string.
  private(set) var length = 0

  /// - Parameter strings: none is empty; of equal ones the first counts.
  init(_ strings: [(number: Int32, bytes: [UInt8])]) {
    let reversed = strings.map { (number: $0.number, bytes: Array($0.bytes.reversed())) }
      .sorted {
        $0.bytes == $1.bytes
          ? $0.number < $1.number : $0.bytes.lexicographicallyPrecedes($1.bytes)
      }
    // For each state of the length in hand, the strings that go on from it.
    var level: [Range<Int>] = [reversed.indices]
    var depth = 0
    var first = 0
    while !level.isEmpty {
      var next: [Range<Int>] = []
      for (place, range) in level.enumerated() {
        let parent = first + place
        firstChild.append(Int32(bytes.count))
        var at = range.lowerBound
        while at < range.upperBound, reversed[at].bytes.count == depth { at += 1 }
        while at < range.upperBound {
          let (start, byte) = (at, reversed[at].bytes[depth])
          while at < range.upperBound, reversed[at].bytes[depth] == byte { at += 1 }
          let state = bytes.count
          let fall = depth == 0 ? 0 : step(from: fallback[parent], byte)
          bytes.append(byte)
          fallback.append(fall)
          let isString = reversed[start].bytes.count == depth + 1
          longest.append(isString ? reversed[start].number : longest[Int(fall)])
          if depth == 0 { roots[Int(byte)] = Int32(state) }
          next.append(start..<at)
        }
      }
      first += level.count
      depth += 1
      if !next.isEmpty { length = depth }
      level = next
    }
    firstChild.append(Int32(bytes.count))
  }

  var isEmpty: Bool { length == 0 }

  /// The state behind `state` when the text is longer by `byte` at its front.
  @inline(__always)
  func step(from state: Int32, _ byte: UInt8) -> Int32 {
    var state = Int(state)
    while state != 0 {
      // While it is made, the last states have no children yet, and none is asked for them.
      var child = Int(firstChild[state])
      let end = Int(firstChild[state + 1])
      while child < end {
        if bytes[child] == byte { return Int32(child) }
        child += 1
      }
      state = Int(fallback[state])
    }
    return roots[Int(byte)]
  }

  /// The number of the longest string that begins where the text of `state` does; nil for none.
  @inline(__always)
  func match(_ state: Int32) -> Int? {
    let found = longest[Int(state)]
    return found < 0 ? nil : Int(found)
  }
}
