import Testing
import VLMFoundation

@testable import VLMZ

/// What finds places where a sequence was before.
struct RepetitionIndexTests {
  private func index(_ tokens: [Int], expecting count: Int = 64) -> RepetitionIndex {
    var index = RepetitionIndex(expecting: count)
    for token in tokens { index.append(token) }
    return index
  }

  @Test("two tokens are the least that are found, and what followed them is proposed")
  func least() throws {
    #expect(index([]).match(expected: nil) == nil)
    #expect(index([5]).match(expected: nil) == nil)
    #expect(index([1, 2, 3, 9, 2]).match(expected: nil) == nil)
    let found = index([1, 2, 3, 4, 9, 1, 2])
    let match = try #require(found.match(expected: nil))
    #expect(match == .init(source: 2, length: 2))
    #expect(found.continuation(of: match, atMost: 3) == [3, 4, 9])
  }

  @Test("of several places the one that agrees with most is taken, then the last")
  func longest() throws {
    let long = [7, 8, 9, 10, 11, 12, 13]
    let found = index(long + [100, 12, 13, 101] + long)
    #expect(found.match(expected: nil) == .init(source: 7, length: 7))
    let last = index([1, 2, 50, 1, 2, 60, 1, 2])
    #expect(last.match(expected: nil) == .init(source: 5, length: 2))
  }

  @Test("a place that is expected counts where it agrees with more")
  func expected() {
    let found = index([3, 1, 2, 50, 4, 1, 2, 60, 3, 1, 2])
    // The place of three tokens is found by its own table; the expected one is no better.
    #expect(found.match(expected: 7) == .init(source: 3, length: 3))
    #expect(found.match(expected: 0) == .init(source: 3, length: 3))
    #expect(found.match(expected: 11) == .init(source: 3, length: 3))
  }

  @Test("what repeats itself goes on repeating itself")
  func period() throws {
    let found = index([1, 2, 3, 1, 2, 3, 1])
    let match = try #require(found.match(expected: nil))
    #expect(match == .init(source: 4, length: 4))
    #expect(found.continuation(of: match, atMost: 7) == [2, 3, 1, 2, 3, 1, 2])
  }

  @Test("what is no token is never found and never proposed")
  func barriers() throws {
    #expect(index([-1, -1, 5, -1, -1]).match(expected: nil) == nil)
    #expect(index([1, -1, 2, 9, 1, -1, 2]).match(expected: nil) == nil)
    let found = index([1, 2, 3, -1, 4, 1, 2])
    let match = try #require(found.match(expected: nil))
    #expect(found.continuation(of: match, atMost: 7) == [3])
    #expect(index([1, 2, -1, 1, 2]).match(expected: nil) == nil)
  }

  @Test("a sequence far longer than its tables finds nothing that is not there")
  func bounded() {
    var random = SplitMix64(seed: 3)
    var found = RepetitionIndex(expecting: 1)
    var matches = 0
    for _ in 0..<20_000 {
      found.append(Int(random.next() % 40))
      guard let match = found.match(expected: nil) else { continue }
      matches += 1
      let (end, length) = (found.tokens.count, match.length)
      #expect(length >= 2 && length <= RepetitionIndex.longest)
      let before = found.tokens[(match.source - length)..<match.source]
      #expect(before.elementsEqual(found.tokens[(end - length)..<end]))
    }
    #expect(matches > 1000)
  }
}
