import Testing
import VLMFoundation
import VLMZ

@testable import VLMServer

@Suite struct RequestFormTests {
  @Test func wholeURIsAreTheirPathAndTheirHost() {
    #expect(RequestTarget("/health") == RequestTarget("/health"))
    #expect(RequestTarget("/health").host == nil)
    for (uri, path, host) in [
      ("http://localhost:80/v1/models", "/v1/models", "localhost:80"),
      ("HTTPS://a.example", "/", "a.example"), ("http:///x", "/x", ""),
    ] {
      #expect(RequestTarget(uri).path == path)
      #expect(RequestTarget(uri).host == host)
    }
  }

  @Test func dataURIsMayHaveCapitalsEscapesAndLines() throws {
    let digits = pixel.dropFirst("data:image/png;base64,".count)
    let lines = digits.enumerated().map {
      $0.offset % 20 == 19 ? "\($0.element)\r\n" : "\($0.element)"
    }
    let escaped = digits.map {
      ["+", "/", "="].contains($0) ? "%\(String($0.asciiValue ?? 0, radix: 16))" : "\($0)"
    }
    for text in [
      "DATA:image/png;BASE64,\(digits)", "data:image/png;base64,\(lines.joined())",
      "data:image/png;base64,\(escaped.joined())",
    ] {
      let image = try DataURI.image(text, parameter: "input", limits: small)
      #expect(image.width == 1 && image.height == 1)
    }
    for text in ["data:image/png;base64,%2", "data:image/png;base64,%zz", "data:image/png,%41"] {
      #expect(
        refusal { _ = try DataURI.image(text, parameter: "input", limits: small) }?.status == 400)
    }
  }

  @Test func picturesAreCountedInEveryKindOfRequest() throws {
    let three = [String](repeating: "\"\(pixel)\"", count: 3).joined(separator: ",")
    let value = try body(#"{"input": [\#(three)]}"#)
    #expect(refusal { _ = try ClassifyRequest(value, limits: small) }?.parameter == "input[2]")
    #expect(refusal { _ = try EmbeddingRequest(value, limits: small) }?.parameter == "input[2]")
    var limits = small
    (limits.pictures, limits.requestPixels) = (3, 2)
    #expect(refusal { _ = try ClassifyRequest(value, limits: limits) }?.parameter == "input[2]")
    limits.requestPixels = 3
    #expect(try ClassifyRequest(value, limits: limits).images.count == 3)
  }

  @Test func seedsMayBeWrittenAsNumbersWithoutAFraction() throws {
    func seed(_ text: String) throws -> UInt64 {
      try CompletionRequest(
        try body(#"{"prompt": "a", "seed": \#(text)}"#), limits: small
      ).parameters.options.seed
    }
    #expect(try seed("1.0") == 1)
    #expect(try seed("18446744073709551615") == .max)
    #expect(refusal { _ = try seed("1.5") }?.parameter == "seed")
  }

  @Test func pictureErrorsNameTheParameter() {
    func parameter(_ message: String) -> String? {
      APIError(EngineError.failed(VLMZError(.badData, message))).parameter
    }
    #expect(
      parameter("messages[0].content[1].image_url: damaged") == "messages[0].content[1].image_url")
    #expect(parameter("input: damaged") == "input")
    #expect(parameter("model.vlmz: damaged") == nil)
    #expect(parameter("something") == nil)
  }

  @Test func requestsWithoutABodyAreThoseOfGet() {
    let service = Service(
      models: [], limits: small, keys: nil, browsers: BrowserGuard(names: [], trustsAllNames: true))
    func status(_ length: Int?) -> Int? {
      refusal {
        _ = try service.admit(RequestHead(method: "GET", path: "/health", statedLength: length))
      }?.status
    }
    #expect(status(nil) == nil && status(0) == nil)
    #expect(status(5) == 400)
  }
}
