import Testing
import VLMTensor
import VLMTestSupport
import VLMText
import VLMZ

struct SamplerTests {
  private func draw(
    _ values: [Float], _ options: SamplingOptions, count: Int, history: [Int] = []
  ) -> [Int?] {
    let owner = Activations(count: values.count)
    let row = owner.matrix(rows: 1, columns: values.count)
    row.assign(values)
    var sampler = Sampler(options)
    let result = (0..<count).map { _ in sampler.next(row, history: history) }
    withExtendedLifetime(owner) {}
    return result
  }

  @Test("greedy takes the largest, the first of equal ones, and never what is no number")
  func greedy() {
    #expect(draw([1, 3, 3, 2], .greedy, count: 1) == [1])
    #expect(draw([.nan, 3, .nan, 4], .greedy, count: 1) == [3])
    #expect(draw([-5, -.infinity, -4], .greedy, count: 1) == [2])
    #expect(draw([.nan, .nan], .greedy, count: 1) == [nil])
    #expect(draw([1, .infinity], .greedy, count: 1) == [1])
  }

  @Test("a seed gives the same tokens each time, another seed others")
  func seeds() {
    let values = (0..<50).map { Float($0 % 7) }
    func options(_ seed: UInt64) -> SamplingOptions { SamplingOptions(temperature: 1, seed: seed) }
    let first = draw(values, options(1), count: 40)
    #expect(first == draw(values, options(1), count: 40))
    #expect(first != draw(values, options(2), count: 40))
  }

  @Test("the generator gives SplitMix64's published numbers")
  func generator() {
    var random = SamplingRandom(seed: 1_234_567)
    #expect(random.next() == 6_457_827_717_110_365_317)
    #expect(random.next() == 3_203_168_211_198_807_973)
    #expect(random.next() == 9_817_491_932_198_370_423)
  }

  @Test("frequencies are the softmax's at each temperature", arguments: [0.5, 1, 2])
  func frequencies(_ temperature: Double) {
    let weights: [Double] = [1, 2, 4, 8]
    // exp(x / T) of these is the weight, whatever T.
    let logs: [Float] = [0, 0.693_147, 1.386_294, 2.079_442]
    let values = logs.map { $0 * Float(temperature) }
    let count = 20_000
    let found = draw(values, SamplingOptions(temperature: temperature, seed: 3), count: count)
    for (token, weight) in weights.enumerated() {
      let share = Double(found.count { $0 == token }) / Double(count)
      #expect(abs(share - weight / 15) < 0.012, "token \(token): \(share)")
    }
  }

  @Test("top-k, top-p and min-p leave the most probable tokens")
  func limits() {
    let values: [Float] = [0, 0.693_147, 1.386_294, 2.079_442]
    func tokens(_ options: SamplingOptions) -> Set<Int?> {
      var options = options
      options.temperature = 1
      return Set(draw(values, options, count: 400))
    }
    #expect(tokens(SamplingOptions(topK: 2)) == [2, 3])
    #expect(tokens(SamplingOptions(topK: 1)) == [3])
    // Shares 8/15, 4/15, 2/15, 1/15.
    #expect(tokens(SamplingOptions(topP: 0.5)) == [3])
    #expect(tokens(SamplingOptions(topP: 0.79)) == [2, 3])
    #expect(tokens(SamplingOptions(topP: 0)) == [3])
    #expect(tokens(SamplingOptions(minP: 0.2)) == [1, 2, 3])
    #expect(tokens(SamplingOptions(minP: 1)) == [3])
  }

  @Test("a penalty divides what is positive and multiplies what is negative, once for each token")
  func penalty() {
    #expect(draw([2, 1.5], SamplingOptions(repeatPenalty: 2), count: 1, history: [0, 0]) == [1])
    #expect(draw([-1, -1.5], SamplingOptions(repeatPenalty: 2), count: 1, history: [0]) == [1])
    let window = SamplingOptions(repeatPenalty: 2, repeatWindow: 1)
    #expect(draw([2, 1.5], window, count: 1, history: [0, 1]) == [0])
    // Positions that are no tokens, and ids outside the vocabulary, count for nothing.
    #expect(draw([2, 1.5], SamplingOptions(repeatPenalty: 2), count: 1, history: [-1, 9]) == [0])
  }

  @Test("options out of range are refused by name")
  func ranges() {
    for (options, name) in [
      (SamplingOptions(temperature: -1), "temperature"),
      (SamplingOptions(temperature: .nan), "temp"),
      (SamplingOptions(topK: -1), "top-k"), (SamplingOptions(topP: 1.1), "top-p"),
      (SamplingOptions(minP: -0.1), "min-p"), (SamplingOptions(repeatPenalty: 0), "repeat penalty"),
    ] {
      let error = thrownError(GenerationError.self) { try options.validate() }
      #expect(error?.description.hasPrefix(name) ?? false)
    }
    let whole = thrownError(GenerationError.self) {
      try SamplingOptions(topK: 2_000_000_000).validate()
    }
    #expect(whole?.description == "top-k: found 2000000000, expected 0 to 1000000000")
  }
}

struct StopStringTests {
  private func run(_ stops: [String], _ pieces: [String]) -> (shown: [String], stopped: Bool) {
    var filter = StopStrings(stops)
    var shown = pieces.map { filter.push($0) }
    shown.append(filter.isStopped ? "" : filter.finish())
    return (shown, filter.isStopped)
  }

  @Test("a stop string within a piece ends the text before it")
  func within() {
    #expect(run(["STOP"], ["a STOP b", "c"]).shown == ["a ", "", ""])
  }

  @Test("a stop string over several pieces is never shown in part")
  func spanning() {
    let (shown, stopped) = run(["</s>"], ["one <", "/", "s", "> two"])
    #expect(shown == ["one ", "", "", "", ""])
    #expect(stopped)
  }

  @Test("what only began like a stop string is shown after all")
  func released() {
    #expect(run(["</s>"], ["a <", "/b>", "<"]).shown == ["a ", "</b>", "", "<"])
    #expect(run(["aab"], ["a", "a", "a", "b"]).shown == ["", "", "a", "", ""])
  }

  @Test("the earliest of several stop strings counts, and empty ones never")
  func several() {
    #expect(run(["two", "one", ""], ["0 one two"]).shown == ["0 ", ""])
    #expect(run([""], ["text"]).shown == ["text", ""])
  }

  @Test("characters of several bytes are never cut")
  func characters() {
    #expect(run(["é!"], ["caf", "é", "é", "!"]).shown == ["caf", "", "é", "", ""])
  }
}
