import VLMFoundation
import VLMTensor

/// The file header, the first 128 bytes.
struct Header: Equatable {
  var readVersion: UInt16
  var writeVersion: UInt16
  var requiredFeatures: UInt32 = 0
  var optionalFeatures: UInt32 = 0
  var sectionCount: Int
  var fileSize: Int
  var tableOffset: Int
  var tableHash: UInt64
  var rootHash: [UInt8]

  /// - Parameter version: the version that a reader must support.
  init(
    version: Int, sectionCount: Int, fileSize: Int, tableOffset: Int, tableHash: UInt64,
    rootHash: [UInt8]
  ) {
    readVersion = UInt16(version)
    writeVersion = UInt16(version)
    self.sectionCount = sectionCount
    self.fileSize = fileSize
    self.tableOffset = tableOffset
    self.tableHash = tableHash
    self.rootHash = rootHash
  }

  /// The required features known to this version: none.
  static let knownFeatures: UInt32 = 0

  func encoded() -> [UInt8] {
    var bytes = Format.magic
    bytes.append(little: readVersion)
    bytes.append(little: writeVersion)
    bytes.append(little: requiredFeatures)
    bytes.append(little: optionalFeatures)
    bytes.append(little: UInt32(sectionCount))
    bytes.append(little: UInt64(fileSize))
    bytes.append(little: UInt64(tableOffset))
    bytes.append(little: tableHash)
    bytes += rootHash
    bytes.appendZeros(Format.hashedHeaderSize - bytes.count)
    bytes.append(little: XXH64.hash(bytes))
    return bytes
  }

  /// Reads and validates the header of `file`, the bytes of the whole file.
  init(_ file: UnsafeRawBufferPointer, path: String) throws(ContainerError) {
    func fail(_ problem: ContainerError.Problem) -> ContainerError {
      ContainerError(path: path, place: .header, problem: problem)
    }
    if let problem = ForeignFile.problem(file) {
      throw ContainerError(path: path, place: .file, problem: problem)
    }
    guard file.count >= Format.headerSize else {
      let text =
        "holds \(counted(file.count, "byte")), expected a header of \(Format.headerSize)"
        + ": it is cut short, \(FileKind.fetchAgain)"
      throw ContainerError(path: path, place: .file, problem: .broken(.r01, text))
    }
    guard file.starts(with: Format.magic) else {
      let text = "is no .vlmz container: the signature is missing"
      throw ContainerError(path: path, place: .file, problem: .broken(.r02, text))
    }
    readVersion = file.little(8)
    writeVersion = file.little(10)
    guard readVersion >= 1, readVersion <= Format.version else {
      throw ContainerError(
        path: path, place: .file,
        problem: .version(found: Int(readVersion), supported: Format.version))
    }
    let hash = XXH64.hash(file.slice(0..<Format.hashedHeaderSize))
    let stated: UInt64 = file.little(Format.hashedHeaderSize)
    guard hash == stated else { throw fail(.hash(.r04, found: hash, expected: stated)) }
    guard writeVersion >= readVersion else {
      throw fail(
        .value(
          .r05, field: "write version", found: "\(writeVersion)", expected: "\(readVersion) or more"
        ))
    }
    requiredFeatures = file.little(12)
    optionalFeatures = file.little(16)
    let unknown = requiredFeatures & ~Self.knownFeatures
    guard unknown == 0 else {
      throw fail(
        .broken(
          .r06,
          "needs features 0x\(String(unknown, radix: 16)) that this build does not know; "
            + "update vlm-run"))
    }
    guard isZero(file.slice(80..<Format.hashedHeaderSize)) else {
      throw fail(.broken(.r07, "reserved bytes 80 to 119 are not zero"))
    }
    let size: UInt64 = file.little(24)
    guard size == UInt64(file.count) else {
      let what =
        size > UInt64(file.count)
        ? "is cut short, \(FileKind.fetchAgain)" : "has bytes appended"
      throw fail(.broken(.r08, "states a file of \(size) bytes, found \(file.count): it \(what)"))
    }
    fileSize = file.count
    let count: UInt32 = file.little(20)
    guard (Format.minimumSections...Format.maximumSections).contains(Int(count)) else {
      throw fail(
        .value(
          .r09, field: "section count", found: "\(count)",
          expected: "\(Format.minimumSections) to \(Format.maximumSections)"))
    }
    sectionCount = Int(count)
    // A negative result never equals the stated offset.
    let place = fileSize - sectionCount * Format.tableEntrySize
    let offset: UInt64 = file.little(32)
    guard place >= Format.headerSize, offset == UInt64(place) else {
      throw fail(
        .value(
          .r10, field: "table offset", found: "\(offset)",
          expected: "\(place): the file's size less \(count) entries"))
    }
    tableOffset = place
    tableHash = file.little(40)
    rootHash = Array(file.slice(48..<80))
  }
}
