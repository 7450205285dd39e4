import Testing
import VLMFoundation

@Suite("SplitMix64")
struct SplitMix64Tests {
  @Test("gives the published numbers")
  func published() {
    var random = SplitMix64(seed: 1_234_567)
    #expect(random.next() == 6_457_827_717_110_365_317)
    #expect(random.next() == 3_203_168_211_198_807_973)
    #expect(random.next() == 9_817_491_932_198_370_423)
  }

  @Test("fractions and signed numbers stay in their ranges, and fill them")
  func ranges() {
    var random = SplitMix64(seed: 1)
    let fractions = (0..<1000).map { _ in random.nextUnit() }
    let signed = (0..<1000).map { _ in random.next(in: 3) }
    #expect(fractions.allSatisfy { (0..<1).contains($0) })
    #expect(fractions.contains { $0 < 0.01 } && fractions.contains { $0 > 0.99 })
    #expect(signed.allSatisfy { (-3..<3).contains($0) })
    #expect(signed.contains { $0 < -2.9 } && signed.contains { $0 > 2.9 })
  }
}
