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
    let (_, payload) = try split(text, parameter, kind: "picture", form: "data:image/…;base64,…")
    let bytes = try decode(payload, parameter, "the bytes of a picture")
    return try image(bytes, parameter: parameter, limits: limits)
  }

  private static func image(
    _ bytes: [UInt8], parameter: String, limits: ServerLimits
  ) throws(APIError) -> Image {
    do {
      return try Image(
        encoded: bytes, name: parameter,
        options: Image.Options(maximumPixels: limits.picturePixels))
    } catch {
      throw APIError(error, parameter: parameter)
    }
  }

  /// The film that a URI holds: an animated GIF, or frames as vLLM's clients send them, each in base64 and
  /// with commas between them.
  ///
  /// - Parameters:
  ///   - text: "data:image/gif;base64,…" or "data:video/jpeg;base64,FRAME,FRAME…". The bytes decide of what
  ///     kind the frames are.
  ///   - rate: frames a second, of frames alone; nil for `usualRate`.
  ///   - parameter: the request's name for it.
  /// - Throws: as `image`; `APIError` also for films in other files, and for a rate with a GIF.
  static func film(
    _ text: String, rate: Double?, parameter: String, limits: ServerLimits
  ) throws(APIError) -> Film {
    let (type, payload) = try split(
      text, parameter, kind: "film",
      form: "data:image/gif;base64,… or data:video/jpeg;base64,FRAME,…")
    // One more than may be is one too many, however many there are.
    let parts = payload.split(
      separator: UInt8(ascii: ","), maxSplits: limits.frames, omittingEmptySubsequences: false)
    if parts.count == 1, let only = parts.first, type != "video/jpeg" {
      let bytes = try decode(only, parameter, "the bytes of a film")
      return try animation(bytes, rate: rate, parameter: parameter, limits: limits)
    }
    guard parts.count <= limits.frames else {
      throw .invalid(
        parameter, found: "more than \(limits.frames) frames",
        expected: "at most \(limits.frames) in a request")
    }
    var frames: [Image] = []
    for (index, part) in parts.enumerated() {
      let place = "\(parameter)[\(index)]"
      let bytes = try decode(part, place, "the bytes of a picture")
      frames.append(try image(bytes, parameter: place, limits: limits))
    }
    return try film(frames, rate: rate, parameter: parameter)
  }

  /// A film of frames.
  static func film(
    _ frames: [Image], rate: Double?, parameter: String
  ) throws(APIError) -> Film {
    do {
      return try Film(frames: frames, framesPerSecond: rate ?? usualRate)
    } catch {
      throw APIError(error, parameter: parameter)
    }
  }

  /// Frames a second where nobody says, as vLLM has it.
  static let usualRate = 1.0

  private static func animation(
    _ bytes: [UInt8], rate: Double?, parameter: String, limits: ServerLimits
  ) throws(APIError) -> Film {
    let film: Film
    do {
      film = try Film(
        encoded: bytes, name: parameter,
        options: Image.Options(maximumPixels: limits.picturePixels))
    } catch {
      throw APIError(error, parameter: parameter)
    }
    guard rate == nil else {
      // Other servers take it for how many frames are to be seen, which here the model decides.
      throw .unsupported(
        parameter, "found a GIF with 'fps', expected it with frames alone: a GIF has its own delays"
      )
    }
    return film
  }

  /// Whether a text is a data URI.
  static func isOne(_ text: String) -> Bool { text.prefix(5).lowercased() == "data:" }

  /// The media type of a URI, in lower case and without parameters, and its base64.
  ///
  /// - Parameters:
  ///   - kind: what is expected.
  ///   - form: what such a URI looks like.
  private static func split(
    _ text: String, _ parameter: String, kind: String, form: String
  ) throws(APIError) -> (type: String, payload: Substring.UTF8View) {
    guard isOne(text) else {
      let scheme = text.prefix { $0 != ":" }.lowercased()
      if scheme == "http" || scheme == "https" {
        throw .unsupported(
          parameter,
          "this server fetches no URLs; send the \(kind) itself, as \(form)")
      }
      throw .invalid(parameter, found: "'\(text.prefix(40))'", expected: form)
    }
    let utf8 = text.utf8
    guard let comma = utf8.prefix(256).firstIndex(of: UInt8(ascii: ",")),
      text[..<comma].lowercased().hasSuffix(";base64")
    else {
      throw .invalid(parameter, found: "'\(text.prefix(40))'", expected: form)
    }
    let type = text[..<comma].dropFirst(5).prefix { $0 != ";" }
    return (type.lowercased(), utf8[utf8.index(after: comma)...])
  }

  /// - Parameter content: what is expected.
  private static func decode(
    _ payload: Substring.UTF8View, _ parameter: String, _ content: String
  ) throws(APIError) -> [UInt8] {
    guard var digits = digits(payload) else {
      throw .invalid(parameter, found: "a damaged escape", expected: "two digits behind '%'")
    }
    guard !digits.isEmpty else { throw .invalid(parameter, found: "no bytes", expected: content) }
    // Some encoders leave the padding out.
    let excess = digits.utf8.count % 4
    if excess > 1 { digits += String(repeating: "=", count: 4 - excess) }
    guard let bytes = Base64.decode(digits), !bytes.isEmpty else {
      throw .invalid(parameter, found: "damaged base64", expected: content)
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
