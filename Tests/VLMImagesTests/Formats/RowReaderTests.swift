import Foundation
import Testing

@testable import VLMImages

/// Images read in pieces.
@Suite("Row readers")
struct RowReaderTests {
  static let files: [String] = {
    let folder = ImageFixtures.pngSuite
    let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
    return names.filter { $0.hasSuffix(".png") && !$0.hasPrefix("x") }.sorted()
  }()

  private func reader(_ bytes: [UInt8]) throws(ImageError) -> any RowReader {
    let file = try PixelBuffer(byteCount: bytes.count, for: "case")
    file.bytes.copyBytes(from: bytes)
    return try RowReaders.open(file, name: "case", limits: ImageLimits())
  }

  private func bytes(_ image: DecodedImage) -> [UInt8] {
    switch image.samples {
    case .eight(let bytes): bytes
    case .sixteen(let words): words.withUnsafeBytes { Array($0) }
    }
  }

  @Test("rows that are read a few at a time are those of the whole picture", arguments: files)
  func pieces(_ name: String) throws {
    let file = try ImageFixtures.bytes(ImageFixtures.pngSuite + "/" + name)
    let whole = try ImageDecoder.decodeSamples(bytes: file, name: name)
    for step in [1, 3, 64] {
      let reader = try reader(file)
      let header = reader.header
      #expect(header.width == whole.width && header.height == whole.height)
      var found: [UInt8] = []
      while found.count < header.height * header.rowBytes {
        let rows = min(step, header.height - found.count / header.rowBytes)
        let buffer = try PixelBuffer(byteCount: rows * header.rowBytes, for: name)
        try reader.read(rows: rows, into: buffer.bytes)
        found += buffer.bytes
      }
      try reader.finish()
      #expect(found == bytes(whole), "\(step) rows at a time")
    }
  }

  @Test("a picture whose rows were not all read is not finished")
  func unread() throws {
    let reader = try reader(PNGBuilder.color)
    let buffer = try PixelBuffer(byteCount: reader.header.rowBytes, for: "case")
    try reader.read(rows: 1, into: buffer.bytes)
    #expect(
      throws: ImageError(name: "case", problem: .corrupt(.png, "rows were left out"))
    ) { try reader.finish() }
  }

  @Test("an interlaced picture is held as its file has it, others not at all")
  func workingBytes() throws {
    // 4096 by 4096 of one bit: 2 MB of rows.
    let rows = [UInt8](repeating: 0, count: 4096 * 513)
    let plain = try reader(
      PNGBuilder.file(PNGBuilder.header(4096, 4096, depth: 1, color: 0), rows: rows))
    #expect(plain.workingBytes < 1 << 17)
    let interlaced = try reader(
      PNGBuilder.file(
        PNGBuilder.header(4096, 4096, depth: 1, color: 0, interlace: 1), rows: rows))
    #expect((1 << 21..<1 << 22).contains(interlaced.workingBytes))
  }
}
