import Testing
import VLMFoundation

@Suite("Memory that a model may take")
struct MemoryUseTests {
  private let giga = 1 << 30

  @Test("weights are read as they are used where memory is plainly too little for them")
  func automatic() {
    let use = MemoryUse.automatic
    #expect(use.limit(weights: 7 * giga, available: 8 * giga, own: 0) == nil)
    #expect(use.limit(weights: 7 * giga + 1, available: 8 * giga, own: 100) == 7 * giga + 100)
    #expect(use.limit(weights: 100 * giga, available: nil, own: 0) == nil)
    #expect(MemoryUse.all.limit(weights: 100 * giga, available: giga, own: 0) == nil)
  }

  @Test("a limit that was asked for holds for weights and what the process has beside them")
  func limited() {
    let use = MemoryUse.limited(2 * giga)
    #expect(use.limit(weights: giga, available: 64 * giga, own: giga) == nil)
    #expect(use.limit(weights: giga + 1, available: 64 * giga, own: giga) == 2 * giga)
    #expect(use.weightLimit(of: 2 * giga, own: giga) == giga)
    #expect(use.weightLimit(of: giga, own: 2 * giga) == 32 << 20)
  }

  @Test("a limit of the weights alone asks for nothing else")
  func weights() {
    let use = MemoryUse.weights(1000)
    #expect(use.limit(weights: 1000, available: 0, own: giga) == nil)
    #expect(use.limit(weights: 1001, available: 0, own: giga) == 1000)
    #expect(use.weightLimit(of: 1000, own: giga) == 1000)
  }

  @Test("models of one process share what there is by the size of their weights")
  func shared() {
    let use = MemoryUse.limited(4 * giga)
    #expect(
      use.share(weights: 3 * giga, of: 6 * giga, available: nil, own: 0) == .limited(2 * giga))
    #expect(use.share(weights: 3 * giga, of: 3 * giga, available: nil, own: 0) == use)
    #expect(use.share(weights: giga, of: 2 * giga, available: nil, own: 0) == use)
    #expect(
      MemoryUse.automatic.share(weights: giga, of: 2 * giga, available: 64 * giga, own: 0)
        == .automatic)
  }
}
