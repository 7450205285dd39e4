import Foundation
import Testing
import VLMFoundation
import VLMTestSupport

@testable import VLMText

/// The section of a container: round trips and refusals.
@Suite("Tokenizer section")
struct TokenizerSectionTests {
  static let folder = TestFiles.root.appendingPathComponent("formats/golden/tokenizer").path

  static func names(_ kind: String) -> [String] {
    let files = try? FileManager.default.contentsOfDirectory(atPath: "\(folder)/\(kind)")
    return (files ?? []).sorted()
  }

  static let accepted = names("accept")
  static let refused = names("reject")

  @Test("every golden that keeps the rules is read", arguments: accepted)
  func accept(_ name: String) throws {
    let bytes = try TokenizerFixtures.bytes("\(Self.folder)/accept/\(name)")
    let tokenizer = try Tokenizer(container: bytes, file: name)
    #expect(tokenizer.serialized() == bytes)
    // Nothing crashes, whatever the vocabulary.
    #expect(tokenizer.decode(Array(-1...tokenizer.count)).utf8.count >= 0)
    #expect(try tokenizer.encode("a b\u{e9} <s>").allSatisfy { (0..<tokenizer.count).contains($0) })
  }

  @Test("every golden that breaks a rule is refused", arguments: refused)
  func reject(_ name: String) throws {
    let bytes = try TokenizerFixtures.bytes("\(Self.folder)/reject/\(name)")
    let error = thrownError(TextError.self) { try Tokenizer(container: bytes, file: "m.vlmz") }
    #expect(try #require(error).description.hasPrefix("m.vlmz: "))
  }

  @Test("the goldens are there")
  func count() {
    #expect(Self.accepted.count == 11)
    #expect(Self.refused.count == 41)
  }

  @Test("a tokenizer that was stored encodes and decodes as before")
  func roundTrip() throws {
    let text = "USER: <s> a\u{301} 日本語 🌋 12 \n  x"
    for tokenizer in [
      try TokenizerFixtures.spmSmall(.firstSegment), try TokenizerFixtures.byteLevelSmall(),
    ] {
      let bytes = tokenizer.serialized()
      let read = try Tokenizer(container: bytes, file: "m.vlmz")
      #expect(read.serialized() == bytes)
      let ids = try tokenizer.encode(text)
      #expect(try read.encode(text) == ids)
      #expect(read.decode(ids) == tokenizer.decode(ids))
      #expect(read.bos == tokenizer.bos)
      #expect(read.prefix == tokenizer.prefix)
    }
  }

  @Test("no cut and no flipped bit of a section traps")
  func damage() throws {
    let bytes = try TokenizerFixtures.bytes("\(Self.folder)/accept/scores.bin")
    for count in 0..<bytes.count {
      #expect(throws: TextError.self) {
        try Tokenizer(container: Array(bytes[..<count]), file: "m")
      }
    }
    var read = 0
    for index in bytes.indices {
      for bit in 0..<8 {
        var damaged = bytes
        damaged[index] ^= 1 << bit
        guard let tokenizer = try? Tokenizer(container: damaged, file: "m") else { continue }
        read += 1
        #expect(try tokenizer.decode(tokenizer.encode("a b ab <s>")).utf8.count < 100)
      }
    }
    // Scores, letters, kinds and ids may be others; sizes and ends may not.
    #expect(read > 100)
  }

  @Test("thousands of equal pieces cost no more than different ones")
  func equalPieces() {
    var parts = TokenizerParts(.characterMerges)
    for _ in 0..<20_000 { parts.append("same".utf8, .normal) }
    #expect((try? Tokenizer(parts, file: "m"))?.id(of: "same") == 0)
  }
}
