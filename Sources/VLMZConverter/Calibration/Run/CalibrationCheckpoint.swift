import VLMContainer
import VLMFoundation
import VLMTensor

/// How far a calibration is, for a later one that goes on: `<statistics>.progress`, a file of this
/// layout.
///
/// | bytes | content |
/// | --- | --- |
/// | 27 | the marker |
/// | 8 | bytes of the JSON, little-endian |
/// | | JSON: what was asked for, what is done, the sequences |
/// | | the states between two blocks, f32, row by row |
/// | 8 | XXH64 of all that |
///
/// When the statistics are done, the states are those of the sensitivities.
struct CalibrationCheckpoint {
  /// What decides the statistics.
  let request: JSONValue
  /// `StatisticsWriter.headDigest`.
  let head: String
  /// Stages that are done.
  let stages: Int
  /// Digests of the groups that are written, by their names.
  let groups: [String: String]
  /// What the language model reads, where there is one.
  let sequences: [TokenSequence]
  /// Pictures that were left out.
  let leftOut: Int
  /// How far the sensitivities are; nil before the first of them.
  let sensitivities: SensitivityProgress?
  /// Positions of each sequence's state, and their columns; empty between parts.
  private let shapes: [(rows: Int, columns: Int)]
  private let file: MappedFile?
  private let start: Int

  private static let marker = Array("vlm-convert calibration 01\n".utf8)
  /// Of the largest JSON: some bytes for each of 2²⁴ tokens.
  private static let maximumBytes = 1 << 28

  // MARK: - Reading

  /// Nil where there is none, or a damaged one.
  static func read(_ path: String) -> CalibrationCheckpoint? {
    guard let file = try? MappedFile(path: path, isInput: false) else { return nil }
    return CalibrationCheckpoint(file)
  }

  init?(_ file: MappedFile) {
    let prefix = Self.marker.count + 8
    guard file.count >= prefix + 8 else { return nil }
    let bytes = file.bytes(0..<file.count)
    guard bytes.starts(with: Self.marker) else { return nil }
    func number(at offset: Int) -> UInt64 {
      UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
    }
    var hash = XXH64()
    hash.update(UnsafeRawBufferPointer(rebasing: bytes[..<(file.count - 8)]))
    let length = number(at: Self.marker.count)
    guard hash.digest == number(at: file.count - 8), length <= Self.maximumBytes,
      Int(length) <= file.count - prefix - 8,
      let json = try? JSONValue.parse(Array(bytes[prefix..<prefix + Int(length)])),
      let head = json["head"]?.stringValue, let stages = json["stages"]?.intValue, stages >= 0,
      let leftOut = json["left_out"]?.intValue, leftOut >= 0, let request = json["request"],
      let groups = json["groups"]?.objectValue, let list = json["sequences"]?.arrayValue,
      let shapes = json["states"]?.arrayValue
    else { return nil }
    sensitivities = json["sensitivities"].flatMap { SensitivityProgress(json: $0) }
    self.request = request
    (self.head, self.stages, self.leftOut) = (head, stages, leftOut)
    self.groups = Dictionary(
      groups.members.compactMap { member in member.value.stringValue.map { (member.key, $0) } },
      uniquingKeysWith: { first, _ in first })
    sequences = list.compactMap { TokenSequence(json: $0) }
    self.shapes = shapes.compactMap { shape in
      guard let sizes = shape.arrayValue?.map(\.intValue), sizes.count == 2,
        let rows = sizes[0], let columns = sizes[1],
        (1...(1 << 24)).contains(rows), (1...(1 << 24)).contains(columns)
      else { return nil }
      return (rows, columns)
    }
    start = prefix + Int(length)
    self.file = file
    let stored = (file.count - start - 8) / MemoryLayout<Float>.stride
    let values = self.shapes.reduce(0) { min(stored + 1, $0 + $1.rows * $1.columns) }
    guard sequences.count == list.count, self.shapes.count == shapes.count,
      self.groups.count == groups.members.count, values == stored
    else { return nil }
  }

  /// The states, `[positions, hidden]` each, in memory of their own.
  func withStates<R>(_ body: ([MatrixView]) throws -> R) rethrows -> R {
    var offset = start
    let states = shapes.map { shape -> Activations in
      let count = shape.rows * shape.columns
      let memory = Activations(count: count)
      memory.withValues(count) { values in
        UnsafeMutableRawBufferPointer(values).copyMemory(
          from: file?.bytes(offset..<offset + count * 4) ?? .init(start: nil, count: 0))
      }
      offset += count * 4
      return memory
    }
    return try withExtendedLifetime(states) {
      try body(
        zip(states, shapes).map { $0.matrix(rows: $1.rows, columns: $1.columns) })
    }
  }

  // MARK: - Writing

  /// Removes the file at `path` if it is one of these, damaged or not.
  static func remove(_ path: String) {
    guard let file = try? MappedFile(path: path, isInput: false),
      file.withBytes(0..<file.count, { $0.starts(with: marker) })
    else { return }
    FileSystem.unlink(path)
  }

  /// Replaces the file at `path` in one step.
  static func write(
    to path: String, request: JSONValue, head: String, stages: Int, groups: [String: String],
    sequences: [TokenSequence], leftOut: Int, sensitivities: SensitivityProgress?,
    states: [MatrixView]
  ) throws {
    var digests = JSONObject()
    for (name, digest) in groups.sorted(by: { $0.key < $1.key }) {
      digests.set(name, .string(digest))
    }
    let shapes = states.map { state -> JSONValue in [.int(state.rows), .int(state.columns)] }
    var json = JSONObject()
    json.set("request", request)
    json.set("head", .string(head))
    json.set("stages", .int(stages))
    json.set("left_out", .int(leftOut))
    json.set("groups", .object(digests))
    json.set("sequences", .array(sequences.map(\.json)))
    if let sensitivities { json.set("sensitivities", sensitivities.json) }
    json.set("states", .array(shapes))
    let text = Array(JSONValue.object(json).serialized().utf8)
    let output = try OutputFile(path: path, overwrite: true, marker: marker, keeping: false)
    var hash = XXH64()
    func write(_ bytes: UnsafeRawBufferPointer) throws {
      hash.update(bytes)
      try output.write(bytes)
    }
    try marker.withUnsafeBytes { try write($0) }
    try withUnsafeBytes(of: UInt64(text.count).littleEndian) { try write($0) }
    try text.withUnsafeBytes { try write($0) }
    for state in states {
      for row in 0..<state.rows {
        try state.withRow(row) { try write(UnsafeRawBufferPointer($0)) }
      }
    }
    try withUnsafeBytes(of: hash.digest.littleEndian) { try output.write($0) }
    try output.commit()
  }
}

extension TokenSequence {
  /// Ids, and pictures as paths or as the numbers of drawn ones.
  fileprivate var json: JSONValue {
    [
      "ids": .array(ids.map { .int($0) }),
      "pictures": .array(
        pictures.map { picture in
          switch picture {
          case .file(let path): .string(path)
          case .drawn(let number): .int(number)
          }
        }),
    ]
  }

  fileprivate init?(json: JSONValue) {
    guard let ids = json["ids"]?.arrayValue, let pictures = json["pictures"]?.arrayValue else {
      return nil
    }
    self.ids = ids.compactMap(\.intValue)
    self.pictures = pictures.compactMap { picture in
      picture.stringValue.map { .file($0) } ?? picture.intValue.map { .drawn($0) }
    }
    guard self.ids.count == ids.count, self.pictures.count == pictures.count else { return nil }
  }
}
