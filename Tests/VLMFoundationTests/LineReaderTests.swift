import Foundation
import Testing
import VLMFoundation
import VLMTestSupport

@Suite("Lines of a stream")
struct LineReaderTests {
  private func lines(
    _ text: String, separator: UInt8 = 0x0a, limit: Int = 100
  ) throws -> [LineReader.Line] {
    let folder = try TemporaryFolder()
    let path = try folder.write("lines", Array(text.utf8))
    var reader = LineReader(try ByteStream(path: path), separator: separator, limit: limit)
    var lines: [LineReader.Line] = []
    while let line = try reader.next() { lines.append(line) }
    return lines
  }

  private func line(_ text: String) -> LineReader.Line { .line(Array(text.utf8)) }

  @Test("lines end in a line feed, with or without a carriage return, and the last in nothing")
  func endings() throws {
    #expect(try lines("a\r\n\n b\r\nc\rd") == ["a", "", " b", "c\rd"].map { line($0) })
    #expect(try lines("") == [])
    #expect(try lines("a\n") == [line("a")])
    #expect(try lines("a\r\n\0b\0\0", separator: 0) == ["a\r\n", "b", ""].map { line($0) })
    let mark = "\u{feff}"
    #expect(try lines(mark + "a\n\(mark)b") == [line("a"), line(mark + "b")])
    #expect(try lines(mark + "a\0", separator: 0) == [line(mark + "a")])
  }

  @Test("a line beyond the limit is one record, wherever it ends, and the next is read")
  func limit() throws {
    let long = String(repeating: "x", count: 300_000)
    #expect(try lines("a\n\(long)\nb\n") == [line("a"), .tooLong, line("b")])
    #expect(try lines(long) == [.tooLong])
    #expect(try lines("12345\n123456\n", limit: 5) == [line("12345"), .tooLong])
    #expect(try lines("\(long)\n", limit: 300_000) == [line(long)])
  }

  @Test("what comes in pieces is whole, and waiting is told")
  func pieces() throws {
    let pipe = Pipe()
    let stream = ByteStream(
      descriptor: pipe.fileHandleForReading.fileDescriptor, name: "pipe")
    var reader = LineReader(stream, limit: 10)
    var waits = 0
    pipe.fileHandleForWriting.write(Data("ab".utf8))
    let first = try reader.next {
      waits += 1
      pipe.fileHandleForWriting.write(Data("c\nd".utf8))
    }
    #expect(first == line("abc"))
    #expect(waits == 1)
    try pipe.fileHandleForWriting.close()
    #expect(try reader.next() == line("d"))
    #expect(try reader.next() == nil)
  }

  @Test("all of a stream is taken up to a limit")
  func all() throws {
    let folder = try TemporaryFolder()
    let path = try folder.write("all", [UInt8](repeating: 7, count: 200_000))
    let whole = try ByteStream(path: path).takeAll(limit: 200_000)
    #expect(whole?.count == 200_000)
    #expect(try ByteStream(path: path).takeAll(limit: 199_999) == nil)
    let missing = thrownError(FileError.self) { try ByteStream(path: folder.path("missing")) }
    #expect(missing?.exitStatus == .noInput)
  }
}
