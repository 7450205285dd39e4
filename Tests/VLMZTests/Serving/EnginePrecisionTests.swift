import Testing
import VLMTensor
import VLMTestSupport

@testable import VLMZ

/// How far probabilities in company are from those alone, by how weights are stored.
@Suite("Precision of a batch engine")
struct EnginePrecisionTests {
  private static let prompts = [
    "Once upon a time", "Lily and Tom", story(words: 60), "The dog", story(words: 90, "One"),
    "A big red ball", story(words: 30, "Mom"), "Tim saw",
  ]

  /// What is found of one way to store weights.
  private struct Found {
    /// Of log probabilities, in nats, ascending: the best five of each token.
    var differences: [Double] = []
    /// Answers that go another way from some token on, with how far apart its two candidates are.
    var partings: [Double] = []

    func quantile(_ share: Double) -> Double {
      differences[min(differences.count - 1, Int(share * Double(differences.count)))]
    }
  }

  /// The most probable tokens of eight answers, computed at once and one after the other.
  private func found(
    _ scheme: Scheme, _ keyValues: Conversation.KeyValueStorage
  ) async throws -> Found {
    let models = try LibraryModels.stories(scheme)
    let requests = Self.prompts.map {
      GenerationRequest(
        .text($0), options: AnswerOptions(maximumTokens: 40, temperature: 0), alternatives: 5)
    }
    let company = try await ServedModel(models, BatchEngineOptions(keyValues: keyValues))
      .answers(requests)
    var found = Found()
    for (request, together) in zip(requests, company) {
      let alone = try await ServedModel(models, BatchEngineOptions(keyValues: keyValues))
        .answer(request)
      for (one, other) in zip(alone.tokens, together.tokens) {
        let near = Dictionary(
          uniqueKeysWithValues: other.alternatives.map { ($0.id, $0.logarithm) })
        let pairs = one.alternatives.compactMap { token in
          near[token.id].map { abs($0 - token.logarithm) }
        }
        found.differences += pairs
        guard one.id != other.id else { continue }
        let rest = one.alternatives.filter { $0.id == other.id || $0.id == one.id }
        try #require(rest.count == 2, "both candidates are among the best")
        found.partings.append(abs(rest[0].logarithm - rest[1].logarithm))
        // From here on they answer different texts.
        break
      }
    }
    found.differences.sort()
    try #require(found.differences.count > 500)
    return found
  }

  @Test(
    "with weights that are no f32, an answer in company is the one alone in every bit",
    arguments: [Scheme.f16, .bf16, .q8, .q4], [Conversation.KeyValueStorage.f32, .f16])
  func exact(_ scheme: Scheme, _ keyValues: Conversation.KeyValueStorage) async throws {
    let found = try await found(scheme, keyValues)
    #expect(found.differences.last == 0)
    #expect(found.partings.isEmpty)
  }

  @Test("with weights in f32 probabilities differ by rounding alone, and answers at a near tie")
  func rounding() async throws {
    let found = try await found(.f32, .f32)
    #expect(found.quantile(0.5) <= 1e-5, "median \(found.quantile(0.5))")
    #expect(found.quantile(0.99) <= 5e-5, "99 of 100: \(found.quantile(0.99))")
    #expect(found.quantile(1) <= 2e-4, "largest \(found.quantile(1))")
    #expect(found.partings.allSatisfy { $0 <= 4e-4 }, "\(found.partings)")
  }

  @Test("keys and values of fewer bits make of such rounding no more than they lose themselves")
  func rounded() async throws {
    let found = try await found(.f32, .q8)
    #expect(found.quantile(0.5) <= 1e-2, "median \(found.quantile(0.5))")
    #expect(found.quantile(1) <= 0.2, "largest \(found.quantile(1))")
    #expect(found.partings.allSatisfy { $0 <= 0.4 }, "\(found.partings)")
  }
}
