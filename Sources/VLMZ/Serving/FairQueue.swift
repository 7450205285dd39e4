/// A queue in which clients take turns: one element of each, and of each client in their order.
package struct FairQueue<Element> {
  private var lines: [String: [Element]] = [:]
  /// Clients that wait, the next one first.
  private var turns: [String] = []
  /// Elements of all clients.
  package private(set) var count = 0

  /// An empty one.
  package init() {}

  /// Whether nothing waits.
  package var isEmpty: Bool { count == 0 }

  /// Puts an element behind the others of its client.
  package mutating func append(_ element: Element, client: String) {
    if lines[client] == nil { turns.append(client) }
    lines[client, default: []].append(element)
    count += 1
  }

  /// Puts back what `popFirst` has just taken, as if it had never left.
  package mutating func putBack(_ element: Element, client: String) {
    turns.removeAll { $0 == client }
    turns.insert(client, at: 0)
    lines[client, default: []].insert(element, at: 0)
    count += 1
  }

  /// Puts back what `popFirst` has taken and that needs more than one turn: before the others of its
  /// client, whose next turn comes behind that of everybody else.
  package mutating func giveWay(_ element: Element, client: String) {
    if lines[client] == nil { turns.append(client) }
    lines[client, default: []].insert(element, at: 0)
    count += 1
  }

  /// Takes the next client's first element; nil when nothing waits.
  package mutating func popFirst() -> Element? {
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

  /// Takes out what has a reason not to wait any longer.
  ///
  /// - Parameter reason: asked once for each element, because what it looks at may change meanwhile.
  package mutating func removeAll<Reason>(
    _ reason: (Element) -> Reason?
  ) -> [(element: Element, reason: Reason)] {
    var removed: [(element: Element, reason: Reason)] = []
    for client in turns {
      guard let line = lines[client] else { continue }
      var rest: [Element] = []
      for element in line {
        if let reason = reason(element) {
          removed.append((element, reason))
        } else {
          rest.append(element)
        }
      }
      lines[client] = rest.isEmpty ? nil : rest
    }
    turns.removeAll { lines[$0] == nil }
    count -= removed.count
    return removed
  }
}
