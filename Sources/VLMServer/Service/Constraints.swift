import VLMFoundation
import VLMZ

/// What `response_format` makes of sampling.
enum Constraints {
  /// - Returns: nil for any text.
  /// - Throws: `APIError` for a format that cannot be kept to.
  static func make(
    _ format: ResponseFormat, _ model: Model
  ) throws(APIError) -> (any TokenConstraint)? {
    switch format {
    case .text: return nil
    case .jsonObject, .jsonSchema:
      throw .unsupported("response_format", "this build answers in text alone")
    }
  }
}
