import VLMConversion
import VLMTensor

enum JournalTarget {
  private static let fingerprint = "fuzzed"

  /// The journal of an unfinished conversion; each line also with the checksum that belongs to it.
  static func run(_ bytes: UnsafeRawBufferPointer) {
    read(Array(bytes))
    var repaired: [UInt8] = []
    for line in bytes.split(separator: UInt8(ascii: "\n")) where line.count > 17 {
      let text = Array(line.dropFirst(17))
      repaired += ConversionJournal.prefix(of: text) + text + [UInt8(ascii: "\n")]
    }
    read(repaired)
  }

  private static func read(_ bytes: [UInt8]) {
    guard let records = ConversionJournal.records(bytes, fingerprint: fingerprint) else { return }
    let content = ConversionJournal.content(of: records, fingerprint: fingerprint)
    let again = ConversionJournal.records(content, fingerprint: fingerprint)
    precondition(again == records, "a journal survives being written")
    precondition(records.count <= bytes.count / 18, "a record takes a line")
  }
}
