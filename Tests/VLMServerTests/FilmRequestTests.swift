import Testing
import VLMFoundation
import VLMZ

@testable import VLMServer

/// Films in messages, in the forms of several servers' clients.
@Suite struct FilmRequestTests {
  private static let digits = String(pixel.dropFirst("data:image/png;base64,".count))
  /// Two frames of one pixel, shown for half a second and for a second and a half.
  private static let gif =
    "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAAyAAAALAAAAAABAAEAAAICRAEAIfkEAJYAAAAsAAAA"
    + "AAEAAQAAAgJEAQA7"

  private func chat(_ part: String, _ more: String = "") throws -> ChatRequest {
    let text = #"{"type": "text", "text": "What happens?"}"#
    let message = #"{"role": "user", "content": [\#(text), \#(part)]}"#
    return try ChatRequest(try body(#"{"messages": [\#(message)]\#(more)}"#), limits: small)
  }

  private func film(_ part: String, _ more: String = "") throws -> Film? {
    guard case .film(let film)? = try chat(part, more).messages[0].pictures.first else {
      return nil
    }
    return film
  }

  private func frames(_ count: Int) -> String {
    "data:video/jpeg;base64,"
      + [String](repeating: Self.digits, count: count).joined(separator: ",")
  }

  @Test func framesAreThoseThatVLLMsClientsSend() throws {
    let part = #"{"type": "video_url", "video_url": {"url": "\#(frames(3))"}}"#
    let usual = try #require(try film(part))
    #expect(usual.frameCount == 3 && usual.framesPerSecond == 1)
    #expect(try chat(part).messages[0].text == "What happens?")
    let rate = #", "media_io_kwargs": {"video": {"fps": 4, "num_frames": -1}}"#
    #expect(try film(part, rate)?.framesPerSecond == 4)
    let own = #"{"type": "video_url", "video_url": {"url": "\#(frames(1))"}, "fps": 2.5}"#
    #expect(try film(own, rate)?.framesPerSecond == 2.5)
    #expect(try film(own)?.frameCount == 1)
    let inner = #"{"type": "video_url", "video_url": {"url": "\#(frames(2))", "fps": 5}}"#
    #expect(try film(inner)?.framesPerSecond == 5)
  }

  @Test func framesAreThoseOfQwensClientsAndFilesThoseOfLlamas() throws {
    let list = #"{"type": "video", "video": ["\#(pixel)", "\#(pixel)"], "fps": 2}"#
    let listed = try #require(try film(list))
    #expect(listed.frameCount == 2 && listed.framesPerSecond == 2)
    let raw = Self.gif.dropFirst("data:image/gif;base64,".count)
    let data = #"{"type": "input_video", "input_video": {"data": "\#(raw)"}}"#
    #expect(try film(data)?.frameCount == 2)
    let response = try ResponsesRequest(
      try body(#"{"input": [{"role": "user", "content": [\#(list)]}]}"#), limits: small)
    #expect(response.messages[0].pictures.count == 1)
  }

  @Test func aGIFHasItsOwnRate() throws {
    let part = #"{"type": "video_url", "video_url": {"url": "\#(Self.gif)"}}"#
    let found = try #require(try film(part))
    #expect(found.frameCount == 2 && found.framesPerSecond == 1)
    let rated = #"{"type": "video_url", "video_url": {"url": "\#(Self.gif)"}, "fps": 3}"#
    let error = refusal { _ = try chat(rated) }
    #expect(error?.code == "unsupported_parameter")
  }

  private static let refused: [(part: String, place: String)] = [
    (#"{"type": "video_url"}"#, "video_url"),
    (#"{"type": "video_url", "video_url": {}}"#, "video_url.url"),
    (#"{"type": "video_url", "video_url": {"url": "https://a/b.mp4"}}"#, "video_url"),
    (#"{"type": "video_url", "video_url": {"url": "data:video/mp4;base64,AAAA"}}"#, "video_url"),
    (
      #"{"type": "video_url", "video_url": {"url": "data:video/jpeg;base64,AAAA,"}}"#,
      "video_url[0]"
    ),
    (#"{"type": "video_url", "video_url": "\#(pixel)"}"#, "video_url"),
    (#"{"type": "video", "video": []}"#, "video"),
    (#"{"type": "video", "video": [5]}"#, "video[0]"),
    (#"{"type": "video", "video": ["a"], "fps": 0}"#, "fps"),
    (#"{"type": "video", "video": ["a"], "max_frames": 8}"#, "max_frames"),
  ]

  @Test(
    "what is no film, or too much of one, is refused with its place",
    arguments: Self.refused)
  func refuses(_ part: String, _ place: String) {
    let error = refusal { _ = try chat(part) }
    #expect(error?.status == 400)
    #expect(error?.parameter == "messages[0].content[1]." + place)
  }

  @Test func anMP4IsToldWhatToSendInstead() throws {
    let bytes: [UInt8] = [0, 0, 0, 24] + Array("ftypmp42".utf8) + [UInt8](repeating: 0, count: 12)
    let uri = "data:video/mp4;base64," + Base64.encode(bytes)
    let error = refusal {
      _ = try chat(#"{"type": "video_url", "video_url": {"url": "\#(uri)"}}"#)
    }
    #expect(error?.message.contains("an MP4 or QuickTime file, expected an animated GIF") == true)
    #expect(error?.message.contains("frames") == true)
  }

  @Test func framesAndTheirPixelsAreLimited() {
    let limits = ServerLimits(frames: 3, picturePixels: 100, requestPixels: 4)
    func error(_ part: String) -> APIError? {
      refusal {
        _ = try ChatRequest(
          try body(#"{"messages": [{"role": "user", "content": [\#(part)]}]}"#), limits: limits)
      }
    }
    func part(_ count: Int) -> String {
      #"{"type": "video_url", "video_url": {"url": "\#(frames(count))"}}"#
    }
    #expect(error(part(3)) == nil)
    #expect(error(part(4))?.message.contains("at most 3 in a request") == true)
    #expect(error(part(2) + ", " + part(2))?.message.contains("4 frames") == true)
    let picture = #"{"type": "image_url", "image_url": "\#(pixel)"}"#
    #expect(
      error([part(3), picture, picture].joined(separator: ", "))?.message.contains("5 pixels")
        == true)
  }

  @Test func whatElseIsSaidOfFilmsIsNotFollowed() {
    let part = #"{"type": "video_url", "video_url": {"url": "\#(frames(2))"}}"#
    for (more, place) in [
      (#", "media_io_kwargs": {"video": {"num_frames": 8}}"#, "media_io_kwargs.video.num_frames"),
      (#", "media_io_kwargs": {"audio": {}}"#, "media_io_kwargs.audio"),
      (#", "mm_processor_kwargs": {"fps": 1}"#, "mm_processor_kwargs"),
    ] {
      #expect(refusal { _ = try chat(part, more) }?.parameter == place)
    }
  }
}
