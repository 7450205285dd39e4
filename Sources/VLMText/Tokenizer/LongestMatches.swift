/// Finds, at each position of a text, the longest of many strings that starts there.
///
/// An Aho-Corasick automaton of the reversed strings: in one pass from the end of a text, its state
/// determines the match at each position. Time is linear in the text, memory linear in the total
/// length of the strings.
struct LongestMatches: Sendable {
  /// Index of the first child of each state, plus one sentinel. States are numbered by depth, so
  /// siblings are contiguous.
  private var firstChild: [Int32] = []
  /// The byte on the edge to each state.
  private var bytes: [UInt8] = [0]
  /// The failure link: the state of the longest proper suffix in reading direction of the
  /// automaton.
  private var fallback: [Int32] = [0]
  /// The longest string that matches at each state; -1 for none.
  private var longest: [Int32] = [-1]
  /// Transitions from the root, by byte.
  private var roots = [Int32](repeating: 0, count: 256)
  /// The state that each string leads to, by its number.
  private var places: [Int32: Int32] = [:]
  /// Byte length of the longest string.
  private(set) var length = 0

  /// - Parameter strings: non-empty; of equal strings the first counts.
  init(_ strings: [(number: Int32, bytes: [UInt8])]) {
    let reversed = strings.map { (number: $0.number, bytes: Array($0.bytes.reversed())) }
      .sorted {
        $0.bytes == $1.bytes
          ? $0.number < $1.number : $0.bytes.lexicographicallyPrecedes($1.bytes)
      }
    // For each state of the current depth, the strings that continue from it.
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
          if isString { places[reversed[start].number] = Int32(state) }
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

  /// The transition from `state` when `byte` is prepended to the text.
  @inline(__always)
  func step(from state: Int32, _ byte: UInt8) -> Int32 {
    var state = Int(state)
    while state != 0 {
      // During construction the deepest states have no children yet.
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

  /// Index of the longest string that starts at the position of `state`; nil for none.
  @inline(__always)
  func match(_ state: Int32) -> Int? {
    let found = longest[Int(state)]
    return found < 0 ? nil : Int(found)
  }

  /// Shows the index of every string that starts at the position of `state`, the longest first.
  @inline(__always)
  func forEachMatch(_ state: Int32, _ body: (Int) -> Void) {
    var state = state
    while let found = match(state), let place = places[Int32(found)] {
      body(found)
      state = fallback[Int(place)]
    }
  }
}
