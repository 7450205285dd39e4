import Foundation
import Testing

@testable import VLMImages

@Suite("PngSuite")
struct PNGSuiteTests {
  struct Case: Sendable, CustomTestStringConvertible {
    let file: String
    /// nil: to be refused.
    let crc: UInt32?
    var testDescription: String { file }
  }

  /// `crcs.txt` lists one file more than the suite has.
  static let cases: [Case] = {
    guard let bytes = try? ImageFixtures.bytes(ImageFixtures.pngSuite + "/crcs.txt") else {
      return []
    }
    return String(decoding: bytes, as: UTF8.self).split(separator: "\n").compactMap { line in
      let parts = line.split(separator: ":")
      guard parts.count == 2, let file = parts[0].split(separator: "/").last else { return nil }
      guard
        FileManager.default.fileExists(atPath: ImageFixtures.pngSuite + "/" + String(file))
      else { return nil }
      let crc = UInt32(parts[1].trimmingCharacters(in: .whitespaces))
      return Case(file: String(file), crc: crc)
    }
  }()

  @Test("the list names 161 good files and 14 corrupt ones")
  func list() {
    #expect(Self.cases.count == 175)
    #expect(Self.cases.filter { $0.crc == nil }.count == 14)
  }

  @Test("every good file has the listed CRC, every corrupt one is refused", arguments: cases)
  func decodes(_ item: Case) throws {
    let bytes = try ImageFixtures.bytes(ImageFixtures.pngSuite + "/" + item.file)
    guard let crc = item.crc else {
      #expect(throws: ImageError.self) { try ImageDecoder.decode(bytes: bytes, name: item.file) }
      return
    }
    let decoded = try ImageDecoder.decodeSamples(bytes: bytes, name: item.file)
    // The list is of 8-bit samples; of 16-bit ones it has the upper bytes.
    let samples: [UInt8] =
      switch decoded.samples {
      case .eight(let bytes): bytes
      case .sixteen(let words): words.map { UInt8($0 >> 8) }
      }
    #expect(PNGBuilder.crc32(samples) == crc)
  }

  private static let interlacedFiles = cases.map(\.file).filter { $0.hasPrefix("basi") }

  @Test(
    "interlaced files equal their plain twins to the last bit of 16",
    arguments: interlacedFiles)
  func interlaced(_ file: String) throws {
    let twin = "basn" + file.dropFirst(4)
    let a = try ImageDecoder.decodeSamples(
      bytes: try ImageFixtures.bytes(ImageFixtures.pngSuite + "/" + file), name: file)
    let b = try ImageDecoder.decodeSamples(
      bytes: try ImageFixtures.bytes(ImageFixtures.pngSuite + "/" + twin), name: twin)
    #expect(a == b)
  }
}
