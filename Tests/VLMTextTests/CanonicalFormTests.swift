import Foundation
import Testing
import VLMTestSupport

@testable import VLMText

/// NFC and NFD, compared with Python's `unicodedata`.
@Suite("Normal forms")
struct CanonicalFormTests {
  private struct Row {
    let text: [UInt8]
    let composed: [UInt8]
    let decomposed: [UInt8]
  }

  private static func rows() throws -> [Row] {
    let file = String(
      decoding: try TokenizerFixtures.bytes(TokenizerFixtures.own("normal-forms.txt")),
      as: UTF8.self)
    return try file.split(separator: "\n").map { line in
      let fields = line.split(separator: ";").map { field in
        let scalars = field.split(separator: " ").compactMap { UInt32($0, radix: 16) }
          .compactMap(Unicode.Scalar.init)
        return Array(String(String.UnicodeScalarView(scalars)).utf8)
      }
      try #require(fields.count == 3)
      return Row(text: fields[0], composed: fields[1], decomposed: fields[2])
    }
  }

  @Test("letters and marks are joined and taken apart as upstream does")
  func forms() throws {
    let rows = try Self.rows()
    #expect(rows.count > 1000)
    for row in rows {
      let name = String(decoding: row.text, as: UTF8.self).debugDescription
      #expect(CanonicalForm.composed(row.text) == row.composed, "\(name)")
      #expect(CanonicalForm.decomposed(row.text) == row.decomposed, "\(name)")
      #expect(CanonicalForm.composed(row.decomposed) == row.composed, "\(name)")
      #expect(CanonicalForm.decomposed(row.composed) == row.decomposed, "\(name)")
    }
  }

  @Test("a hundred thousand marks on one letter are sorted in time that grows with their number")
  func manyMarks() {
    let marks = (0..<50_000).map { _ in "\u{301}\u{323}" }.joined()
    let composed = CanonicalForm.composed(Array(("a" + marks).utf8))
    #expect(composed.starts(with: "\u{1ea1}\u{323}".utf8))
    #expect(composed.count == 3 + 2 * 99_999)
  }
}
