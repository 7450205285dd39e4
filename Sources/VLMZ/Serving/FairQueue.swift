/// A queue in which clients take turns: one element of each, and of each client in their order.
struct FairQueue<Element> {
  private var lines: [String: [Element]] = [:]
  /// Clients that wait, the next one first.
  private var turns: [String] = []
  private(set) var count = 0

  var isEmpty: Bool { count == 0 }

  /// What `popFirst` takes next.
  var first: Element? { turns.first.flatMap { lines[$0]?.first } }

  mutating func append(_ element: Element, client: String) {
    if lines[client] == nil { turns.append(client) }
    lines[client, default: []].append(element)
    count += 1
  }

  mutating func popFirst() -> Element? {
    guard !turns.isEmpty else { return nil }
    let client = turns.removeFirst()
    guard var line = lines.removeValue(forKey: client), !line.isEmpty else { return nil }
    let element = line.removeFirst()
    count -= 1
    if !line.isEmpty {
      lines[client] = line
      turns.append(client)
    }
    return element
  }

  /// Takes out what does not wait any longer.
  mutating func removeAll(where isOver: (Element) -> Bool) -> [Element] {
    var removed: [Element] = []
    for client in turns {
      guard let line = lines[client] else { continue }
      let (over, rest) = (line.filter(isOver), line.filter { !isOver($0) })
      guard !over.isEmpty else { continue }
      removed += over
      lines[client] = rest.isEmpty ? nil : rest
    }
    turns.removeAll { lines[$0] == nil }
    count -= removed.count
    return removed
  }
}
