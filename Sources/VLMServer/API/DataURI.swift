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
  static func isOne(_ text: String) -> Bool { text.prefix(5).lowercased() == "data:" }

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
    guard var digits = digits(utf8[utf8.index(after: comma)...]) else {
      throw .invalid(parameter, found: "a damaged escape", expected: "two digits behind '%'")
    }
    // Some encoders leave the padding out.
    let excess = digits.utf8.count % 4
    if excess > 1 { digits += String(repeating: "=", count: 4 - excess) }
    guard let bytes = Base64.decode(digits), !bytes.isEmpty else {
      throw .invalid(parameter, found: "damaged base64", expected: "the bytes of a picture")
    }
    return bytes
  }

  /// Base64 without what may stand in a URI: escapes as "%2B", and the ends of lines that encoders of mail
  /// make.
  ///
  /// - Returns: nil for a damaged escape.
  private static func digits(_ text: Substring.UTF8View) -> String? {
    guard text.contains(where: { $0 == UInt8(ascii: "%") || $0 <= 0x20 }) else {
      return String(Substring(text))
    }
    var digits: [UInt8] = []
    digits.reserveCapacity(text.count)
    var rest = text
    while var byte = rest.popFirst() {
      if byte == UInt8(ascii: "%") {
        guard let code = UInt8(String(Substring(rest.prefix(2))), radix: 16), rest.count >= 2 else {
          return nil
        }
        byte = code
        rest = rest.dropFirst(2)
      }
      if ![0x09, 0x0a, 0x0d, 0x20].contains(byte) { digits.append(byte) }
    }
    return String(decoding: digits, as: UTF8.self)
  }
}
