import VLMTensor

/// The section table, at the end of the file.
enum SectionTable {
  static func encode(_ sections: [SectionEntry]) -> [UInt8] {
    var bytes: [UInt8] = []
    for section in sections {
      bytes.append(little: section.kind.rawValue)
      bytes.append(little: section.flags.rawValue)
      bytes.append(little: section.codecCode)
      bytes.append(little: UInt32(0))
      bytes.append(little: UInt64(section.range.lowerBound))
      bytes.append(little: UInt64(section.range.count))
      bytes.append(little: UInt64(section.rawByteCount))
      bytes.append(little: section.storedHash)
      bytes.append(little: section.rawHash)
      bytes.append(little: UInt64(0))
    }
    return bytes
  }

  /// SHA-256 over the decoded sections, independent of their codecs and offsets.
  static func rootHash(_ sections: [SectionEntry]) -> [UInt8] {
    var bytes = Array("vlmz root 1\n".utf8)
    for section in sections {
      bytes.append(little: section.kind.rawValue)
      bytes.append(little: UInt64(section.rawByteCount))
      bytes.append(little: section.rawHash)
    }
    return SHA256.hash(bytes)
  }

  /// Reads and validates the table of `file` with `header`, and the padding between sections.
  static func decode(
    _ file: UnsafeRawBufferPointer, header: Header, path: String
  ) throws(ContainerError) -> [SectionEntry] {
    let table = file.slice(header.tableOffset..<file.count)
    let hash = XXH64.hash(table)
    guard hash == header.tableHash else {
      throw ContainerError(
        path: path, place: .table, problem: .hash(.r11, found: hash, expected: header.tableHash))
    }
    var sections: [SectionEntry] = []
    var end = Format.headerSize
    for index in 0..<header.sectionCount {
      let start = index * Format.tableEntrySize
      let entry = table.slice(start..<start + Format.tableEntrySize)
      let section = try decodeEntry(
        entry, index: index, after: (sections.last?.kind.rawValue ?? 0, end),
        limit: header.tableOffset, path: path)
      end = section.range.upperBound
      sections.append(section)
    }
    try checkWhole(file, sections: sections, header: header, path: path)
    return sections
  }

  private static func decodeEntry(
    _ entry: UnsafeRawBufferPointer, index: Int, after previous: (code: UInt32, end: Int),
    limit: Int, path: String
  ) throws(ContainerError) -> SectionEntry {
    let code: UInt32 = entry.little(0)
    let kind = SectionKind(rawValue: code)
    func fail(_ problem: ContainerError.Problem) -> ContainerError {
      ContainerError(path: path, place: .section(index, kind.description), problem: problem)
    }
    func fail(_ rule: Rule, _ field: String, _ found: String, _ expected: String) -> ContainerError
    {
      fail(.value(rule, field: field, found: found, expected: expected))
    }
    guard code > previous.code else {
      throw fail(.r12, "kind", "\(code)", "more than \(previous.code)")
    }
    let flags = SectionFlags(rawValue: entry.little(4))
    guard kind.isKnown || !flags.contains(.required) else {
      throw fail(.broken(.r13, "is required and this build does not know it; update vlm-run"))
    }
    guard kind.isKnown ? flags == kind.flags : flags.isSubset(of: .known) else {
      let expected = kind.isKnown ? "\(kind.flags.rawValue)" : "no bits but 0 and 1"
      throw fail(.r14, "flags", "\(flags.rawValue)", expected)
    }
    guard entry.little(12, as: UInt32.self) == 0, entry.little(56, as: UInt64.self) == 0 else {
      throw fail(.broken(.r15, "reserved fields are not zero"))
    }

    let offset: UInt64 = entry.little(16)
    let alignment = kind.alignment
    guard let expected = Format.aligned(previous.end, to: alignment), offset == UInt64(expected)
    else {
      throw fail(.broken(.r16, misplacement(offset, after: previous.end, alignment: alignment)))
    }
    let size: UInt64 = entry.little(24)
    let (sum, overflow) = offset.addingReportingOverflow(size)
    guard size > 0, !overflow, sum <= UInt64(limit) else {
      throw fail(
        .r17, "stored size", "\(size)",
        "1 to \(max(limit - expected, 0)), the bytes before the section table")
    }

    let stated: UInt64 = entry.little(32)
    guard let rawSize = Int(exactly: stated) else {
      throw fail(.r22, "raw size", "\(stated)", "less than 2^63")
    }
    let section = SectionEntry(
      kind: kind, flags: flags, codecCode: entry.little(8),
      range: expected..<expected + Int(size), rawByteCount: rawSize,
      storedHash: entry.little(40), rawHash: entry.little(48))
    guard kind.isKnown else { return section }
    guard let codec = section.codec, codec == .raw || kind.mayCompress else {
      throw fail(.r20, "codec", "\(section.codecCode)", kind.mayCompress ? "0 or 1" : "0")
    }
    if codec == .raw {
      guard UInt64(rawSize) == size else {
        throw fail(.r21, "raw size", "\(rawSize)", "\(size), as it is stored raw")
      }
      guard section.rawHash == section.storedHash else {
        throw fail(.hash(.r21, found: section.rawHash, expected: section.storedHash))
      }
    }
    guard kind == .tensorData || (1...Format.maximumSectionSize).contains(rawSize)
    else {
      throw fail(.r22, "raw size", "\(rawSize)", "1 to \(Format.maximumSectionSize)")
    }
    return section
  }

  /// Describes how `offset` differs from the aligned end of the previous section.
  static func misplacement(_ offset: UInt64, after end: Int, alignment: Int) -> String {
    if offset % UInt64(alignment) != 0 {
      return "offset \(offset) is not a multiple of \(alignment)"
    }
    let how = offset < UInt64(end) ? "overlaps" : "leaves a hole after"
    return "offset \(offset) \(how) what ends at \(end)"
  }

  private static func checkWhole(
    _ file: UnsafeRawBufferPointer, sections: [SectionEntry], header: Header, path: String
  ) throws(ContainerError) {
    func fail(_ place: ContainerError.Place, _ problem: ContainerError.Problem) -> ContainerError {
      ContainerError(path: path, place: place, problem: problem)
    }
    let end = sections.last?.range.upperBound ?? Format.headerSize
    guard Format.aligned(end, to: Format.alignment) == header.tableOffset else {
      throw fail(
        .table,
        .value(
          .r18, field: "offset", found: "\(header.tableOffset)",
          expected: "\(end), the end of the last section, rounded up to 64"))
    }
    for kind in SectionKind.known where kind.flags.contains(.required) {
      guard sections.contains(where: { $0.kind == kind }) else {
        throw fail(.table, .broken(.r23, "section '\(kind)' is missing"))
      }
    }
    let root = rootHash(sections)
    guard root == header.rootHash else {
      throw fail(.header, .root(found: root, expected: header.rootHash))
    }
    var position = Format.headerSize
    for next in sections.map(\.range) + [header.tableOffset..<header.tableOffset] {
      guard isZero(file.slice(position..<next.lowerBound)) else {
        throw fail(.padding(at: position), .broken(.r19, "is not zero"))
      }
      position = next.upperBound
    }
  }
}
