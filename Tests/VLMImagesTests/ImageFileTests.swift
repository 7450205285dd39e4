import Foundation
import Testing

@testable import VLMImages

@Suite("Image files")
struct ImageFileTests {
  private func status(_ path: String) -> Int32 {
    do throws(ImageError) {
      _ = try ImageDecoder.decode(path: path)
      return 0
    } catch {
      return error.exitStatus.rawValue
    }
  }

  @Test("P58 a directory, a device, a pipe nobody writes to and a missing file are refused")
  func irregular() throws {
    #expect(status("/") == 66)
    #expect(status("/dev/zero") == 66)
    #expect(status("/nowhere/at/all.png") == 66)
    let pipe = FileManager.default.temporaryDirectory.path + "/vlmz-pipe-\(UUID().uuidString)"
    try #require(mkfifo(pipe, 0o600) == 0)
    defer { unlink(pipe) }
    #expect(status(pipe) == 66)
  }

  @Test("P61 a name with control characters opens, and is escaped in messages")
  func names() throws {
    let path =
      FileManager.default.temporaryDirectory.path + "/vlmz-\(UUID().uuidString)-\u{1B}[31m\n.png"
    #expect(FileManager.default.createFile(atPath: path, contents: Data([1, 2, 3])))
    defer { unlink(path) }
    do throws(ImageError) {
      _ = try ImageDecoder.decode(path: path)
      Issue.record("decoded")
    } catch {
      #expect(error.problem == .unrecognized(looksLike: nil))
      #expect(!error.description.contains("\u{1B}") && !error.description.contains("\n"))
    }
  }

  @Test("P59 a stream is read to its end, and no further than the limit")
  func streams() throws {
    var ends: [Int32] = [0, 0]
    try #require(pipe(&ends) == 0)
    let written = PNGBuilder.color.withUnsafeBytes { write(ends[1], $0.baseAddress, $0.count) }
    close(ends[1])
    #expect(written == PNGBuilder.color.count)
    let file = try ImageFile.read(
      descriptor: ends[0], name: "stream", expected: 0, limits: ImageLimits(maximumFileBytes: 1000))
    #expect(Array(file.bytes) == PNGBuilder.color)
    close(ends[0])

    let zero = open("/dev/zero", O_RDONLY)
    defer { close(zero) }
    #expect(throws: ImageError(name: "zero", problem: .fileTooLarge(limit: 100_000))) {
      try ImageFile.read(
        descriptor: zero, name: "zero", expected: 0, limits: ImageLimits(maximumFileBytes: 100_000))
    }
    #expect(throws: ImageError(name: "empty", problem: .empty)) {
      try ImageDecoder.decode(bytes: [], name: "empty")
    }
  }
}
