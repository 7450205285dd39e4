import Testing
import VLMTestSupport
import VLMText
import VLMZ

struct SamplingOptionsTests {
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
