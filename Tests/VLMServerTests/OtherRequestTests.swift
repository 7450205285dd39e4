import Testing
import VLMFoundation
import VLMServer
import VLMZ

@Suite struct OtherRequestTests {
  private func completion(_ text: String) throws -> CompletionRequest {
    try CompletionRequest(try body(text), limits: small)
  }

  @Test func completionsTakeTextsAndIDsOrSeveralOfThem() throws {
    guard case .text("a")? = try completion(#"{"prompt": "a"}"#).prompts.first else {
      Issue.record("a text")
      return
    }
    guard case .tokens([1, 2])? = try completion(#"{"prompt": [1, 2]}"#).prompts.first else {
      Issue.record("ids")
      return
    }
    #expect(try completion(#"{"prompt": ["a", "b"], "n": 2}"#).prompts.count == 2)
    #expect(try completion(#"{"prompt": [[1], [2], [3]]}"#).prompts.count == 3)
    #expect(try completion(#"{"prompt": "a"}"#).parameters.options.maximumTokens == 16)
  }

  @Test(
    "completions that cannot be are refused",
    arguments: [
      #"{}"#, #"{"prompt": []}"#, #"{"prompt": [1, "a"]}"#, #"{"prompt": [-1]}"#,
      #"{"prompt": "a", "echo": true}"#, #"{"prompt": "a", "best_of": 3}"#,
      #"{"prompt": ["a", "b", "c"], "n": 8}"#, #"{"prompt": "a", "suffix": "b"}"#, #"[]"#,
    ])
  func refusesCompletions(_ text: String) {
    #expect(refusal { _ = try completion(text) }?.status == 400)
  }

  @Test func embeddingsTakeTextsAndPictures() throws {
    let request = try EmbeddingRequest(
      try body(#"{"input": ["a", "\#(pixel)"], "encoding_format": "base64", "dimensions": 4}"#),
      limits: small)
    #expect(request.inputs.count == 2)
    #expect(request.isBase64)
    #expect(request.dimensions == 4)
  }

  @Test func partsOfMessagesAreEmbeddedToo() throws {
    let request = try EmbeddingRequest(
      try body(
        #"{"input": [{"type": "text", "text": "a"},"#
          + #" {"type": "image_url", "image_url": {"url": "\#(pixel)"}}]}"#), limits: small)
    guard case .text("a") = request.inputs[0], case .image = request.inputs[1] else {
      Issue.record("a text and a picture, found \(request.inputs)")
      return
    }
  }

  @Test func labelsAreAList() throws {
    let value = try body(#"{"input": "\#(pixel)", "labels": "cat,dog"}"#)
    let error = refusal { _ = try ClassifyRequest(value, limits: small) }
    #expect(error?.parameter == "labels")
    #expect(error?.message == "labels: found 'cat,dog', expected an array of strings")
  }

  @Test(
    "embeddings that cannot be are refused",
    arguments: [
      #"{"input": []}"#, #"{"input": ""}"#, #"{"input": [1, 2]}"#, #"{"input": [[1]]}"#,
      #"{"input": "a", "encoding_format": "f16"}"#, #"{"input": {"type": "text"}}"#,
    ])
  func refusesEmbeddings(_ text: String) throws {
    let value = try body(text)
    #expect(refusal { _ = try EmbeddingRequest(value, limits: small) }?.status == 400)
  }

  @Test func classesAreTheModelsOrThoseGiven() throws {
    let own = try ClassifyRequest(try body(#"{"input": "\#(pixel)"}"#), limits: small)
    #expect(own.labels == nil)
    #expect(own.top == 5)
    let given = try ClassifyRequest(
      try body(#"{"input": ["\#(pixel)"], "labels": ["a", "b"], "templates": "a photo of {}"}"#),
      limits: small)
    #expect(given.labels == ["a", "b"])
    #expect(given.templates == ["a photo of {}"])
    #expect(given.top == 2)
  }

  @Test func refusalsStateTheLimitThatHolds() throws {
    func message(_ text: String) throws -> String? {
      let value = try body(text)
      return refusal { _ = try ClassifyRequest(value, limits: small) }?.message
    }
    let most = min(small.inputs, small.pictures)
    #expect(try message(#"{"input": []}"#) == "input: found 0 pictures, expected 1 to \(most)")
    let empty = try message(#"{"input": "data:image/png;base64,"}"#)
    #expect(empty == "input: found no bytes, expected the bytes of a picture")
    let long = refusal { _ = try completion(#"{"prompt": "a", "max_tokens": 1e30}"#) }
    #expect(long?.message.hasSuffix("expected an integer from 1 to \(Int.max)") == true)
    let below = refusal { _ = try completion(#"{"prompt": "a", "max_tokens": -1}"#) }
    #expect(below?.message == "max_tokens: found -1, expected an integer from 1 on")
  }
}
