import Testing

@testable import VLMZ

/// How many tokens are proposed, by what is known of costs and of chances.
struct SpeculationChoiceTests {
  private static let linear = (0..<PassCosts.maximumRows).map { 1 + 0.25 * Double($0) }
  private static let free = [Double](repeating: 1, count: PassCosts.maximumRows)

  private func proposal(_ chances: [Double]) -> Speculator.Proposal {
    Speculator.Proposal(tokens: Array(0..<chances.count), chances: chances)
  }

  @Test("as many tokens are proposed as make most tokens in the time")
  func best() {
    let speculation = Speculation(costs: PassCosts(Self.linear, learns: false))
    func share(_ chances: [Double]) -> Int { speculation.shares(of: [proposal(chances)])[0] }
    #expect(share([]) == 0)
    #expect(share([0.2, 0.1]) == 0)
    #expect(share([0.9]) == 1)
    // 1.9 / 1.25, 2.1 / 1.5, 2.2 / 1.75.
    #expect(share([0.9, 0.2, 0.1]) == 1)
    // The budget of the beginning allows 4 rows more, at 0.25 each.
    #expect(share([Double](repeating: 0.99, count: 7)) == 4)
  }

  @Test("rows that cost nothing are all taken, and none where each costs a pass")
  func extremes() {
    let chances = [0.5, 0.25, 0.12, 0.06, 0.05, 0.04, 0.03]
    let free = Speculation(costs: PassCosts(Self.free, learns: false))
    #expect(free.shares(of: [proposal(chances)]) == [7])
    let dear = Speculation(costs: PassCosts((1...8).map { Double($0) }, learns: false))
    #expect(dear.shares(of: [proposal([Double](repeating: 1, count: 7))]) == [0])
  }

  @Test("answers in one pass share its rows by their chances, and a full pass has none")
  func company() {
    let free = Speculation(costs: PassCosts(Self.free, learns: false))
    let sure = proposal([Double](repeating: 0.9, count: 7))
    #expect(free.shares(of: [sure, proposal([0.3])]) == [6, 0])
    #expect(free.shares(of: [proposal([0.9, 0.1]), proposal([0.5]), proposal([])]) == [2, 1, 0])
    #expect(free.shares(of: [sure, sure], rows: 3).reduce(0, +) == 1)
    #expect(
      free.shares(of: [Speculator.Proposal](repeating: sure, count: 8)).allSatisfy { $0 == 0 })
    #expect(free.shares(of: []).isEmpty)
  }

  @Test("what fails costs a pass at most, and a hundredth of all passes")
  func bounded() {
    var speculation = Speculation(costs: PassCosts(Self.linear, learns: false))
    let sure = proposal([Double](repeating: 1, count: 7))
    var (lost, passes) = (0.0, 0)
    for _ in 0..<10_000 {
      let share = speculation.shares(of: [sure])[0]
      lost += 0.25 * Double(share)
      passes += 1
      speculation.note(rows: 1, proposed: share, seconds: 1)
    }
    #expect(lost > 50)
    #expect(lost <= 1 + 0.01 * Double(passes))
  }

  @Test("what is won pays for longer proposals, but not for ever")
  func won() {
    var speculation = Speculation(costs: PassCosts(Self.linear, learns: false))
    let sure = proposal([Double](repeating: 1, count: 7))
    var shares: [Int] = []
    for _ in 0..<50 {
      let share = speculation.shares(of: [sure])[0]
      shares.append(share)
      speculation.note(rows: 1, proposed: share, seconds: 1)
      for _ in 0..<share { speculation.noteAccepted(rows: 1) }
    }
    #expect(shares.prefix(2) == [4, 7] && shares.last == 7)
    #expect(speculation.budget.balance <= 4)
  }

  @Test("costs are learned in proportion, and one pass that was held up does not change them much")
  func learned() {
    var costs = PassCosts(Self.linear)
    #expect(costs[8] / costs[1] == Self.linear[7])
    costs.note(rows: 1, seconds: 0.010)
    #expect(abs(costs[4] / costs[1] - 1.75) < 1e-9)
    costs.note(rows: 4, seconds: 0.012)
    #expect(abs(costs[4] / costs[1] - 1.2) < 0.01)
    // The nearest that was measured tells of those that were not; and more rows are not faster.
    #expect(abs(costs[5] / costs[4] - 2 / 1.75) < 1e-9)
    #expect(costs[3] <= costs[4])
    let before = costs[1]
    costs.note(rows: 1, seconds: 10)
    #expect(costs[1] <= before * 1.25 + 1e-9)
    for _ in 0..<40 { costs.note(rows: 1, seconds: 0.010) }
    #expect(abs(costs[1] - 0.010) < 1e-4)
    costs.note(rows: 9, seconds: 1)
    costs.note(rows: 1, seconds: 0)
    costs.note(rows: 1, seconds: .nan)
    #expect(abs(costs[1] - 0.010) < 1e-4)
  }

  @Test("costs that do not learn stay as they are")
  func fixed() {
    var costs = PassCosts(Self.linear, learns: false)
    costs.note(rows: 1, seconds: 5)
    #expect(costs == PassCosts(Self.linear, learns: false))
  }

  @Test("a text that does not repeat itself is recognised without proposals")
  func odds() {
    var odds = RepetitionOdds()
    let (short, long) = (odds[2], odds[40])
    #expect(short < 0.3 && long > 0.6)
    for _ in 0..<20 { odds.note(2, hit: false) }
    #expect(odds[2] < 0.05 && odds[40] == long)
    for _ in 0..<60 { odds.note(2, hit: true) }
    #expect(odds[2] > 0.8)
  }

  @Test("a proposal ends before a token that ends the answer")
  func ends() {
    let text = [1, 2, 3, 4, 5, 6, 7, 8, 0, 9, 10, 5, 6, 7]
    func tokens(_ ends: Set<Int>, _ limit: Int) -> [Int] {
      Speculator(prompt: text, expecting: 8, ends: ends, atMost: 7).proposal(atMost: limit).tokens
    }
    #expect(tokens([], 7) == [8, 0, 9, 10, 5, 6, 7])
    #expect(tokens([0], 7) == [8])
    #expect(tokens([8], 7).isEmpty)
    #expect(tokens([], 2) == [8, 0])
    #expect(tokens([], 0).isEmpty && tokens([], -3).isEmpty)
  }
}
