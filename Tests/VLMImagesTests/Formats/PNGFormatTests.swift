import Foundation
import Testing
import VLMFoundation

@testable import VLMImages

/// Every filter, interlacing and bit depth, and the chunks that are ignored.
@Suite("PNG formats")
struct PNGFormatTests {
  private func decode(_ bytes: [UInt8], policy: DecodePolicy = .pillow) throws -> Image {
    try ImageDecoder.decode(bytes: bytes, name: "case.png", policy: policy)
  }

  private func isRefused(_ bytes: [UInt8]) -> Bool {
    do { _ = try ImageDecoder.decode(bytes: bytes, name: "case.png") } catch { return true }
    return false
  }

  /// Bytes without a pattern.
  private func noise(_ count: Int, seed: UInt64) -> [UInt8] {
    var generator = SplitMix64(seed: seed)
    return (0..<count).map { _ in UInt8.random(in: 0 ... .max, using: &generator) }
  }

  /// Decodes filtered rows with the formulas of the specification.
  private func unfiltered(_ rows: [[UInt8]], _ filter: UInt8, step: Int) -> [[UInt8]] {
    var result: [[UInt8]] = []
    for row in rows {
      var out = row
      let above = result.last
      for index in out.indices {
        let a = index >= step ? Int(out[index - step]) : 0
        let b = above.map { Int($0[index]) } ?? 0
        let c = index >= step ? above.map { Int($0[index - step]) } ?? 0 : 0
        let predicted: Int
        switch filter {
        case 1: predicted = a
        case 2: predicted = b
        case 3: predicted = (a + b) / 2
        case 4:
          let p = a + b - c
          let (pa, pb, pc) = (abs(p - a), abs(p - b), abs(p - c))
          predicted = pa <= pb && pa <= pc ? a : pb <= pc ? b : c
        default: predicted = 0
        }
        out[index] = row[index] &+ UInt8(predicted)
      }
      result.append(out)
    }
    return result
  }

  @Test("P08 sizes whose rows overflow are refused by their numbers")
  func overflow() {
    let sides: [(UInt32, UInt32)] = [
      (0x1000_0001, 0x10), (0x7fff_ffff, 0x7fff_ffff), (0x2000_0000, 1), (0x4000_0001, 4),
    ]
    for (width, height) in sides {
      for color: UInt8 in [0, 2, 6] {
        let header = PNGBuilder.header(width, height, depth: 16, color: color)
        #expect(isRefused(PNGBuilder.file(header, rows: [0])))
      }
    }
  }

  @Test("P31 every filter, on the first row and on rows of one pixel", arguments: UInt8(0)...4)
  func filters(_ filter: UInt8) throws {
    for width in [1, 2, 5, 17] {
      for (color, step) in [(UInt8(0), 1), (2, 3), (6, 4)] {
        let filtered = (0..<3).map { noise(width * step, seed: UInt64($0 + 1)) }
        let file = PNGBuilder.file(
          PNGBuilder.header(UInt32(width), 3, color: color),
          rows: filtered.flatMap { [filter] + $0 })
        let rows = unfiltered(filtered, filter, step: step)
        let expected: [UInt8] = rows.flatMap { row in
          stride(from: 0, to: row.count, by: step).flatMap { start -> [UInt8] in
            step == 1 ? [row[start], row[start], row[start]] : Array(row[start..<start + 3])
          }
        }
        #expect(try decode(file).pixels == expected, "\(width) pixels of colour type \(color)")
      }
    }
  }

  private static let passes = [
    (0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2),
    (0, 1, 1, 2),
  ]

  /// The rows of the seven passes of a grey picture, empty passes left out.
  private func interlaced(_ pixels: [UInt8], width: Int, height: Int) -> [UInt8] {
    var rows: [UInt8] = []
    for (x, y, dx, dy) in Self.passes where x < width {
      for row in stride(from: y, to: height, by: dy) {
        rows.append(0)
        rows += stride(from: x, to: width, by: dx).map { pixels[row * width + $0] }
      }
    }
    return rows
  }

  @Test("P32 interlacing at every size from 1 by 1 to 8 by 8, empty passes and all")
  func adam7() throws {
    for width in 1...8 {
      for height in 1...8 {
        let pixels = noise(width * height, seed: UInt64(width * 8 + height))
        let header = PNGBuilder.header(UInt32(width), UInt32(height), color: 0, interlace: 1)
        let rows = interlaced(pixels, width: width, height: height)
        let image = try decode(PNGBuilder.file(header, rows: rows))
        #expect(image.pixels == pixels.flatMap { [$0, $0, $0] }, "\(width) by \(height)")
      }
    }
  }

  @Test("P33 interlaced pixels that end in any pass are refused")
  func cutPasses() {
    let pixels = noise(64, seed: 3)
    let rows = interlaced(pixels, width: 8, height: 8)
    for count in 0..<rows.count {
      let file = PNGBuilder.file(
        PNGBuilder.header(8, 8, color: 0, interlace: 1), rows: Array(rows.prefix(count)))
      #expect(isRefused(file), "\(count) bytes")
    }
  }

  @Test("P67 an interlaced row of 65,536 pixels of 64 bits decodes")
  func wideRow() throws {
    let width = 65_536
    var rows: [UInt8] = []
    for (x, y, dx, _) in Self.passes where y == 0 {
      let count = (width - x + dx - 1) / dx
      rows += [0] + [UInt8](repeating: 0xff, count: count * 8)
    }
    let header = PNGBuilder.header(UInt32(width), 1, depth: 16, color: 6, interlace: 1)
    let image = try decode(PNGBuilder.file(header, rows: rows), policy: .seen(background: .white))
    #expect(image.width == width && image.height == 1)
    #expect(image.pixels.allSatisfy { $0 == 0xff })
  }

  @Test("P60 a file that is longer or shorter than it was when opened is refused")
  func changed() throws {
    // Its size is 0 by what the system says, and its content is not.
    let path = "/proc/self/status"
    do throws(ImageError) {
      _ = try ImageFile.read(path: path, limits: ImageLimits())
      Issue.record("read")
    } catch {
      #expect(error.problem == .file(FileError(path: path, problem: .changed)))
      #expect(error.exitStatus == .ioError)
    }
  }

  @Test("P40 16-bit samples become 8 bits by the rule of each policy")
  func sixteenBits() throws {
    let samples: [UInt16] = [0, 0x7f, 0x80, 0xff, 0x100, 0x7fff, 0x8080, 0xfe7f, 0xff7f, 0xffff]
    let triples =
      [UInt8(0)]
      + samples.flatMap { value -> [UInt8] in
        let pair = [UInt8(value >> 8), UInt8(value & 255)]
        return pair + pair + pair
      }
    let file = PNGBuilder.file(
      PNGBuilder.header(UInt32(samples.count), 1, depth: 16, color: 2), rows: triples)
    let seen = try decode(file, policy: .seen(background: .white)).pixels
    let expected = samples.flatMap { value -> [UInt8] in
      let scaled = UInt8((Int(value) * 255 + 32_767) / 65_535)
      return [scaled, scaled, scaled]
    }
    #expect(seen == expected)
    // Pillow keeps the upper byte of colours.
    let upper = samples.flatMap { [UInt8](repeating: UInt8($0 >> 8), count: 3) }
    #expect(try decode(file).pixels == upper)
  }

  @Test("P42 alpha goes over the background, or is dropped, by the policy")
  func alpha() throws {
    let file = PNGBuilder.file(
      PNGBuilder.header(3, 1, color: 6),
      rows: [0, 200, 100, 0, 255, 200, 100, 0, 0, 200, 100, 0, 51])
    #expect(try decode(file).pixels == [200, 100, 0, 200, 100, 0, 200, 100, 0])
    let white = try decode(file, policy: .seen(background: .white)).pixels
    #expect(white == [200, 100, 0, 255, 255, 255, 244, 224, 204])
    let black = try decode(file, policy: .seen(background: RGB(0, 0, 0))).pixels
    #expect(black == [200, 100, 0, 0, 0, 0, 40, 20, 0])
  }

  @Test("P43 P46 P69 gamma, colour spaces, texts and backgrounds leave the pixels alone")
  func ignored() throws {
    let plain = try decode(PNGBuilder.color).pixels
    let chunks: [(String, [UInt8])] = [
      ("gAMA", [0, 0, 0, 1]), ("sRGB", [3]), ("cHRM", [UInt8](repeating: 0, count: 32)),
      ("iCCP", Array("x\0\0junk".utf8)), ("cICP", [9, 16, 0, 1]),
      ("tEXt", Array("Title\0\u{1b}[31mred\u{1b}]0;title\u{7}".utf8)),
      ("bKGD", [0, 9, 0, 9, 0, 9]), ("bKGD", [200]),
    ]
    for chunk in chunks {
      for policy in [DecodePolicy.pillow, .seen(background: .white)] {
        let file = PNGBuilder.file(
          PNGBuilder.header(2, 2), rows: PNGBuilder.colorRows, before: [chunk])
        #expect(try decode(file, policy: policy).pixels == plain, "\(chunk.0)")
      }
    }
    // An index that the palette does not have, as background.
    let indexed = PNGBuilder.file(
      PNGBuilder.header(1, 1, color: 3), rows: [0, 0],
      before: [("PLTE", [9, 8, 7]), ("bKGD", [200])])
    #expect(try decode(indexed).pixels == [9, 8, 7])
  }
}
