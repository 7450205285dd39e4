import VLMContainer
import VLMFoundation
import VLMTensor

/// A record of the tensors in an unfinished container: a line that identifies the conversion, then a
/// line for each tensor.
///
/// Each line is the XXH64 of the rest, a space, and JSON. Reading stops at a line that is cut off or
/// altered. The bytes of the tensors are checked separately, against their checksums.
package struct ConversionJournal {
  /// A tensor that was written whole.
  package struct Record: Equatable {
    let name: String
    let checksum: UInt64
    let error: QuantizationError
  }

  private let file: JournalFile
  private let fingerprint: String
  /// Records of an earlier process about the same conversion, in its order.
  let earlier: [Record]
  /// Whether there was a journal, but of another conversion.
  let isOfAnotherConversion: Bool

  static let suffix = ".journal"
  private static let marker = Array("vlm-convert journal 1\n".utf8)

  /// - Parameters:
  ///   - partial: the path of the unfinished container.
  ///   - fingerprint: what decides the bytes of the container: source, flags, version.
  ///   - keeping: read what is there, and leave the journal when the conversion is broken off.
  init(partial: String, fingerprint: String, keeping: Bool) throws(FileError) {
    file = try JournalFile(path: partial + Self.suffix, marker: Self.marker, keeping: keeping)
    self.fingerprint = fingerprint
    let records = Self.records(file.earlier, fingerprint: fingerprint)
    isOfAnotherConversion = !file.earlier.isEmpty && records == nil
    earlier = records ?? []
  }

  /// Whether an unfinished container at `partial` has a journal beside it, and so is one of ours.
  static func exists(partial: String) -> Bool {
    JournalFile.exists(at: partial + suffix, marker: marker)
  }

  /// The tensors that a journal lists, up to the first damaged line; nil where it belongs to another
  /// conversion.
  ///
  /// - Parameter bytes: untrusted, without the marker.
  package static func records(_ bytes: [UInt8], fingerprint: String) -> [Record]? {
    let lines = Self.lines(bytes)
    guard lines.first?["fingerprint"]?.stringValue == fingerprint else { return nil }
    var records: [Record] = []
    for line in lines.dropFirst() {
      guard let record = Record(line) else { break }
      records.append(record)
    }
    return records
  }

  /// The bytes that `records` reads.
  package static func content(of records: [Record], fingerprint: String) -> [UInt8] {
    let head: JSONValue = [
      "tool": .string("vlm-convert " + ConversionReport.toolVersion),
      "fingerprint": .string(fingerprint),
    ]
    return line(head) + records.flatMap { line($0.json) }
  }

  /// The XXH64 that begins a line with `text`, and the space behind it.
  package static func prefix(of text: [UInt8]) -> [UInt8] {
    Array((hexadecimalText(XXH64.hash(text)) + " ").utf8)
  }

  /// Begins the journal anew, with the first `count` of the earlier records.
  func restart(keeping count: Int) throws(FileError) {
    try file.rewrite(
      Self.content(of: Array(earlier.prefix(count)), fingerprint: fingerprint))
  }

  func append(_ record: Record) throws(FileError) { try file.append(Self.line(record.json)) }

  /// Removes the journal.
  func remove() { file.remove() }

  private static func line(_ json: JSONValue) -> [UInt8] {
    let text = Array(json.serialized().utf8)
    return prefix(of: text) + text + [UInt8(ascii: "\n")]
  }

  /// The lines that are whole.
  private static func lines(_ bytes: [UInt8]) -> [JSONValue] {
    var result: [JSONValue] = []
    for line in bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false) {
      guard line.count > 17 else { break }
      let text = Array(line.dropFirst(17))
      guard line.prefix(17).elementsEqual(prefix(of: text)), let json = try? JSONValue.parse(text)
      else { break }
      result.append(json)
    }
    return result
  }
}

extension ConversionJournal.Record {
  var json: JSONValue {
    [
      "name": .string(name), "checksum": .string(hexadecimalText(checksum)),
      "error": .array(error.bits.map { .string(hexadecimalText($0)) }),
    ]
  }

  init?(_ json: JSONValue) {
    guard let name = json["name"]?.stringValue,
      let checksum = json["checksum"]?.stringValue.flatMap({ UInt64($0, radix: 16) }),
      let words = json["error"]?.arrayValue
    else { return nil }
    let bits = words.compactMap { $0.stringValue.flatMap { UInt64($0, radix: 16) } }
    guard bits.count == words.count, let error = QuantizationError(bits: bits) else { return nil }
    self.init(name: name, checksum: checksum, error: error)
  }
}

/// 16 hexadecimal digits.
package func hexadecimalText(_ value: UInt64) -> String {
  let digits = String(value, radix: 16)
  return String(repeating: "0", count: 16 - digits.count) + digits
}
