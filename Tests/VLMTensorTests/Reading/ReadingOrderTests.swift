import Testing
import VLMTensor

@Suite("The order in which weights are read")
struct ReadingOrderTests {
  /// Uses the parts again and again, and counts the bytes that are read in the last of `laps`.
  private func read(
    _ order: inout ReadingOrder, _ parts: [Int], laps: Int
  ) -> Int {
    var bytes = 0
    for _ in 0..<laps {
      bytes = 0
      for part in parts {
        let before = order.byteCounts.indices.filter { order.holds($0) }
        let step = order.use(part)
        #expect(step.wanted.first == part && order.holds(part))
        #expect(order.heldBytes <= max(order.limit, order.byteCounts[part]))
        #expect(step.wanted.allSatisfy { order.holds($0) })
        #expect(step.letGo.allSatisfy { !order.holds($0) || step.wanted.contains($0) })
        for index in order.byteCounts.indices where order.holds(index) && !before.contains(index) {
          bytes += order.byteCounts[index]
        }
      }
    }
    return bytes
  }

  @Test("a model that has room is read once")
  func whole() {
    var order = ReadingOrder(byteCounts: [10, 20, 30], limit: 60, ahead: 10)
    #expect(read(&order, [0, 1, 2], laps: 1) == 60)
    #expect(read(&order, [0, 1, 2], laps: 1) == 0)
  }

  @Test("each pass over a model three times as large as memory reads little more than has no room")
  func larger() {
    let parts = Array(0..<30)
    var order = ReadingOrder(
      byteCounts: parts.map { _ in 10 }, limit: 100, ahead: 10)
    let bytes = read(&order, parts, laps: 12)
    // 200 bytes have no room, and what is read ahead takes some of it.
    #expect((200...225).contains(bytes), "\(bytes)")
  }

  @Test("the part behind the one in use is read before it is used, in the order of the last pass")
  func ahead() {
    var order = ReadingOrder(byteCounts: [10, 10, 10, 10, 10], limit: 30, ahead: 10)
    #expect(order.use(0) == .init(letGo: [], wanted: [0, 1]))
    #expect(order.use(1).wanted == [1, 2])
    // 2 and 3 are passed over, once.
    #expect(order.use(4).wanted.first == 4)
    _ = order.use(0)
    #expect(order.use(1).wanted == [1, 4])
  }

  @Test("more than one part is read ahead until there are enough bytes")
  func small() {
    var order = ReadingOrder(byteCounts: [100, 5, 5, 5, 5, 100], limit: 1000, ahead: 15)
    #expect(order.use(0).wanted == [0, 1, 2, 3])
    #expect(order.use(4).wanted == [4, 5])
  }

  @Test("parts that are no longer used are let go first")
  func unused() {
    // Two parts of a tower, then three of a language model, over and over.
    var order = ReadingOrder(byteCounts: [10, 10, 10, 10, 10], limit: 40, ahead: 10)
    for part in [0, 1, 2, 3, 4, 2, 3, 4, 2] { _ = order.use(part) }
    #expect(order.holds(2) && order.holds(3) && order.holds(4))
    #expect(read(&order, [3, 4, 2], laps: 2) == 0)
  }

  @Test("a part larger than the limit is held alone")
  func tooLarge() {
    var order = ReadingOrder(byteCounts: [10, 100, 10], limit: 25, ahead: 10)
    _ = order.use(0)
    let step = order.use(1)
    #expect(step.wanted == [1])
    #expect(order.heldBytes == 100)
    #expect(order.use(2).wanted.first == 2)
    #expect(order.heldBytes <= 25)
  }

  @Test("a limit that falls is kept from the next use on")
  func falling() {
    var order = ReadingOrder(byteCounts: [10, 10, 10, 10], limit: 40, ahead: 10)
    _ = read(&order, [0, 1, 2, 3], laps: 2)
    #expect(order.heldBytes == 40)
    order.limit = 20
    _ = order.use(0)
    #expect(order.heldBytes <= 20 && order.holds(0))
  }

  @Test("two callers at different places of one model have their parts in turn")
  func callers() {
    var order = ReadingOrder(byteCounts: [Int](repeating: 10, count: 8), limit: 40, ahead: 10)
    for turn in 0..<40 {
      let part = turn % 2 == 0 ? turn / 2 % 8 : (turn / 2 + 4) % 8
      #expect(order.use(part).wanted.first == part)
      #expect(order.heldBytes <= 40)
    }
  }
}
