import Testing
import VLMFoundation
import VLMServer
import VLMZ

/// A request's JSON.
func body(_ text: String) throws -> JSONValue { try JSONValue.parse(text) }

/// What a body is refused with; nil where it is not.
func refusal(_ make: () throws -> Void) -> APIError? {
  do {
    try make()
    return nil
  } catch {
    return error as? APIError
  }
}

/// The smallest PNG: one white pixel.
let pixel =
  "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4//8/AAX+Av4N"
  + "70a4AAAAAElFTkSuQmCC"

let small = ServerLimits(bodyBytes: 1 << 16, pictures: 2, picturePixels: 100, answerTokens: 50)
