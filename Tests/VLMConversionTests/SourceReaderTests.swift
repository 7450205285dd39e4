import Foundation
import Testing
import VLMContainer
import VLMFoundation
import VLMTestSupport

@testable import VLMConversion

@Suite("Reading ahead")
struct SourceReaderTests {
  /// Bytes of a mapped file that count as this process's, by what the system says of its mappings.
  private func residentBytes(of path: String) throws -> Int {
    let handle = try #require(FileHandle(forReadingAtPath: "/proc/self/smaps"))
    let text = String(decoding: try handle.readToEnd() ?? Data(), as: UTF8.self)
    var (isFile, mappings, sum) = (false, 0, 0)
    for line in text.split(separator: "\n") {
      let words = line.split(separator: " ")
      if words[0].contains("-") {
        isFile = line.hasSuffix(path)
        mappings += isFile ? 1 : 0
      }
      if isFile, words[0] == "Rss:" { sum += (Int(words[1]) ?? 0) << 10 }
    }
    try #require(mappings > 0)
    return sum
  }

  @Test("what is read after it was let go does not stay in memory", arguments: [false, true])
  func letsGo(isReadFirst: Bool) throws {
    let path = NSTemporaryDirectory() + "vlmz-reader-\(UUID().uuidString)"
    defer { try? FileManager.default.removeItem(atPath: path) }
    let (piece, count) = (4 << 20, 8)
    let content = [UInt8](repeating: 7, count: piece * count)
    try Data(content).write(to: URL(fileURLWithPath: path))
    let file = try MappedFile(path: path)
    let reader = SourceReader([file])
    var digests: [String: UInt64] = [:]
    for index in 0..<count {
      // Not at the ends of pages or of what is hashed at a time.
      let range = index * piece..<min((index + 1) * piece + 1000, content.count)
      if isReadFirst { try reader.request(range, of: file) }
      file.withBytes(range) { #expect($0.last == 7) }
      reader.release(range, of: file)
      if !isReadFirst { try reader.request(range, of: file) }
    }
    digests = try reader.finish()
    #expect(digests[path] == XXH64.hash(content))
    // The last page, and what the system maps around it.
    let resident = try withExtendedLifetime(file) { try residentBytes(of: path) }
    #expect(resident <= 1 << 20)
  }
}
