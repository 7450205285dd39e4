import Testing
import VLMText

struct SamplerTests {
  private func draw(
    _ values: [Float], _ options: SamplingOptions, count: Int, history: [Int] = []
  ) -> [Int?] {
    var sampler = Sampler(options)
    return values.withUnsafeBufferPointer { logits in
      (0..<count).map { _ in sampler.next(logits, history: history) }
    }
  }

  @Test("greedy takes the largest, the first of equal ones, and never what is no number")
  func greedy() {
    #expect(draw([1, 3, 3, 2], .greedy, count: 1) == [1])
    #expect(draw([.nan, 3, .nan, 4], .greedy, count: 1) == [3])
    #expect(draw([-5, -.infinity, -4], .greedy, count: 1) == [2])
    #expect(draw([.nan, .nan], .greedy, count: 1) == [nil])
    #expect(draw([1, .infinity], .greedy, count: 1) == [1])
  }

  @Test("biases and the penalties of an answer's own tokens are OpenAI's")
  func shifts() {
    func best(_ options: SamplingOptions, answer: [Int]) -> Int? {
      var sampler = Sampler(options)
      let values: [Float] = [4, 3, 2.5, 0]
      return values.withUnsafeBufferPointer {
        sampler.next($0, history: [0, 1] + answer, answer: answer)
      }
    }
    // What stands before the answer does not count.
    #expect(best(SamplingOptions(presencePenalty: 2, frequencyPenalty: 2), answer: []) == 0)
    // Once for all times, and once for each.
    #expect(best(SamplingOptions(presencePenalty: 0.9), answer: [0, 0]) == 0)
    #expect(best(SamplingOptions(presencePenalty: 1.1), answer: [0, 0]) == 1)
    #expect(best(SamplingOptions(frequencyPenalty: 0.6), answer: [0]) == 0)
    #expect(best(SamplingOptions(frequencyPenalty: 0.6), answer: [0, 0]) == 1)
    #expect(best(SamplingOptions(presencePenalty: -2), answer: [1]) == 1)
    #expect(best(SamplingOptions(biases: [0: -100, 3: 2.75, 99: 5]), answer: []) == 1)
    #expect(best(SamplingOptions(biases: [3: 100]), answer: []) == 3)
  }

  @Test("a seed gives the same tokens each time, another seed others")
  func seeds() {
    let values = (0..<50).map { Float($0 % 7) }
    func options(_ seed: UInt64) -> SamplingOptions { SamplingOptions(temperature: 1, seed: seed) }
    let first = draw(values, options(1), count: 40)
    #expect(first == draw(values, options(1), count: 40))
    #expect(first != draw(values, options(2), count: 40))
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
}
