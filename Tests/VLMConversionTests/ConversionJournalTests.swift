import Testing
import VLMTensor

@testable import VLMConversion

/// What is believed of a journal.
struct ConversionJournalTests {
  private let records = (0..<3).map {
    ConversionJournal.Record(
      name: "layer.\($0).\"\u{1b}é", checksum: .max - UInt64($0), error: QuantizationError())
  }

  private var bytes: [UInt8] { ConversionJournal.content(of: records, fingerprint: "a") }

  @Test("what was written is read again")
  func roundTrip() {
    #expect(ConversionJournal.records(bytes, fingerprint: "a") == records)
  }

  @Test("another conversion's is not ours")
  func unused() {
    #expect(ConversionJournal.records(bytes, fingerprint: "b") == nil)
    #expect(ConversionJournal.records([], fingerprint: "a") == nil)
  }

  @Test("of one that was cut off anywhere the whole lines are believed")
  func cut() throws {
    let ends = bytes.indices.filter { bytes[$0] == UInt8(ascii: "\n") }
    try #require(ends.count == 4)
    for count in bytes.indices {
      let found = ConversionJournal.records(Array(bytes[..<count]), fingerprint: "a")
      // A line is whole without its end, too.
      let whole = ends.count { $0 <= count }
      #expect(found == (whole == 0 ? nil : Array(records.prefix(whole - 1))), "\(count) bytes")
    }
  }

  @Test("a line in which a bit is another ends what is believed")
  func flipped() {
    for index in bytes.indices {
      var damaged = bytes
      damaged[index] ^= 1
      let found = ConversionJournal.records(damaged, fingerprint: "a") ?? []
      #expect(found.count < records.count && found == Array(records.prefix(found.count)))
    }
  }

  @Test("checksums have 16 digits")
  func digits() {
    #expect(hexadecimalText(0) == "0000000000000000")
    #expect(hexadecimalText(.max) == "ffffffffffffffff")
    #expect(hexadecimalText(0xbeef) == "000000000000beef")
  }
}
