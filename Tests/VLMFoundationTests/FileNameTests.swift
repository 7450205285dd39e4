import Testing
import VLMFoundation
import VLMTensor
import VLMTestSupport

#if canImport(Glibc)
  import Glibc
#endif

@Suite("Names of files")
struct FileNameTests {
  /// What is no UTF-8, and what stands for it.
  static let names: [[UInt8]] = [
    Array("plain.png".utf8), Array("déjà vu 馬.png".utf8), [0x6c, 0xe9, 0x2e, 0x6a], [0xff], [0x80],
    // Cut off, overlong, a surrogate, beyond the last character.
    [0x61, 0xc3], [0xe2, 0x82], [0xf0, 0x9f, 0x98], [0xc0, 0xaf], [0xed, 0xb3, 0xa9],
    [0xf4, 0x90, 0x80, 0x80],
    // U+10FFE9, which stands for a byte, and its neighbours.
    [0xf4, 0x8f, 0xbf, 0xa9], [0xf4, 0x8f, 0xbf, 0xbf], [0xf4, 0x8f, 0xbd, 0xbf],
    [0xf4, 0x8f, 0xbe, 0x80], [0xf4, 0x8f, 0xbf, 0xa9, 0xe9, 0xf4],
  ]

  @Test("a name has its bytes back, whatever they are, and is like no other")
  func roundTrip() {
    var seen = Set<ExactString>()
    for bytes in Self.names {
      let name = String(fileName: bytes)
      #expect(name.fileNameBytes == bytes)
      #expect(name.withFileName { String(fileName: $0) }.hasSameBytes(as: name))
      #expect(name.withFileName { strlen($0) } == bytes.count)
      #expect(seen.insert(ExactString(name)).inserted)
    }
    var state: UInt64 = 7
    for _ in 0..<2000 {
      let bytes = (0..<12).map { _ -> UInt8 in
        state = state &* 6_364_136_223_846_793_005 &+ 1
        // Bytes from which characters are made, most of the time.
        let byte = UInt8(truncatingIfNeeded: state >> 40)
        return byte % 3 == 0
          ? [0xf4, 0x8f, 0xbf, 0xa9, 0xe2, 0x41][Int(byte) / 3 % 6] : max(1, byte)
      }
      #expect(String(fileName: bytes).fileNameBytes == bytes)
    }
  }

  @Test("a name that is UTF-8 is that string, and a text has the replacement character")
  func plain() {
    #expect(String(fileName: Array("é馬".utf8)).hasSameBytes(as: "é馬"))
    #expect(String(fileName: [0x61, 0xe9, 0x62]).repairedText == "a\u{fffd}b")
    #expect("aéb".repairedText == "aéb")
    #expect(String(fileName: [0xf4, 0x8f, 0xbf, 0xa9]).repairedText == "\u{10ffe9}")
  }

  @Test("a name is shown, and pasted into a shell, byte by byte where it is no UTF-8")
  func shown() {
    let name = String(fileName: [0x61, 0xe9, 0x27, 0x0a])
    #expect(name.escapedForDisplay() == "a\\xE9'\\u{a}")
    #expect(name.quotedForShell == "$'a\\xe9\\'\\x0a'")
    #expect("it's".quotedForShell == "'it'\\''s'")
  }

  @Test("a path is split at its last slash, whatever combines with it")
  func split() {
    #expect("a/b".splitAtLastSlash == ("a/", "b"))
    #expect("b".splitAtLastSlash == ("", "b"))
    #expect("/".splitAtLastSlash == ("/", ""))
    #expect("a/\u{301}x".splitAtLastSlash.name.hasSameBytes(as: "\u{301}x"))
  }

  @Test("a file is written, found and read under a name that is no UTF-8")
  func file() throws {
    let folder = try TemporaryFolder()
    let name = String(fileName: [0x6f, 0x75, 0x74, 0xe9])
    let path = folder.path("") + "/" + name
    let output = try OutputFile(path: path, overwrite: false)
    try output.write([1, 2])
    try output.commit()
    #expect(FileSystem.names(in: folder.url.path)?.map(\.fileNameBytes) == [name.fileNameBytes])
    #expect(try MappedFile(path: path).count == 2)
    #expect(FileSystem.exists(path) && !FileSystem.isFolder(path))
    #expect(FileSystem.resolved(path)?.fileNameBytes.suffix(4) == [0x6f, 0x75, 0x74, 0xe9])
    FileSystem.unlink(path)
    #expect(!FileSystem.exists(path))
  }
}
