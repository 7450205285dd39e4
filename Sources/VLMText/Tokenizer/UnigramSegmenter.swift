/// Cuts text into the pieces of a unigram model (Kudo, "Subword Regularization"): of all ways to cut
/// it, the one whose scores have the highest sum, found by Viterbi's algorithm.
///
/// As in SentencePiece's `EncodeOptimized`, with its arithmetic: sums in f32 from the start of the text,
/// the first of equal ones, and a character that no piece is costs 10 more than the worst piece.
struct UnigramSegmenter: Sendable {
  private static let unknownPenalty: Float = 10

  private let matches: LongestMatches
  private let scores: [Float]
  private let lengths: [Int32]
  private let unknownScore: Float

  /// The best way to each place of a text.
  fileprivate struct Node {
    var id: Int32 = -1
    /// Where its last piece begins; -1 for a place that no way leads to.
    var start: Int32 = -1
    var score: Float = 0
  }

  /// Room for the ways through a text, used again and again.
  struct Scratch {
    fileprivate var nodes: [Node] = []
    fileprivate var states: [Int32] = []

    init() {}
  }

  /// - Parameter isFound: whether text may be cut into a piece.
  init(_ parts: TokenizerParts, isFound: (Int) -> Bool) {
    var strings: [(number: Int32, bytes: [UInt8])] = []
    var lengths = [Int32](repeating: 0, count: parts.ends.count)
    var (start, worst) = (0, Float.greatestFiniteMagnitude)
    for (id, end) in parts.ends.enumerated() {
      let range = start..<Int(end)
      start = range.upperBound
      guard !range.isEmpty, isFound(id) else { continue }
      strings.append((Int32(id), Array(parts.text[range])))
      lengths[id] = Int32(range.count)
      if parts.kinds[id] == .normal { worst = min(worst, parts.scores[id]) }
    }
    matches = LongestMatches(strings)
    scores = parts.scores
    self.lengths = lengths
    unknownScore = (strings.isEmpty ? 0 : worst) - Self.unknownPenalty
  }

  /// Appends the pieces of `range`; the id of one that no piece is, is -1.
  func append(
    _ text: UnsafeRawBufferPointer, _ range: Range<Int>, to symbols: inout [PairMerger.Symbol],
    _ scratch: inout Scratch
  ) {
    let (base, count) = (range.lowerBound, range.count)
    readStates(text, range, &scratch.states)
    scratch.nodes.removeAll(keepingCapacity: true)
    scratch.nodes.append(contentsOf: repeatElement(Node(), count: count + 1))
    scratch.nodes[0].start = 0
    var at = 0
    while at < count {
      let here = scratch.nodes[at].score
      let character = min(UTF8Text.sequenceLength(text[base + at]), count - at)
      var isPiece = false
      func reach(_ end: Int, _ id: Int32, _ score: Float) {
        let sum = score + here
        let node = scratch.nodes[end]
        guard node.start < 0 || sum > node.score else { return }
        scratch.nodes[end] = Node(id: id, start: Int32(at), score: sum)
      }
      matches.forEachMatch(scratch.states[at]) { id in
        let length = Int(lengths[id])
        if length == character { isPiece = true }
        reach(at + length, Int32(id), scores[id])
      }
      if !isPiece { reach(at + character, -1, unknownScore) }
      at += character
    }
    var (end, first) = (count, symbols.count)
    while end > 0 {
      let node = scratch.nodes[end]
      let start = Int(node.start)
      symbols.append(.init(id: node.id, base + start..<base + end))
      end = start
    }
    // They were found from the end.
    var last = symbols.count - 1
    while first < last {
      symbols.swapAt(first, last)
      (first, last) = (first + 1, last - 1)
    }
  }

  /// What matches at each place, from the end of the text on.
  private func readStates(
    _ text: UnsafeRawBufferPointer, _ range: Range<Int>, _ states: inout [Int32]
  ) {
    states.removeAll(keepingCapacity: true)
    states.append(contentsOf: repeatElement(0, count: range.count))
    var state: Int32 = 0
    for place in range.reversed() {
      state = matches.step(from: state, text[place])
      states[place - range.lowerBound] = state
    }
  }
}
