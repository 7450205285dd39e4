import VLMContainer
import VLMFoundation

/// The container that is being unpacked: a file beside its destination, and what a later process needs
/// to continue it.
///
/// The journal is the packed file without what the frames store: its header, the first 128 bytes of
/// the container, and the frames' own headers. So it is read by the reader of packed files, and
/// nothing in it is believed: what it says of a frame is compared with the bytes that are there.
final class UnpackedOutput {
  /// The first bytes of an unfinished output; not longer than a container's header, which they stand
  /// in place of.
  static let marker = Array(
    "unfinished output of vlm-convert unpack, not a model; 'unpack --resume' continues it\n".utf8)
  static let journalMarker = Array("vlmz unpack 1\n".utf8)
  static let journalSuffix = ".journal"

  let file: OutputFile
  private let journal: JournalFile?
  /// Of the packed file that the journal is of; nil while there is none.
  private(set) var header: PackedHeader?
  /// The container's header, which the file gets last.
  private var containerHeader: [UInt8] = []

  /// - Parameters:
  ///   - overwrite: replace an existing file at the end.
  ///   - isResumable: keep what there is when it cannot be finished.
  init(path: String, overwrite: Bool, isResumable: Bool) throws(FileError) {
    guard isResumable else {
      file = try OutputFile(path: path, overwrite: overwrite)
      journal = nil
      return
    }
    let journalPath = OutputFile.partialPath(of: path) + Self.journalSuffix
    let isOurs = JournalFile.exists(at: journalPath, marker: Self.journalMarker)
    file = try OutputFile(
      path: path, overwrite: overwrite, marker: Self.marker,
      orMarkers: isOurs ? [Container.magic] : [], keeping: true)
    journal = try JournalFile(path: journalPath, marker: Self.journalMarker, keeping: true)
  }

  // MARK: Continuing

  /// What an earlier process left of an unpacking to `path`: the frames that are whole and sound.
  struct Remainder {
    let header: PackedHeader
    let frames: [FrameHeader]
    let position: PackedReader.Position
  }

  /// Finds what is left of an earlier output. Nothing is changed.
  func remainder() throws(FileError) -> Remainder? {
    guard let journal else { return nil }
    let input = PackedInput(name: journal.path, bytes: journal.earlier)
    guard let header = try? PackedReader.header(input) else { return nil }
    let start = try input.read(PackedFormat.containerHeaderSize)
    guard start.count == PackedFormat.containerHeaderSize else { return nil }
    var reader = PackedReader(input, header: header, at: PackedReader.Position())
    var frames: [FrameHeader] = []
    let available = try file.partialByteCount()
    while let bytes = try? input.read(PackedFormat.recordSize),
      let frame = (try? reader.record(bytes)) ?? nil,
      frame.rawOffset + frame.rawSize <= available,
      try hash(frame, start: start) == frame.rawHash
    {
      frames.append(frame)
      reader.skip(frame)
    }
    guard !frames.isEmpty else { return nil }
    containerHeader = start
    return Remainder(header: header, frames: frames, position: reader.position)
  }

  /// XXH64 of a frame's bytes as they are in the file.
  private func hash(_ frame: FrameHeader, start: [UInt8]) throws(FileError) -> UInt64 {
    let buffer = SystemMemory.allocate(frame.rawSize)
    defer { buffer.deallocate() }
    guard try file.read(at: frame.rawOffset, into: buffer) else { return ~frame.rawHash }
    if frame.rawOffset == 0 {
      guard buffer.count >= start.count else { return ~frame.rawHash }
      buffer.copyBytes(from: start)
    }
    return XXH64.hash(UnsafeRawBufferPointer(buffer))
  }

  /// Goes on behind `frames` of a packed file; whatever comes after them is dropped.
  func resume(_ header: PackedHeader, frames: [FrameHeader]) throws(FileError) {
    self.header = header
    let end = frames.last.map { $0.rawOffset + $0.rawSize } ?? 0
    try file.resume(at: end)
    guard !frames.isEmpty else { return try begin(header) }
    try writeMarker()
    try journal?.rewrite(
      header.encoded() + containerHeader + frames.flatMap { $0.encoded() })
  }

  // MARK: Writing

  /// Starts anew.
  func begin(_ header: PackedHeader) throws(FileError) {
    self.header = header
    containerHeader = []
    if journal != nil { try file.resume(at: 0) }
    try journal?.rewrite(header.encoded())
    // A full disk shows now, not after hours.
    try file.reserve(header.containerSize)
  }

  /// Appends the bytes of a frame. The first frame's lose the container's header.
  func write(_ frame: FrameHeader, _ raw: UnsafeMutableRawBufferPointer) throws(FileError) {
    var record = frame.encoded()
    if frame.rawOffset == 0 {
      containerHeader = Array(raw[..<PackedFormat.containerHeaderSize])
      record = containerHeader + record
      raw[..<PackedFormat.containerHeaderSize].copyBytes(from: paddedMarker)
    }
    try file.write(UnsafeRawBufferPointer(raw))
    try journal?.append(record)
  }

  private var paddedMarker: [UInt8] {
    Self.marker
      + [UInt8](repeating: 0, count: PackedFormat.containerHeaderSize - Self.marker.count)
  }

  private func writeMarker() throws(FileError) { try overwriteStart(paddedMarker) }

  private func overwriteStart(_ bytes: [UInt8]) throws(FileError) {
    try bytes.withUnsafeResult { (buffer) throws(FileError) in try file.write(buffer, at: 0) }
  }

  // MARK: Ending

  /// Gives the file the container's header, once all else is on disk.
  func complete() throws(FileError) {
    try file.sync()
    try overwriteStart(containerHeader)
  }

  /// Moves the file to its path.
  func commit() throws(FileError) {
    try file.commit()
    journal?.remove()
  }

  /// Gives back the room behind what was written, and keeps that.
  func keep() { try? file.resume(at: file.count) }

  /// Leaves nothing behind.
  func discard() {
    guard let journal else { return }
    OutputFile.discard(file.temporaryPath)
    journal.remove()
  }
}
