/// The texts of a vocabulary's tokens as a tree of bytes, so that what many begin with is looked at
/// once. Nodes are numbered in the order of the texts: behind a node come all those below it.
struct TokenTrie: Sendable {
  /// The byte that leads to each node, and how many lie before it.
  let bytes: [UInt8]
  let depths: [Int32]
  /// The first node that is not below this one.
  let ends: [Int32]
  /// Where the tokens of a node, and of those below, begin in `tokens`; one more than nodes.
  let firsts: [Int32]
  /// Tokens in the order of their texts.
  let tokens: [Int32]
  /// Bytes of the longest text.
  let height: Int

  /// - Parameter texts: by token; those without bytes are in no node.
  init(_ texts: [ArraySlice<UInt8>]) {
    let order = texts.indices.filter { !texts[$0].isEmpty }
      .sorted { a, b in
        let (first, second) = (texts[a], texts[b])
        return first.elementsEqual(second) ? a < b : first.lexicographicallyPrecedes(second)
      }
    var bytes: [UInt8] = []
    var depths: [Int32] = []
    var ends: [Int32] = []
    var firsts: [Int32] = []
    /// The nodes of the text before.
    var path: [Int] = []
    var height = 0
    for (index, token) in order.enumerated() {
      let text = texts[token]
      height = max(height, text.count)
      var common = 0
      for (node, byte) in zip(path, text) {
        guard bytes[node] == byte else { break }
        common += 1
      }
      for node in path[common...] { ends[node] = Int32(bytes.count) }
      path.removeLast(path.count - common)
      for byte in text.dropFirst(common) {
        depths.append(Int32(path.count))
        path.append(bytes.count)
        bytes.append(byte)
        ends.append(0)
        firsts.append(Int32(index))
      }
    }
    for node in path { ends[node] = Int32(bytes.count) }
    firsts.append(Int32(order.count))
    (self.bytes, self.depths, self.ends, self.firsts) = (bytes, depths, ends, firsts)
    tokens = order.map { Int32($0) }
    self.height = height
  }

  /// Tokens whose text ends at `node`.
  func tokens(at node: Int) -> Range<Int> { Int(firsts[node])..<Int(firsts[node + 1]) }
}
