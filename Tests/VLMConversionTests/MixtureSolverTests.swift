import Testing
import VLMFoundation
import VLMTensor
import VLMTestSupport

@testable import VLMConversion

/// Which scheme each matrix gets within a number of bytes, or a loss.
@Suite("Mixtures of schemes")
struct MixtureSolverTests {
  private static let schemes: [Scheme] = [.q3, .q4, .q5, .q6, .q8]

  /// Matrices whose losses fall fourfold with each bit, as errors do, from a start of their own.
  private func items(_ count: Int, seed: UInt64, head: Int = 0) -> [MixtureItem] {
    var random = SplitMix64(seed: seed)
    return (0..<count).map { index in
      let weights = index == 0 && head > 0 ? head : 64 * Int(1 + random.next() % 40)
      let loss = Double(1 + random.next() % 1000) / 1000
      return MixtureItem(
        name: "m\(index)", role: .matrix,
        choices: Self.schemes.map { scheme in
          let noise = 1 + Double(random.next() % 100) / 500
          var error = loss * noise
          for _ in 3..<scheme.codeBits { error /= 4 }
          return .init(scheme: scheme, byteCount: weights * scheme.codeBits, loss: error)
        })
    }
  }

  /// The least loss within `bytes`, of all mixtures.
  private func least(_ items: [MixtureItem], within bytes: Int) -> Double? {
    guard let first = items.first else { return bytes >= 0 ? 0 : nil }
    let rest = Array(items.dropFirst())
    return first.choices.compactMap { choice in
      least(rest, within: bytes - choice.byteCount).map { $0 + choice.loss }
    }.min()
  }

  @Test("no mixture is larger than it may be, and none of all is better by more than a little")
  func optimal() throws {
    for seed in UInt64(1)...8 {
      let items = items(6, seed: seed)
      let solver = MixtureSolver(items)
      let (low, high) = (solver.smallest.byteCount, solver.best.byteCount)
      for step in 0...10 {
        let bytes = low + (high - low) * step / 10
        let found = try #require(solver.mixture(within: bytes))
        let best = try #require(least(items, within: bytes))
        #expect(found.byteCount <= bytes)
        #expect(found.loss <= best * 1.12, "seed \(seed), \(bytes) bytes: \(found.loss), \(best)")
      }
      #expect(solver.mixture(within: low - 1) == nil)
    }
  }

  @Test("a matrix that is larger than all others gets what it is worth")
  func head() throws {
    let items = items(40, seed: 3, head: 30_000)
    let solver = MixtureSolver(items)
    let all = solver.best.byteCount
    var places: Set<Int> = []
    for step in 1...20 {
      let bytes = solver.smallest.byteCount + (all - solver.smallest.byteCount) * step / 20
      let found = try #require(solver.mixture(within: bytes))
      #expect(found.byteCount <= bytes)
      // Nothing that is left would gain more than what breaks ties.
      for (item, place) in zip(items, found.places) {
        let now = item.choices[place]
        for other in item.choices where other.byteCount - now.byteCount <= bytes - found.byteCount {
          #expect(other.loss >= now.loss * 0.98)
        }
      }
      places.insert(found.places[0])
    }
    #expect(places.count >= 4)
  }

  @Test("more bytes never lose more, and the smallest mixture of a loss keeps it")
  func monotonous() throws {
    let solver = MixtureSolver(items(30, seed: 9))
    let curve = solver.curve(points: 40)
    #expect(curve.count > 20)
    for (a, b) in zip(curve, curve.dropFirst()) {
      #expect(a.byteCount < b.byteCount && a.loss >= b.loss * 0.999)
    }
    for point in curve {
      let found = try #require(solver.mixture(losing: point.loss))
      #expect(found.loss <= point.loss)
      #expect(Double(found.byteCount) <= Double(point.byteCount) * 1.02)
    }
    #expect(solver.mixture(losing: solver.best.loss / 2) == nil)
  }

  @Test("of schemes that cost the same but for a percent the faster one is taken")
  func ties() throws {
    let item = MixtureItem(
      name: "a", role: .matrix,
      choices: [
        .init(scheme: .q4, byteCount: 100, loss: 0.4),
        .init(scheme: .q5, byteCount: 125, loss: 0.398),
        .init(scheme: .q8, byteCount: 200, loss: 0.001),
      ])
    let found = try #require(MixtureSolver([item]).mixture(within: 150))
    #expect(item.choices[found.places[0]].scheme == .q4)
  }

  @Test("schemes that cost more bytes and lose more are no choice")
  func dominated() throws {
    let item = MixtureItem(
      name: "a", role: .matrix,
      choices: [
        .init(scheme: .q6, byteCount: 150, loss: 0.01),
        .init(scheme: .q8, byteCount: 200, loss: 0.02),
        .init(scheme: .q3, byteCount: 75, loss: .nan),
      ])
    #expect(item.choices.map(\.byteCount) == [75, 150, 200])
    #expect(item.hull == [0, 1])
    let best = MixtureSolver([item]).best
    #expect(best.byteCount == 150 && best.loss == 0.01)
  }

  @Test("a few digits say how much is lost")
  func digits() {
    #expect(significant(0.03731) == "0.0373")
    #expect(significant(1.234) == "1.23")
    #expect(significant(0) == "0")
    #expect(significant(0.0000123) == "1.2e-05")
  }
}
