import Testing
import VLMConversion

/// What is expected of a mixture by what others were measured to lose.
@Suite("Measured losses")
struct MeasuredLossesTests {
  private func point(_ expected: Double, _ measured: Double) -> MeasuredLosses.Point {
    .init(expected: expected, measured: measured)
  }

  @Test("without any the sum stands for the loss")
  func none() {
    let losses = MeasuredLosses()
    #expect(losses.isEmpty)
    #expect(losses.loss(expecting: 0.02) == 0.02 && losses.sum(losing: 0.02) == 0.02)
  }

  @Test("the factor stays beyond what was measured, and goes evenly on logarithms between")
  func interpolated() {
    let losses = MeasuredLosses([point(0.01, 0.02), point(0.04, 0.16)])
    #expect(abs(losses.loss(expecting: 0.001) - 0.002) < 1e-12)
    #expect(abs(losses.loss(expecting: 0.1) - 0.4) < 1e-12)
    // Half of the way on both axes: twice 0.01, and √8 times 0.02.
    #expect(abs(losses.loss(expecting: 0.02) - 0.02 * 8.0.squareRoot()) < 1e-12)
  }

  @Test("the sum for a loss is the one that is expected to lose it")
  func inverse() {
    let losses = MeasuredLosses([point(0.01, 0.02), point(0.04, 0.16), point(0.2, 0.5)])
    for sum in [0.0001, 0.01, 0.013, 0.04, 0.11, 0.2, 3] {
      #expect(abs(losses.sum(losing: losses.loss(expecting: sum)) - sum) < 1e-9 * sum)
    }
  }

  @Test("of two mixtures the one with the larger sum is never expected to lose less")
  func monotone() {
    let losses = MeasuredLosses([point(0.01, 0.05), point(0.02, 0.03), point(0.04, 0.2)])
    let sums = (1...60).map { 0.001 * Double($0) }
    let found = sums.map { losses.loss(expecting: $0) }
    #expect(found == found.sorted())
  }

  @Test("a mixture that is measured again replaces itself, the earliest are forgotten")
  func kept() {
    var losses = MeasuredLosses([point(0.01, 0.02), point(0.0101, 0.03)])
    #expect(losses.points == [point(0.0101, 0.03)])
    for step in 1...20 { losses.add(point(0.1 * Double(step), 0.1 * Double(step))) }
    #expect(losses.points.count == 16)
    #expect(losses.points.last == point(2, 2))
  }

  @Test("numbers out of all reason say nothing", arguments: [0, -1, .nan, .infinity, 1e300])
  func strange(_ value: Double) {
    #expect(MeasuredLosses([point(value, 1), point(1, value)]).isEmpty)
  }
}
