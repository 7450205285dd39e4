import Testing
import VLMFoundation

@testable import VLMImages

/// Malformed, malicious and unusual PNG files.
@Suite("PNG cases")
struct PNGCaseTests {
  private func decode(_ bytes: [UInt8], limits: ImageLimits = ImageLimits()) throws -> Image {
    try ImageDecoder.decode(bytes: bytes, name: "case.png", limits: limits)
  }

  private func problem(
    _ bytes: [UInt8], limits: ImageLimits = ImageLimits()
  ) -> ImageError.Problem? {
    do throws(ImageError) {
      _ = try ImageDecoder.decode(bytes: bytes, name: "case.png", limits: limits)
      return nil
    } catch {
      return error.problem
    }
  }

  private func isCorrupt(_ bytes: [UInt8]) -> Bool {
    switch problem(bytes) {
    case .corrupt(.png, _), .damaged(.png, _): true
    default: false
    }
  }

  /// A 2 by 2 file with an additional chunk before or after the pixels.
  private func file(before: [(String, [UInt8])] = [], after: [(String, [UInt8])] = []) -> [UInt8] {
    PNGBuilder.file(
      PNGBuilder.header(2, 2), rows: PNGBuilder.colorRows, before: before, after: after)
  }

  @Test("a header that promises more than its file can be inflated to is refused by its numbers")
  func promise() {
    let bytes = PNGBuilder.file(
      PNGBuilder.header(13_000, 13_000, depth: 16, color: 6), rows: [0])
    let promised = 13_000 * 13_000 * 8
    #expect(
      problem(bytes)
        == .corrupt(
          .png,
          "the header promises \(promised) bytes, more than \(bytes.count) can be inflated to"))
  }

  @Test("the file that the cases start from decodes")
  func sound() throws {
    let image = try decode(PNGBuilder.color)
    #expect(image.pixels == [255, 0, 0, 0, 255, 0, 0, 0, 255, 255, 255, 255])
  }

  @Test(
    "P01 nothing, a piece of the signature and the bare signature are refused", arguments: 0...8)
  func signatureOnly(count: Int) {
    #expect(problem(Array(PNGBuilder.signature.prefix(count))) != nil)
  }

  @Test("P02 a signature damaged by a text transfer is refused and named")
  func mangled() {
    for (index, value) in [(0, 0x09), (4, 0x0A)] as [(Int, UInt8)] {
      var bytes = PNGBuilder.color
      bytes[index] = value
      guard case .unrecognized(let kind?) = problem(bytes) else {
        Issue.record("not named")
        continue
      }
      #expect(kind.contains("signature"))
    }
  }

  @Test(
    "P03 another format is named",
    arguments: [
      (Array("  <svg xmlns".utf8), "SVG"), (Array("%PDF-1.7".utf8), "PDF"),
    ])
  func otherFormats(bytes: [UInt8], kind: String) {
    #expect(problem(bytes) == .unrecognized(looksLike: kind))
  }

  @Test("P03 what stands in place of a picture is named, with the next step")
  func notFetched() throws {
    let cases = [
      ("<!DOCTYPE html>", "is an HTML page, expected PNG", "; download it again"),
      ("version https://git-lfs.github.com/spec/v1\n", "is a Git LFS pointer", ": git lfs pull"),
      (String(repeating: "\0", count: 600), "is zeros", "; download it again"),
    ]
    for (text, start, end) in cases {
      let found = try #require(problem(Array(text.utf8)))
      let message = ImageError(name: "p.png", problem: found).description
      #expect(message.hasPrefix("p.png: " + start) && message.hasSuffix(end), "\(message)")
    }
  }

  @Test("P04 IHDR must come first, once, and be 13 bytes")
  func headerPlace() {
    var late = PNGBuilder()
    late.add("gAMA", [0, 0, 0, 1])
    late.add("IHDR", PNGBuilder.header(2, 2))
    late.add("IDAT", PNGBuilder.zlib(PNGBuilder.colorRows))
    late.add("IEND")
    #expect(isCorrupt(late.bytes))
    #expect(isCorrupt(file(before: [("IHDR", PNGBuilder.header(2, 2))])))
    for header in [PNGBuilder.header(2, 2) + [0], Array(PNGBuilder.header(2, 2).dropLast())] {
      #expect(isCorrupt(PNGBuilder.file(header, rows: PNGBuilder.colorRows)))
    }
  }

  @Test("P05 P06 a side of 0 or of 2^31 and more is refused", arguments: [0, 1 << 31, .max])
  func sides(_ side: UInt32) {
    #expect(problem(PNGBuilder.file(PNGBuilder.header(side, 1), rows: [0])) != nil)
    #expect(problem(PNGBuilder.file(PNGBuilder.header(1, side), rows: [0])) != nil)
  }

  @Test(
    "P07 P66 a bomb is refused by its header",
    arguments: [(65_535, 65_535), (1_000_000, 1_000_000), (0x1000_0001, 0x10)])
  func bomb(width: UInt32, height: UInt32) {
    let bytes = PNGBuilder.file(PNGBuilder.header(width, height), rows: [0, 0])
    #expect(
      problem(bytes)
        == .tooManyPixels(width: Int(width), height: Int(height), limit: 178_956_970))
  }

  @Test("P07 a side beyond the limit is refused")
  func longSide() {
    let bytes = PNGBuilder.file(PNGBuilder.header(1_000_001, 1), rows: [0])
    #expect(problem(bytes) == .sideTooLong(1_000_001, limit: 1_000_000))
  }

  @Test("P57 the pixel limit is the caller's")
  func limit() throws {
    #expect(
      problem(PNGBuilder.color, limits: ImageLimits(maximumPixels: 3))
        == .tooManyPixels(width: 2, height: 2, limit: 3))
    #expect(try decode(PNGBuilder.color, limits: ImageLimits(maximumPixels: 4)).width == 2)
    let size = PNGBuilder.color.count
    #expect(
      problem(PNGBuilder.color, limits: ImageLimits(maximumFileBytes: size - 1))
        == .fileTooLarge(limit: size - 1))
  }

  @Test("P09 P10 of all colour types and depths only the 15 legal pairs decode")
  func depths() throws {
    let legal: [UInt8: Set<UInt8>] = [
      0: [1, 2, 4, 8, 16], 2: [8, 16], 3: [1, 2, 4, 8], 4: [8, 16], 6: [8, 16],
    ]
    for color in UInt8.min ... .max {
      let depths: [UInt8] = color < 8 ? Array(UInt8.min ... .max) : [1, 8, 16]
      for depth in depths {
        let channels = [0: 1, 2: 3, 3: 1, 4: 2, 6: 4][Int(color)] ?? 1
        let bytes = PNGBuilder.file(
          PNGBuilder.header(1, 1, depth: depth, color: color),
          rows: [UInt8](repeating: 0, count: 1 + max(1, channels * Int(depth) / 8)),
          before: color == 3 ? [("PLTE", [1, 2, 3])] : [])
        let isLegal = legal[color]?.contains(depth) ?? false
        let isDecoded = problem(bytes) == nil
        #expect(isDecoded == isLegal, "colour \(color) depth \(depth)")
      }
    }
  }

  @Test("P11 unknown compression, filter and interlace methods are refused")
  func methods() {
    let headers = [
      PNGBuilder.header(2, 2, compression: 1), PNGBuilder.header(2, 2, filter: 1),
      PNGBuilder.header(2, 2, filter: 64), PNGBuilder.header(2, 2, interlace: 2),
    ]
    for header in headers {
      #expect(isCorrupt(PNGBuilder.file(header, rows: PNGBuilder.colorRows)))
    }
  }

  @Test("P12 P13 a wrong CRC in a critical chunk is refused", arguments: ["IHDR", "IDAT", "IEND"])
  func criticalCRC(_ broken: String) {
    var png = PNGBuilder()
    png.add("IHDR", PNGBuilder.header(2, 2), crc: broken == "IHDR" ? 1 : 0)
    png.add("IDAT", PNGBuilder.zlib(PNGBuilder.colorRows), crc: broken == "IDAT" ? 1 : 0)
    png.add("IEND", crc: broken == "IEND" ? 1 : 0)
    #expect(isCorrupt(png.bytes))
  }

  @Test("P14 a wrong CRC in an ancillary chunk leaves the chunk out", arguments: ["tRNS", "eXIf"])
  func ancillaryCRC(_ type: String) throws {
    var png = PNGBuilder()
    png.add("IHDR", PNGBuilder.header(2, 2))
    png.add(type, type == "tRNS" ? [0, 255, 0, 0, 0, 0] : Self.exif(6), crc: 1)
    png.add("IDAT", PNGBuilder.zlib(PNGBuilder.colorRows))
    png.add("IEND")
    #expect(try decode(png.bytes) == (try decode(PNGBuilder.color)))
  }

  @Test("P15 a chunk that is too long is refused, one longer than the file where rows are missing")
  func chunkLength() throws {
    for length in [100, 0x7FFF_FFFF, 0x8000_0000, .max] as [UInt32] {
      let stream = PNGBuilder.zlib(PNGBuilder.colorRows)
      for lost in [0, 8] {
        var png = PNGBuilder()
        png.add("IHDR", PNGBuilder.header(2, 2))
        png.add("IDAT", Array(stream.dropLast(lost)), length: length)
        // Data after the pixels is not part of the image.
        png.bytes.removeLast(4)
        if lost == 0, length <= 0x7FFF_FFFF {
          #expect(try read(png.bytes) == [.noEndMarker(.png)])
        } else {
          #expect(isCorrupt(png.bytes))
        }
      }
    }
  }

  /// The notes about the file that the cases start from, in another form.
  private func read(_ bytes: [UInt8]) throws -> [DecodingNote] {
    var notes: [DecodingNote] = []
    let image = try ImageDecoder.decode(bytes: bytes, name: "case.png") { notes.append($0) }
    let whole = try decode(PNGBuilder.color)
    #expect(image == whole)
    return notes
  }

  @Test("P16 P17 ill-named and unknown critical chunks are refused", arguments: ["ID1T", "ABCD"])
  func unknownCritical(_ type: String) {
    #expect(isCorrupt(file(before: [(type, [1, 2, 3])])))
  }

  @Test("P18 P45 P47 P50 P51 ancillary chunks are skipped, whatever they hold")
  func ancillary() throws {
    let junk = [UInt8](repeating: 0xFF, count: 5000)
    let types = [
      "iCCP", "zTXt", "iTXt", "tEXt", "sPLT", "hIST", "bKGD", "tIME", "pHYs", "sCAL", "pCAL",
      "gAMA", "cHRM", "sRGB", "sBIT", "oFFs", "acTL", "fcTL", "vpAg", "abCd",
    ]
    for type in types {
      #expect(try decode(file(before: [(type, junk)])) == (try decode(PNGBuilder.color)), "\(type)")
      #expect(try decode(file(after: [(type, [])])) == (try decode(PNGBuilder.color)), "\(type)")
    }
  }

  @Test("P19 P20 P21 many chunks pass, scattered pixels do not")
  func manyChunks() throws {
    var png = PNGBuilder()
    png.add("IHDR", PNGBuilder.header(2, 2))
    for _ in 0..<20_000 { png.add("abCd") }
    for _ in 0..<1000 { png.add("IDAT") }
    for byte in PNGBuilder.zlib(PNGBuilder.colorRows) { png.add("IDAT", [byte]) }
    png.add("IEND")
    #expect(try decode(png.bytes) == (try decode(PNGBuilder.color)))

    let stream = PNGBuilder.zlib(PNGBuilder.colorRows)
    var scattered = PNGBuilder()
    scattered.add("IHDR", PNGBuilder.header(2, 2))
    scattered.add("IDAT", Array(stream.prefix(10)))
    scattered.add("tEXt", [65, 0, 66])
    scattered.add("IDAT", Array(stream.dropFirst(10)))
    scattered.add("IEND")
    #expect(isCorrupt(scattered.bytes))
  }

  @Test(
    "P22 P62 P63 a missing IDAT is refused, a missing IEND is said, bytes after IEND are ignored")
  func ends() throws {
    var empty = PNGBuilder()
    empty.add("IHDR", PNGBuilder.header(2, 2))
    empty.add("IEND")
    #expect(isCorrupt(empty.bytes))
    #expect(try read(Array(PNGBuilder.color.dropLast(12))) == [.noEndMarker(.png)])
    #expect(
      try decode(PNGBuilder.color + Array("PK\u{3}\u{4}trailing".utf8))
        == (try decode(PNGBuilder.color)))
  }

  @Test("P23 a file cut off anywhere is refused, unless every row is there")
  func truncated() throws {
    let suite = try ImageFixtures.bytes(ImageFixtures.pngSuite + "/tbrn2c08.png")
    let interlaced = try ImageFixtures.bytes(ImageFixtures.pngSuite + "/basi3p02.png")
    for bytes in [PNGBuilder.color, suite, interlaced] {
      let whole = try decode(bytes)
      for count in 0..<bytes.count {
        // IEND, the CRC and the Adler-32 before it, and the end mark of the last block.
        if count < bytes.count - 12 - 4 - 4 - 2 {
          #expect(problem(Array(bytes.prefix(count))) != nil, "cut at \(count)")
        } else if let image = try? decode(Array(bytes.prefix(count))) {
          #expect(image == whole, "cut at \(count)")
        }
      }
    }
  }

  @Test("P24 P25 P26 P68 damaged zlib streams are refused")
  func zlib() {
    let sound = PNGBuilder.zlib(PNGBuilder.colorRows)
    var streams = [PNGBuilder.zlib(PNGBuilder.colorRows, adler: 1)]
    // Method 9, window 64K, a preset dictionary, a wrong check, block type 3, LEN against NLEN.
    for (offset, value) in [(0, 0x79), (0, 0x88), (1, 0x20), (1, 0x02), (2, 0x07), (4, 1)] {
      var stream = sound
      stream[offset] = UInt8(value)
      streams.append(stream)
    }
    // Fixed Huffman codes whose first symbol is a match: the distance reaches before the start.
    streams.append([0x78, 0x01, 0x03, 0x02, 0, 0, 0, 0, 0])
    for stream in streams {
      var png = PNGBuilder()
      png.add("IHDR", PNGBuilder.header(2, 2))
      png.add("IDAT", stream)
      png.add("IEND")
      #expect(isCorrupt(png.bytes), "\(stream.prefix(5))")
    }
  }

  @Test("P27 P28 P29 too few pixels are refused, too many are not read")
  func amount() throws {
    #expect(
      isCorrupt(PNGBuilder.file(PNGBuilder.header(2, 3), rows: PNGBuilder.colorRows)))
    let extra = PNGBuilder.colorRows + [UInt8](repeating: 0, count: 3_000_000)
    #expect(
      try decode(PNGBuilder.file(PNGBuilder.header(2, 2), rows: extra))
        == (try decode(PNGBuilder.color)))
  }

  @Test("P30 filters from 5 on are refused", arguments: [5, 64, 255])
  func filters(_ filter: UInt8) {
    var rows = PNGBuilder.colorRows
    rows[7] = filter
    #expect(isCorrupt(PNGBuilder.file(PNGBuilder.header(2, 2), rows: rows)))
  }

  @Test("P34 P35 palettes have to be there, once, in place and of a sensible size")
  func palettes() throws {
    let header = PNGBuilder.header(2, 1, depth: 1, color: 3)
    let rows: [UInt8] = [0, 0b0100_0000]
    func file(_ before: [(String, [UInt8])], after: [(String, [UInt8])] = []) -> [UInt8] {
      PNGBuilder.file(header, rows: rows, before: before, after: after)
    }
    let sound: [UInt8] = [1, 2, 3, 4, 5, 6]
    #expect(try decode(file([("PLTE", sound)])).pixels == sound)
    #expect(isCorrupt(file([])))
    #expect(isCorrupt(file([], after: [("PLTE", sound)])))
    #expect(isCorrupt(file([("PLTE", sound), ("PLTE", sound)])))
    #expect(isCorrupt(file([("PLTE", [])])))
    #expect(isCorrupt(file([("PLTE", [1, 2, 3, 4])])))
    #expect(isCorrupt(file([("PLTE", [UInt8](repeating: 7, count: 257 * 3))])))
    // More colours than the depth can name: the rest is out of reach.
    #expect(try decode(file([("PLTE", sound + sound)])).pixels == sound)
  }

  @Test("P36 an index past the palette's end is opaque black")
  func paletteIndex() throws {
    let image = try decode(
      PNGBuilder.file(
        PNGBuilder.header(3, 1, color: 3), rows: [0, 0, 1, 255],
        before: [("PLTE", [9, 8, 7]), ("tRNS", [255])]))
    #expect(image.pixels == [9, 8, 7, 0, 0, 0, 0, 0, 0])
  }

  @Test("P37 P38 misplaced transparency is ignored or refused, never misread")
  func transparency() throws {
    func file(_ chunks: [(String, [UInt8])]) -> [UInt8] {
      PNGBuilder.file(PNGBuilder.header(2, 1, color: 3), rows: [0, 0, 1], before: chunks)
    }
    let palette: [UInt8] = [10, 20, 30, 40, 50, 60]
    let plain = try decode(file([("PLTE", palette)]))
    // Longer than the palette, before it.
    #expect(try decode(file([("PLTE", palette), ("tRNS", [255, 255, 0, 0])])) == plain)
    #expect(try decode(file([("tRNS", [0]), ("PLTE", palette)])) == plain)
    // The second of two is left out.
    let twice = try decode(file([("PLTE", palette), ("tRNS", [0]), ("tRNS", [255, 0])]))
    #expect(twice.pixels == [255, 255, 255, 40, 50, 60])
    // Of no meaning in an image with alpha.
    let alpha = PNGBuilder.file(
      PNGBuilder.header(1, 1, color: 4), rows: [0, 50, 255], before: [("tRNS", [0, 50])])
    #expect(try decode(alpha).pixels == [50, 50, 50])
  }

  @Test("P39 palettes with transparency expand exactly at every width", arguments: 1...33)
  func paletteWidths(_ width: Int) throws {
    let palette = (0..<12).map { UInt8($0 * 20) }
    let alphas: [UInt8] = [0, 85, 170]
    let indices = (0..<width).map { UInt8($0 * 7 % 4) }
    let image = try ImageDecoder.decodeSamples(
      bytes: PNGBuilder.file(
        PNGBuilder.header(UInt32(width), 1, color: 3), rows: [0] + indices,
        before: [("PLTE", palette), ("tRNS", alphas)]), name: "case")
    let expected = indices.flatMap { index in
      Array(palette[Int(index) * 3..<Int(index) * 3 + 3])
        + [Int(index) < 3 ? alphas[Int(index)] : 255]
    }
    #expect(image.samples == .eight(expected))
  }

  @Test("P41 what stands in the padding bits of a row does not matter")
  func paddingBits() throws {
    let header = PNGBuilder.header(3, 1, depth: 2, color: 0)
    let a = try decode(PNGBuilder.file(header, rows: [0, 0b0110_1100]))
    let b = try decode(PNGBuilder.file(header, rows: [0, 0b0110_1111]))
    #expect(a == b)
    #expect(a.pixels == [85, 85, 85, 170, 170, 170, 255, 255, 255])
  }

  @Test("P44 a profile that would inflate to a gigabyte is skipped unread")
  func profileBomb() throws {
    let bomb = Array("name".utf8) + [0, 0] + PNGBuilder.zlib([UInt8](repeating: 0, count: 100_000))
    #expect(try decode(file(before: [("iCCP", bomb)])) == (try decode(PNGBuilder.color)))
  }

  @Test("P48 P49 an eXIf orientation turns what is seen, a malformed one is ignored")
  func exif() throws {
    let upright = try decode(PNGBuilder.color)
    for orientation in Orientation.allCases {
      let turned = try decode(file(before: [("eXIf", Self.exif(orientation.rawValue))]))
      #expect(turned == upright.turned(orientation))
    }
    for junk in [[], [0x49], Array("II*\0".utf8), Array("II*\0\u{7F}\u{7F}\u{7F}\u{7F}".utf8)] {
      #expect(try decode(file(before: [("eXIf", junk)])) == upright)
    }
  }

  @Test("P52 P53 Apple's variant, MNG and JNG are refused by name")
  func relatives() {
    var apple = PNGBuilder()
    apple.add("CgBI", [0x50, 0, 0x20, 2])
    apple.add("IHDR", PNGBuilder.header(2, 2))
    apple.add("IDAT", PNGBuilder.zlib(PNGBuilder.colorRows))
    apple.add("IEND")
    guard case .unsupported(.png, let text) = problem(apple.bytes) else {
      Issue.record("not refused")
      return
    }
    #expect(text.contains("CgBI"))
    #expect(problem([0x8A] + Array("MNG\r\n".utf8)) == .unrecognized(looksLike: "MNG"))
    #expect(problem([0x8B] + Array("JNG\r\n".utf8)) == .unrecognized(looksLike: "JNG"))
  }

  @Test("P54 a picture of one pixel by a hundred thousand goes through a crop and a square")
  func extremes() throws {
    let steps = Preprocessing(
      resize: .shortestEdge(224), crop: .init(width: 224, height: 224, rounding: .floor),
      normalization: .clip)
    for (width, height) in [(1, 100_000), (100_000, 1), (1, 1)] as [(Int, Int)] {
      let rows = [UInt8](repeating: 0, count: height * (width + 1))
      let image = try decode(
        PNGBuilder.file(
          PNGBuilder.header(UInt32(width), UInt32(height), color: 0), rows: rows))
      let tensor = try steps.apply(image, name: "long")
      #expect(tensor.values.count == 224 * 224 * 3)
      let padded = try steps.paddedWithMean().shape(image, name: "long")
      // The middle row or column of a hundred thousand is less than a hundredth of a sample.
      if max(width, height) > 1 { #expect(padded.pixel(0, 0) == [122, 116, 104]) }
    }
  }

  @Test("P64 chunk names are compared with their case")
  func foldedNames() {
    var png = PNGBuilder()
    png.add("IHDR", PNGBuilder.header(2, 2))
    png.add("idAT", PNGBuilder.zlib(PNGBuilder.colorRows))
    png.add("IEND")
    #expect(isCorrupt(png.bytes))
  }

  @Test("P65 many decode at once and agree")
  func concurrent() async throws {
    let bytes = try ImageFixtures.bytes(ImageFixtures.pngSuite + "/basi6a16.png")
    let first = try ImageDecoder.decode(bytes: bytes, name: "shared")
    let results = try await withThrowingTaskGroup(of: Image.self) { group in
      for _ in 0..<32 {
        group.addTask { try ImageDecoder.decode(bytes: bytes, name: "shared") }
      }
      return try await group.reduce(into: [Image]()) { $0.append($1) }
    }
    #expect(results.allSatisfy { $0 == first })
  }

  @Test(
    "P70 a flipped byte gives an image or an error",
    arguments: ["basi2c08", "tbbn3p08", "basn0g16"])
  func flips(_ name: String) throws {
    let bytes = try ImageFixtures.bytes(ImageFixtures.pngSuite + "/\(name).png")
    let size = try ImageDecoder.decodeSamples(bytes: bytes, name: name)
    let limits = ImageLimits(maximumPixels: 1 << 20)
    let seed = UInt64.random(in: 0 ... .max)
    print("seed \(seed)")
    var generator = SplitMix64(seed: seed)
    var refused = 0
    for offset in bytes.indices {
      var copy = bytes
      copy[offset] ^= UInt8.random(in: 1 ... .max, using: &generator)
      if let image = try? ImageDecoder.decode(bytes: copy, name: name, limits: limits) {
        #expect(image.pixels.count == image.width * image.height * 3)
      } else {
        refused += 1
      }
    }
    #expect(refused > 0 && size.width == 32)
  }

  /// A TIFF structure with nothing but an orientation.
  static func exif(_ orientation: UInt8, isLittle: Bool = true) -> [UInt8] {
    isLittle
      ? [0x49, 0x49, 42, 0, 8, 0, 0, 0, 1, 0, 0x12, 1, 3, 0, 1, 0, 0, 0, orientation, 0, 0, 0]
        + [0, 0, 0, 0]
      : [0x4D, 0x4D, 0, 42, 0, 0, 0, 8, 0, 1, 1, 0x12, 0, 3, 0, 0, 0, 1, 0, orientation, 0, 0]
        + [0, 0, 0, 0]
  }
}
