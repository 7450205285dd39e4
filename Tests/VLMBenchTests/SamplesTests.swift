import Testing
import VLMBench

@Suite("Statistics of samples")
struct SamplesTests {
  @Test("the median of an odd count is the middle value, of an even one the mean of two")
  func median() {
    #expect(Samples([5, 1, 3]).median == 3)
    #expect(Samples([4, 1, 3, 2]).median == 2.5)
    #expect(Samples([7]).median == 7)
  }

  @Test("extremes and spread come from all samples")
  func spread() {
    var samples = Samples([2, 4])
    samples.add(3)
    #expect(samples.minimum == 2)
    #expect(samples.maximum == 4)
    #expect(samples.spread == 2.0 / 3)
    #expect(samples.values == [2, 4, 3])
  }

  @Test("no samples have no median")
  func empty() {
    #expect(Samples().median.isNaN)
    #expect(Samples().spread.isNaN)
  }
}
