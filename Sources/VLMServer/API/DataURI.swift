import VLMFoundation
import VLMZ

/// Pictures of requests: the bytes of a file in a data URI (RFC 2397).
enum DataURI {
  /// The picture that a URI holds.
  ///
  /// - Parameters:
  ///   - text: "data:image/png;base64,…". The bytes decide of what kind the picture is.
  ///   - parameter: the request's name for it.
  /// - Throws: `APIError` for another kind of URI, such as one that would have to be fetched, for
  ///   damaged base64, and for what is no picture or has more pixels than it may.
  static func image(
    _ text: String, parameter: String, limits: ServerLimits
  ) throws(APIError) -> Image {
    let bytes = try bytes(text, parameter: parameter)
    do {
      return try Image(
        encoded: bytes, name: parameter,
        options: Image.Options(maximumPixels: limits.picturePixels))
    } catch {
      throw APIError(error, parameter: parameter)
    }
  }

  /// Whether a text is a data URI.
  static func isOne(_ text: String) -> Bool {
    text.utf8.prefix(5).elementsEqual("data:".utf8)
  }

  private static func bytes(_ text: String, parameter: String) throws(APIError) -> [UInt8] {
    guard isOne(text) else {
      let scheme = text.prefix { $0 != ":" }.lowercased()
      if scheme == "http" || scheme == "https" {
        throw .unsupported(
          parameter,
          "this server fetches no URLs; send the picture itself, as data:image/jpeg;base64,…")
      }
      throw .invalid(parameter, found: "'\(text.prefix(40))'", expected: "data:image/…;base64,…")
    }
    let utf8 = text.utf8
    guard let comma = utf8.prefix(256).firstIndex(of: UInt8(ascii: ",")),
      text[..<comma].lowercased().hasSuffix(";base64")
    else {
      throw .invalid(
        parameter, found: "'\(text.prefix(40))'", expected: "data:image/…;base64,…")
    }
    var digits = String(text[utf8.index(after: comma)...])
    // Some encoders leave the padding out.
    let excess = digits.utf8.count % 4
    if excess > 1 { digits += String(repeating: "=", count: 4 - excess) }
    guard let bytes = Base64.decode(digits), !bytes.isEmpty else {
      throw .invalid(parameter, found: "damaged base64", expected: "the bytes of a picture")
    }
    return bytes
  }
}
