import Testing

@testable import VLMModels

/// Weights by which a table of positions is resampled.
struct PositionTableTests {
  @Test(
    "the weights of every output sum to 1, and the same size changes nothing",
    arguments: PositionTable.Resampling.allCases)
  func sums(_ resampling: PositionTable.Resampling) {
    for (source, target) in [(1, 1), (1, 5), (4, 7), (7, 4), (16, 27), (27, 16)] {
      for tap in PositionTable.taps(source: source, target: target, resampling) {
        #expect(abs(tap.weights.reduce(0, +) - 1) < 1e-6)
        #expect(tap.first >= 0 && tap.first + tap.weights.count <= source)
      }
    }
    for (index, tap) in PositionTable.taps(source: 5, target: 5, resampling).enumerated() {
      for (offset, weight) in tap.weights.enumerated() {
        #expect(weight == (tap.first + offset == index ? 1 : 0))
      }
    }
  }

  @Test("without antialiasing the border is repeated, and a shrunken table skips values")
  func border() {
    let larger = PositionTable.taps(source: 2, target: 4, .bicubic)
    // Centre -0.25: three of the four taps are the first value.
    #expect(larger[0] == .init(first: 0, weights: [1.10546875, -0.10546875]))
    let smaller = PositionTable.taps(source: 12, target: 2, .bicubic)
    #expect(smaller[0].first == 1 && smaller[0].weights.count == 4)
    #expect(PositionTable.taps(source: 12, target: 2)[0].weights.count > 4)
  }
}
