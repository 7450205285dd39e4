import VLMContainer
import VLMFoundation

/// The page at `/`: one file, which loads nothing from anywhere.
package enum Page {
  private static let text = String(decoding: PackageResources.page_html, as: UTF8.self)

  /// Only the page's own style and script run, by their hashes; it may call this server and show
  /// pictures that the person chose.
  private static let policy: String = {
    func source(_ tag: String) -> String {
      hash(of: tag).map { "'sha256-\($0)'" } ?? "'none'"
    }
    return [
      "default-src 'none'", "script-src \(source("script"))", "style-src \(source("style"))",
      "img-src data: blob:", "connect-src 'self'", "base-uri 'none'", "form-action 'none'",
      "frame-ancestors 'none'",
    ].joined(separator: "; ")
  }()

  static let response: Response = {
    var response = Response(
      type: "text/html; charset=utf-8", body: .bytes(PackageResources.page_html))
    response.headers += [
      ("Content-Security-Policy", policy), ("Referrer-Policy", "no-referrer"),
      ("Permissions-Policy", "camera=(self), microphone=(), geolocation=()"),
    ]
    return response
  }()

  /// SHA-256 of what stands between a tag's beginning and its end, in base64.
  private static func hash(of tag: String) -> String? {
    let page = Array(text.utf8)
    let (open, close) = (Array("<\(tag)>".utf8), Array("</\(tag)>".utf8))
    guard let start = place(of: open, in: page[...]),
      let end = place(of: close, in: page[(start + open.count)...])
    else { return nil }
    return Base64.encode(SHA256.hash(Array(page[(start + open.count)..<end])))
  }

  private static func place(of part: [UInt8], in bytes: ArraySlice<UInt8>) -> Int? {
    bytes.indices.first { bytes[$0] == part[0] && bytes[$0...].starts(with: part) }
  }
}
