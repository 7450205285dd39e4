import VLMFoundation

/// An open `.vlmz` file. Everything except the tensor bytes has been validated.
///
/// The tensors are used in the mapped file. Opening reads the header, the section table and the
/// tensor index but no tensor data, so it takes the same time for any model size.
package final class Container: Sendable {
  package let file: MappedFile
  package let path: String
  /// SHA-256 over the decoded sections. It identifies the content, regardless of compression.
  package let rootHash: [UInt8]
  /// XXH64 of the header, which covers the hashes of all stored bytes.
  package let headerHash: UInt64
  /// All sections in file order, including those of unknown kinds.
  package let sections: [SectionEntry]
  /// All tensors, sorted by the bytes of their names.
  package let tensors: [TensorEntry]
  private let positions: [String: Int]

  /// The highest format version that this build reads. Files are written in the lowest sufficient
  /// version.
  package static let formatVersion = Format.version
  /// The magic bytes of every container.
  package static let magic = Format.magic

  /// Opens and validates the file at `path`.
  ///
  /// - Parameter isInput: false for a file that the process made itself and may replace.
  package static func open(
    path: String, isInput: Bool = true
  ) throws(ContainerError) -> Container {
    let file: MappedFile
    do { file = try MappedFile(path: path, isInput: isInput) } catch { throw ContainerError(error) }
    return try Container(file)
  }

  /// Validates a mapped file.
  package init(_ file: MappedFile) throws(ContainerError) {
    let contents = try Contents(file)
    self.file = file
    path = file.path
    rootHash = contents.header.rootHash
    headerHash = file.withBytes(0..<Format.headerSize) { $0.little(Format.hashedHeaderSize) }
    sections = contents.sections
    tensors = contents.tensors
    // Names are unique even up to canonical equivalence [R39].
    positions = Dictionary(
      contents.tensors.enumerated().map { ($1.name, $0) }, uniquingKeysWith: { first, _ in first })
  }

  /// Bytes of all tensors as stored.
  package var weightBytes: Int { tensors.reduce(0) { $0 + $1.range.count } }

  package func tensor(named name: String) -> TensorEntry? { positions[name].map { tensors[$0] } }

  /// The decoded bytes of a section, after verifying its checksums; nil if the file has no such
  /// section.
  ///
  /// - Precondition: `kind` is not the tensor data, which is used in the mapping.
  package func section(_ kind: SectionKind) throws(ContainerError) -> [UInt8]? {
    precondition(kind != .tensorData, "tensor data is read through its mapping")
    guard let index = sections.firstIndex(where: { $0.kind == kind }) else { return nil }
    return try decode(sections[index], at: index)
  }

  /// - Throws: if the file has changed since it was opened. Results computed from the tensors are
  ///   only reported after this check.
  package func checkUnchanged() throws(FileError) { try file.checkUnchanged() }

  func decode(_ section: SectionEntry, at index: Int) throws(ContainerError) -> [UInt8] {
    defer { withExtendedLifetime(file) {} }
    let stored = file.bytes(section.range)
    let place = ContainerError.Place.section(index, section.kind.description)
    func check(
      _ rule: Rule, _ found: UInt64, _ expected: UInt64
    ) throws(ContainerError) {
      guard found == expected else {
        throw ContainerError(
          path: path, place: place, problem: .hash(rule, found: found, expected: expected))
      }
    }
    try check(.r25, XXH64.hash(stored), section.storedHash)
    guard section.codec == .zstd, section.kind.isKnown else { return Array(stored) }
    let bytes: [UInt8]
    do {
      // The table check limits this to `Format.maximumSectionSize`.
      bytes = try ZstdFrame.decompress(stored, rawSize: section.rawByteCount)
    } catch {
      throw ContainerError(path: path, place: place, problem: .broken(error.rule, error.text))
    }
    try check(.r32, XXH64.hash(bytes), section.rawHash)
    return bytes
  }
}

/// The validated structure of a file.
struct Contents {
  let header: Header
  let sections: [SectionEntry]
  let tensors: [TensorEntry]

  /// Validates everything except the contents of sections other than the index.
  init(_ file: MappedFile) throws(ContainerError) {
    defer { withExtendedLifetime(file) {} }
    let path = file.path
    let bytes = file.bytes(0..<file.count)
    header = try Header(bytes, path: path)
    sections = try SectionTable.decode(bytes, header: header, path: path)
    guard let data = sections.first(where: { $0.kind == .tensorData }),
      let place = sections.firstIndex(where: { $0.kind == .tensorIndex })
    else {
      throw ContainerError(
        path: path, place: .table, problem: .broken(.r23, "a required section is missing"))
    }
    let index = sections[place]
    let hash = XXH64.hash(bytes.slice(index.range))
    guard hash == index.storedHash else {
      throw ContainerError(
        path: path, place: .section(place, index.kind.description),
        problem: .hash(.r25, found: hash, expected: index.storedHash))
    }
    tensors = try TensorIndex.decode(
      bytes.slice(index.range), data: data, version: Int(header.readVersion), path: path)
  }
}
