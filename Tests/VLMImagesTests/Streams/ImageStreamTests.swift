import Foundation
import Testing
import VLMFoundation
import VLMTestSupport

@testable import VLMImages

/// Consecutive images, split without being decoded.
@Suite("Streams of pictures")
struct ImageStreamTests {
  private static func file(_ path: String) throws -> [UInt8] {
    Array(try Data(contentsOf: TestFiles.root.appendingPathComponent(path)))
  }

  /// The parts of a stream: images, and whether other bytes end it.
  private func parts(
    _ bytes: [UInt8], limits: ImageLimits = ImageLimits()
  ) throws -> [ImageStream.Part] {
    let folder = try TemporaryFolder()
    let path = try folder.write("stream", bytes)
    var stream = ImageStream(try ByteStream(path: path), limits: limits)
    var parts: [ImageStream.Part] = []
    while let part = try stream.next(name: "stream") { parts.append(part) }
    return parts
  }

  /// A JPEG with another within its EXIF segment, as cameras write it.
  private func withThumbnail(_ jpeg: [UInt8]) -> [UInt8] {
    let thumbnail = Array("Exif\0\0".utf8) + [0xff, 0xd8, 0xff, 0xd9, 0xff, 0xd8, 0xff, 0xe0]
    let length = thumbnail.count + 2
    return [0xff, 0xd8, 0xff, 0xe1, UInt8(length >> 8), UInt8(length & 255)] + thumbnail
      + jpeg.dropFirst(2)
  }

  /// A PNM whose samples look like the beginning of another.
  private static let ppm =
    Array("P6 # a comment\n#5 6\n2 3\n255\n".utf8)
    + Array("P6 1 1 255 P6 1 1 255".utf8.prefix(18))

  @Test("a GIF without its last byte ends where the next picture begins")
  func cutGIF() throws {
    let png = try Self.file("docs/images/horse.png")
    let cut = Array(try Self.file("Tests/Fixtures/pictures/gif-animated.gif").dropLast())
    #expect(try parts(png + cut + png) == [.picture(png), .picture(cut), .picture(png)])
    #expect(try parts(cut + cut) == [.picture(cut), .picture(cut)])
    #expect(try parts(cut) == [.picture(cut)])
  }

  @Test("JPEGs, PNGs, GIFs, PNMs, BMPs and WebPs end where their structure says")
  func kinds() throws {
    let jpeg = try Self.file("docs/images/rocket.jpg")
    let png = try Self.file("docs/images/horse.png")
    var bitmap = Array("BM".utf8) + [UInt8](repeating: 0xff, count: 58)
    bitmap.replaceSubrange(2..<6, with: [60, 0, 0, 0])
    let webp = Array("RIFF".utf8) + [13, 0, 0, 0] + Array("WEBP".utf8) + [UInt8](0..<10)
    let gray = Array("P5\n2 2\n65535\n".utf8) + [1, 2, 3, 4, 5, 6, 7, 8]
    let bits = Array("P4 9 2 ".utf8) + [1, 2, 3, 4]
    var animations: [[UInt8]] = []
    for name in ["animated", "local-palette", "transparent", "noise", "interlaced"] {
      animations.append(try Self.file("Tests/Fixtures/pictures/gif-\(name).gif"))
    }
    let others = [jpeg, withThumbnail(jpeg), png, bitmap, webp, Self.ppm, gray, bits]
    for picture in others + animations {
      let found = try parts(picture + picture + png)
      #expect(found == [.picture(picture), .picture(picture), .picture(png)])
      #expect(try parts(picture) == [.picture(picture)])
    }
  }

  @Test("a picture is there with its last byte, however its bytes come", arguments: [1, 7, 4096])
  func pieces(_ size: Int) throws {
    let picture = withThumbnail(try Self.file("docs/images/rocket.jpg"))
    let png = try Self.file("docs/images/horse.png")
    let gif = try Self.file("Tests/Fixtures/pictures/gif-animated.gif")
    for (kind, bytes) in [
      (ImageBoundary.Kind.jpeg, picture), (.png, png), (.gif, gif), (.sized, Self.ppm),
    ] {
      var boundary = ImageBoundary(kind)
      var ends: [Int] = []
      bytes.withUnsafeBytes { all in
        var count = min(size, all.count)
        while true {
          let step = boundary.step(UnsafeRawBufferPointer(rebasing: all[..<count]))
          if case .end(let end) = step { ends.append(end) }
          if count == all.count { break }
          #expect(step == .needsMore)
          count = min(count + size, all.count)
        }
      }
      #expect(ends == [bytes.count])
    }
  }

  @Test("spaces, zeros and a server's headers may stand between pictures")
  func between() throws {
    let jpeg = try Self.file("docs/images/rocket.jpg")
    let header = Array("--frame\r\nContent-Type: image/jpeg\r\nContent-Length: 5\r\n\r\n".utf8)
    let end = Array("\r\n--frame--\r\n".utf8)
    let stream: [UInt8] = Array([header, jpeg, [13, 10], header, jpeg, end].joined())
    #expect(try parts(stream) == [.picture(jpeg), .picture(jpeg)])
    #expect(try parts(jpeg + [0, 0, 0] + jpeg + [0]) == [.picture(jpeg), .picture(jpeg)])
    #expect(try parts(jpeg + [10] + Self.ppm) == [.picture(jpeg), .picture(Self.ppm)])
  }

  @Test("other bytes end the stream, and are told from its end")
  func others() throws {
    let jpeg = try Self.file("docs/images/rocket.jpg")
    #expect(try parts(jpeg + [1, 2, 3] + jpeg) == [.picture(jpeg), .other])
    let text = [UInt8](repeating: 0x41, count: 10_000)
    #expect(try parts(jpeg + text + jpeg) == [.picture(jpeg), .other])
    #expect(try parts([]) == [.picture([])])
    #expect(try parts(Array("--frame\r\n\r\n".utf8)) == [.other])
    // Of a kind whose end is not known all the rest.
    #expect(try parts(Array("GIF89a".utf8) + jpeg) == [.picture(Array("GIF89a".utf8) + jpeg)])
  }

  @Test(
    "a picture that is cut off is what is there of it, and one that lost its end has the next's")
  func cutOff() throws {
    let jpeg = try Self.file("docs/images/rocket.jpg")
    let half = Array(jpeg.prefix(jpeg.count / 2))
    #expect(try parts(jpeg + half) == [.picture(jpeg), .picture(half)])
    let endless = Array(jpeg.dropLast(2))
    #expect(try parts(endless + jpeg) == [.picture(endless), .picture(jpeg)])
  }

  @Test("pictures that phones put behind the first are part of its file")
  func severalInOneFile() throws {
    let jpeg = try Self.file("docs/images/rocket.jpg")
    // One entry of the directory, the list of two pictures behind it.
    func file(_ extra: [UInt8], stated: Int) -> [UInt8] {
      func word(_ value: Int) -> [UInt8] { [24, 16, 8, 0].map { UInt8(value >> $0 & 255) } }
      let list = 8 + 2 + 12 + 4
      // From the index's first byte to the end of the first picture.
      let start = jpeg.count - 2 + list + 32
      var payload: [UInt8] = Array("MPF\0MM\0*".utf8)
      payload += word(8)
      payload += [0, 1, 0xb0, 2, 0, 7]
      for value in [32, list, 0, 0, jpeg.count, 0, 0, 0, stated, start, 0] {
        payload += word(value)
      }
      var bytes: [UInt8] = Array(jpeg.prefix(2))
      bytes += [0xff, 0xe2, 0, UInt8(payload.count + 2)]
      bytes += payload
      bytes += jpeg.dropFirst(2)
      return bytes + extra
    }
    let whole = file([0xff, 0xd8, 0xff, 0xd9], stated: 4)
    #expect(try parts(whole + jpeg) == [.picture(whole), .picture(jpeg)])
    // An index of more than is there.
    let alone = file([], stated: 1 << 30)
    #expect(try parts(alone) == [.picture(alone)])
    #expect(try parts(alone + jpeg) == [.picture(alone), .picture(jpeg)])
  }

  @Test("a picture larger than a file may be is refused before the rest of it is read")
  func limit() throws {
    let jpeg = try Self.file("docs/images/rocket.jpg")
    let limits = ImageLimits(maximumFileBytes: jpeg.count)
    #expect(try parts(jpeg + jpeg, limits: limits).count == 2)
    let error = thrownError(ImageError.self) {
      try parts(jpeg, limits: ImageLimits(maximumFileBytes: jpeg.count - 1))
    }
    #expect(error?.problem == .fileTooLarge(limit: jpeg.count - 1))
    // One that claims more than the memory.
    let huge = Array("P6 99999999 99999999 255\n".utf8) + [UInt8](repeating: 0, count: 300_000)
    let refused = thrownError(ImageError.self) {
      try parts(huge, limits: ImageLimits(maximumFileBytes: 200_000))
    }
    #expect(refused?.problem == .fileTooLarge(limit: 200_000))
  }

  @Test("whatever the bytes are, every one of them is in a picture or behind the last")
  func noise() throws {
    var random = SystemRandomNumberGenerator()
    let jpeg = try Self.file("docs/images/rocket.jpg")
    let starts = [
      Array(jpeg.prefix(400)), [0xff, 0xd8, 0xff], Array("P6 ".utf8), [0x42, 0x4d],
      Array("GIF89a".utf8),
    ]
    for start in starts {
      let noise = (0..<2000).map { _ in UInt8.random(in: 0...255, using: &random) }
      for part in try parts(start + noise) {
        if case .picture(let bytes) = part { #expect(bytes.count <= start.count + noise.count) }
      }
    }
  }
}
