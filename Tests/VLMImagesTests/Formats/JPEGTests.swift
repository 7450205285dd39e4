import Testing
import VLMFoundation

@testable import VLMImages

@Suite("JPEG")
struct JPEGTests {
  private static let images = ImageFixtures.preprocess + "/images/"
  private static let files = [
    "p2-422.jpg", "p2-restart.jpg", "p1-444-progressive.jpg", "p3-gray.jpg", "p0-cmyk.jpg",
  ]

  private func bytes(_ file: String) throws -> [UInt8] {
    try ImageFixtures.bytes(Self.images + file)
  }

  private func problem(
    _ bytes: [UInt8], limits: ImageLimits = ImageLimits()
  ) -> ImageError.Problem? {
    do throws(ImageError) {
      _ = try ImageDecoder.decode(bytes: bytes, name: "case.jpg", limits: limits)
      return nil
    } catch {
      return error.problem
    }
  }

  /// A segment put between SOI and the rest.
  private func inserted(_ marker: UInt8, _ payload: [UInt8], into jpeg: [UInt8]) -> [UInt8] {
    let length = payload.count + 2
    return jpeg.prefix(2) + [0xFF, marker, UInt8(length >> 8), UInt8(length & 255)] + payload
      + jpeg.dropFirst(2)
  }

  private static let exifSignature = Array("Exif\0\0".utf8)

  @Test("each EXIF orientation turns what is seen, in either byte order", arguments: [true, false])
  func orientations(isLittle: Bool) throws {
    let plain = try bytes("p2-422.jpg")
    let upright = try ImageDecoder.decode(bytes: plain, name: "plain")
    for orientation in Orientation.allCases {
      let turned = inserted(
        0xE1, Self.exifSignature + PNGCaseTests.exif(orientation.rawValue, isLittle: isLittle),
        into: plain)
      #expect(
        try ImageDecoder.decode(bytes: turned, name: "turned") == upright.turned(orientation))
      #expect(
        try ImageDecoder.decode(bytes: turned, name: "turned", policy: .pillow) == upright)
    }
  }

  @Test("a photograph with orientation 6 is seen turned clockwise")
  func realOrientation() throws {
    let file = try bytes("p1-exif-orientation6.jpg")
    let pillow = try ImageDecoder.decode(bytes: file, name: "six", policy: .pillow)
    let seen = try ImageDecoder.decode(bytes: file, name: "six")
    #expect((seen.width, seen.height) == (pillow.height, pillow.width))
    // The upper left corner comes from the lower left.
    #expect(seen.pixel(0, 0) == pillow.pixel(0, pillow.height - 1))
    #expect(seen.pixel(seen.width - 1, 0) == pillow.pixel(0, 0))
  }

  @Test("EXIF that does not parse means upright")
  func brokenEXIF() throws {
    let plain = try bytes("p3-gray.jpg")
    let upright = try ImageDecoder.decode(bytes: plain, name: "plain")
    let sound = PNGCaseTests.exif(6)
    var cases: [[UInt8]] = (0..<sound.count - 4).map { Array(sound.prefix($0)) }
    // Orientation 0, 9 and 300; an offset past the end; a count of 65535 and of 2; another type.
    for (offset, value) in [(18, 0), (18, 9), (19, 1), (4, 200), (7, 255), (14, 2), (12, 5)] {
      var changed = sound
      changed[offset] = UInt8(value)
      cases.append(changed)
    }
    for exif in cases where exif.count < 20 || exif.count == sound.count {
      let file = inserted(0xE1, Self.exifSignature + exif, into: plain)
      #expect(try ImageDecoder.decode(bytes: file, name: "broken") == upright)
    }
    // XMP shares the marker and is skipped; the EXIF after it is used.
    let both = inserted(
      0xE1, Array("http://ns.adobe.com/xap/1.0/\0<x/>".utf8),
      into: inserted(0xE1, Self.exifSignature + sound, into: plain))
    #expect(try ImageDecoder.decode(bytes: both, name: "both") == upright.turned(.clockwise))
  }

  @Test("a file cut off anywhere but in its end marker is refused", arguments: files)
  func truncated(_ file: String) throws {
    let whole = try bytes(file)
    // Every length of the headers and of the end, and a sample of the rest.
    let lengths = (0..<whole.count).filter {
      $0 < 700 || $0 > whole.count - 100 || $0 % 37 == 0
    }
    let image = try ImageDecoder.decode(bytes: whole, name: file)
    for length in lengths {
      if length < whole.count - 3 {
        #expect(problem(Array(whole.prefix(length))) != nil, "cut at \(length)")
      } else if let cut = try? ImageDecoder.decode(bytes: Array(whole.prefix(length)), name: file) {
        #expect(cut == image, "cut at \(length)")
      }
    }
  }

  @Test("bytes after the end are ignored")
  func trailing() throws {
    let whole = try bytes("p2-422.jpg")
    #expect(problem(whole + [0, 1, 2, 3]) == nil)
  }

  @Test("a flipped byte gives an image or an error", arguments: files)
  func flips(_ file: String) throws {
    let whole = try bytes(file)
    let limits = ImageLimits(maximumPixels: 1 << 18)
    let seed = UInt64.random(in: 0 ... .max)
    print("seed \(seed)")
    var generator = SplitMix64(seed: seed)
    var refused = 0
    for offset in whole.indices where offset < 800 || offset % 11 == 0 {
      var copy = whole
      copy[offset] ^= UInt8.random(in: 1 ... .max, using: &generator)
      if let image = try? ImageDecoder.decode(bytes: copy, name: file, limits: limits) {
        #expect(image.pixels.count == image.width * image.height * 3)
      } else {
        refused += 1
      }
    }
    #expect(refused > 0)
  }

  @Test("12-bit JPEG is refused as a kind that is not decoded")
  func twelveBits() throws {
    var file = try bytes("p3-gray.jpg")
    let frame = try #require(frameOffset(file))
    file[frame + 4] = 12
    guard case .unsupported(.jpeg, let text) = problem(file) else {
      Issue.record("not refused")
      return
    }
    #expect(text.contains("12"))
  }

  @Test("a bomb is refused by its header")
  func bomb() throws {
    var file = try bytes("p3-gray.jpg")
    let frame = try #require(frameOffset(file))
    for (offset, value) in [(5, 0xFF), (6, 0), (7, 0xFF), (8, 0)] {
      file[frame + offset] = UInt8(value)
    }
    #expect(
      problem(file) == .tooManyPixels(width: 65_280, height: 65_280, limit: 178_956_970))
  }

  @Test("a progressive file with more scans than allowed is refused")
  func scans() throws {
    let file = try bytes("p1-444-progressive.jpg")
    #expect(problem(file) == nil)
    #expect(
      problem(file, limits: ImageLimits(maximumScans: 3)) == .corrupt(.jpeg, "more than 3 scans"))
  }

  @Test("JPEG under another name, and another format under JPEG's, go by their bytes")
  func names() throws {
    let file = try bytes("p3-gray.jpg")
    #expect(try ImageDecoder.decode(bytes: file, name: "photo.png").width == 97)
    let error = ImageError(name: "a.jpg", problem: .unrecognized(looksLike: "QOI"))
    #expect(
      error.description
        == "a.jpg: looks like QOI, expected PNG, JPEG, WebP, GIF, BMP, PNM, TIFF, HEIC or AVIF")
    #expect(error.exitStatus == .badData)
  }

  /// Offset of the SOF marker.
  private func frameOffset(_ bytes: [UInt8]) -> Int? {
    var offset = 2
    while offset + 4 <= bytes.count {
      if (0xC0...0xC2).contains(bytes[offset + 1]) { return offset }
      offset += 2 + Int(bytes[offset + 2]) << 8 + Int(bytes[offset + 3])
    }
    return nil
  }
}
