import Testing
import VLMRuntime

struct ClassificationTests {
  @Test("probabilities are the softmax, best first, equal ones by index")
  func top() {
    let top = Classification.top(3, of: [0, 1, 1, -1000])
    #expect(top.map(\.index) == [1, 2, 0])
    // e / (1 + 2e)
    #expect(abs(top[0].probability - 0.42231879825) < 1e-9)
    #expect(abs(top[2].probability - 0.15536240350) < 1e-9)
  }

  @Test("huge logits do not overflow, and NaN is the least likely")
  func extremes() {
    let top = Classification.top(2, of: [3e38, -3e38, .nan])
    #expect(top[0].index == 0)
    #expect(top[0].probability == 1)
    #expect(Classification.top(1, of: [.nan, 2])[0].index == 1)
    #expect(Classification.top(1, of: [.nan]).isEmpty)
    #expect(Classification.top(5, of: []).isEmpty)
  }

  @Test("the divergence of two fair coins from a biased one is what the formula gives")
  func divergence() {
    // p = (3/4, 1/4), q = (1/2, 1/2): 3/4 ln(3/2) + 1/4 ln(1/2)
    let value = Classification.divergence(of: [5, 5], from: [Float(1.0986122886681098), 0])
    #expect(abs(value - 0.13081203594) < 1e-6)
    #expect(abs(Classification.divergence(of: [1, 2, 3], from: [2, 3, 4])) < 1e-12)
  }
}
