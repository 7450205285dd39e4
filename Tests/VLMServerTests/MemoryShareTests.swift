import Testing
import VLMFoundation
import VLMServer

@Suite struct MemoryShareTests {
  private let mega = 1 << 20

  private func need(_ weights: Int, _ keyValues: Int, _ others: Int = 0) -> MemoryShares.Need {
    MemoryShares.Need(weights: weights * mega, keyValues: keyValues * mega, others: others * mega)
  }

  private func shares(_ limit: Int, _ needs: MemoryShares.Need...) -> [MemoryShares.Share] {
    MemoryShares(limit: limit * mega, own: 10 * mega, needs: needs).shares
  }

  @Test func whereAllFitsNothingIsCut() {
    let found = shares(1000, need(400, 200, 50), need(100, 0, 0))
    #expect(found.map(\.keyValues) == [200 * mega, 0])
    #expect(found.map(\.weights) == [.all, .all])
  }

  @Test func keysAndValuesGetWhatWeightsLeave() {
    // 990 MiB, of which 64 are for requests, 600 weights and 90 for activations.
    let found = shares(1000, need(600, 4000, 90))
    #expect(found[0].keyValues == 236 * mega)
    #expect(found[0].weights == .all)
  }

  @Test func weightsThatLeaveLessThanAQuarterAreReadAsTheyAreUsed() {
    let found = shares(410, need(1000, 4000, 50))
    #expect(found[0].keyValues == 84 * mega)
    #expect(found[0].weights == .part(of: 410 * mega, share: 1))
    // What answers cannot use is left to the weights.
    #expect(shares(410, need(1000, 30))[0].keyValues == 30 * mega)
  }

  @Test func modelsShareByWhatTheyNeed() {
    let found = shares(410, need(900, 300), need(300, 100), need(300, 0))
    #expect(found.map(\.keyValues) == [63 * mega, 21 * mega, 0])
    #expect(
      found.map(\.weights) == [
        .part(of: 410 * mega, share: 0.6), .part(of: 410 * mega, share: 0.2),
        .part(of: 410 * mega, share: 0.2),
      ])
  }

  @Test func whatNoneCanDoWithoutComesFirst() {
    // 84 MiB of keys and values: 20 for the second, the other 64 by what is wanted beside that.
    let small = MemoryShares.Need(
      weights: mega, keyValues: 20 * mega, leastKeyValues: 20 * mega, others: 0)
    let found = shares(410, need(900, 4000), small)
    #expect(found.map(\.keyValues) == [64 * mega, 20 * mega])
    // Where there is not so much, nobody has it.
    #expect(shares(12, need(900, 60), small).map(\.keyValues) == [294912, 98304])
  }

  @Test func nothingIsMoreThanThereIs() {
    let found = shares(5, need(900, Int.max >> 21), need(1, Int.max >> 21))
    #expect(found.map(\.keyValues) == [0, 0])
    // Of little, a quarter is for requests: 24 of 30 MiB are left.
    let little = shares(42, need(1, 100))
    #expect(little[0].keyValues == 23 * mega)
  }

  @Test func partsOfALimitHoldWithWhatTheProcessHasTaken() {
    let use = MemoryUse.part(of: 1000 * mega, share: 0.5)
    #expect(use.limit(weights: 1, available: nil, own: 0) == 1000 * mega)
    #expect(use.weightLimit(of: 1000 * mega, own: 200 * mega) == 400 * mega)
    #expect(use.weightLimit(of: 1000 * mega, own: 2000 * mega) == 32 * mega)
  }
}
