import VLMCheckpoint
import VLMCommandLine
import VLMFoundation
import VLMImages
import VLMTensor
import VLMText

/// One of the pictures that a command is about.
struct PictureInput {
  enum Content {
    /// The file of that name.
    case file
    /// What standard input had.
    case bytes([UInt8])
    case failure(any ReportableError)
  }

  /// As the user names it; `-` for standard input.
  let name: String
  /// Which of the pictures on standard input, from 1.
  var frame: Int?
  let content: Content

  /// What messages call it.
  var place: String { frame.map(Self.place) ?? name }

  static func place(ofFrame frame: Int) -> String {
    frame == 1 ? "standard input" : "standard input, picture \(frame)"
  }

  /// What a line of text calls it.
  var title: String {
    name.escapedForDisplay() + (frame.map { $0 > 1 ? " picture \($0)" : "" } ?? "")
  }

  /// The first members of its JSON object.
  var members: JSONObject {
    var object = JSONObject()
    object.set("schema", 1)
    object.set("image", .string(name))
    if let frame { object.set("frame", .int(frame)) }
    return object
  }
}

/// The pictures that arguments, folders, lists and standard input name, one after the other: only the
/// one that is asked for is read, and of names only those of a folder.
final class PictureSource {
  private var arguments: ArraySlice<String>
  private let options: PictureOptions
  private let limits: ImageLimits
  private let quiet: Bool
  private var walk: FolderWalk?
  private var stream: ImageStream?
  private var frame = 0
  private var list: LineReader?
  private var opensList: Bool

  /// How many there are, where it is known.
  let count: Int?

  init(_ arguments: [String], _ options: PictureOptions, limits: ImageLimits, quiet: Bool) {
    self.arguments = arguments[...]
    self.options = options
    self.limits = limits
    self.quiet = quiet
    opensList = options.filesFrom != nil
    let isKnown = options.filesFrom == nil && !options.recursive && !arguments.contains("-")
    count = isKnown ? arguments.count : nil
  }

  /// Bytes of a name in a list at most; no system has longer ones.
  private static let maximumName = 1 << 16

  /// The next picture; nil at the end.
  ///
  /// - Parameter beforeWaiting: called before whoever writes to a pipe is waited for.
  /// - Throws: `FileError` for a list that cannot be read; what `beforeWaiting` throws. What is wrong
  ///   with a picture is its content.
  func next(beforeWaiting: () throws -> Void = {}) throws -> PictureInput? {
    while true {
      if let picture = nextInFolder() { return picture }
      if let picture = try nextOnStream(beforeWaiting) { return picture }
      if let name = arguments.popFirst() {
        if name == "-" {
          stream = ImageStream(try ByteStream(path: "-"), limits: limits)
          continue
        }
        if let picture = picture(name) { return picture }
        continue
      }
      switch try nextInList(beforeWaiting) {
      case nil: return nil
      case .tooLong?:
        let file = options.filesFrom ?? ""
        return failure(
          file, InputError(file, .nameTooLong(limit: Self.maximumName)))
      case .line(let bytes)?:
        if bytes.isEmpty { continue }
        let name = String(fileName: bytes)
        if bytes.contains(0) { return failure(name, InputError(name, .zeroByte)) }
        if name == "-" { return failure(name, InputError(name, .dash)) }
        if let picture = picture(name) { return picture }
      }
    }
  }

  private func failure(_ name: String, _ error: any ReportableError) -> PictureInput {
    PictureInput(name: name, content: .failure(error))
  }

  /// Nil for a folder, whose pictures come next.
  private func picture(_ name: String) -> PictureInput? {
    guard FileSystem.isFolder(name) else { return PictureInput(name: name, content: .file) }
    guard options.recursive else {
      return failure(
        name, CheckpointPath.refusalAsPicture(name) ?? InputError(name, .folder))
    }
    walk = FolderWalk(name)
    return nil
  }

  private func nextInFolder() -> PictureInput? {
    guard walk != nil else { return nil }
    if let found = walk?.next() {
      switch found {
      case .success(let path): return PictureInput(name: path, content: .file)
      case .failure(let error): return failure(error.path, error)
      }
    }
    defer { walk = nil }
    guard let walk else { return nil }
    if walk.found == 0 {
      return failure(walk.folder, InputError(walk.folder, .noPictures(others: walk.others)))
    }
    if walk.others > 0, !quiet {
      Report.note(
        "vlm-run: \(walk.folder.escapedForDisplay()): "
          + counted(walk.others, "file that is no picture", "files that are no pictures")
          + " left out")
    }
    return nil
  }

  private func nextOnStream(_ beforeWaiting: () throws -> Void) throws -> PictureInput? {
    guard stream != nil else { return nil }
    let place = PictureInput.place(ofFrame: frame + 1)
    let part: ImageStream.Part?
    do { part = try stream?.next(name: place, beforeWaiting: beforeWaiting) } catch let error
      as ImageError
    {
      stream = nil
      return PictureInput(name: "-", frame: frame + 1, content: .failure(error))
    }
    switch part {
    case .picture(let bytes)?:
      frame += 1
      return PictureInput(name: "-", frame: frame, content: .bytes(bytes))
    case .other?:
      stream = nil
      let error = InputError("standard input", .otherBytes(pictures: frame))
      // Phones put a film behind a picture.
      if frame == 1 {
        Report.warning("\(error.shown); they are left out", program: "vlm-run")
        return nil
      }
      return PictureInput(name: "-", frame: frame + 1, content: .failure(error))
    case nil:
      stream = nil
      return nil
    }
  }

  private func nextInList(_ beforeWaiting: () throws -> Void) throws -> LineReader.Line? {
    if opensList, let file = options.filesFrom {
      opensList = false
      list = LineReader(
        try ByteStream(path: file), separator: options.null ? 0 : 0x0a, limit: Self.maximumName)
    }
    guard list != nil else { return nil }
    guard let line = try list?.next(beforeWaiting: beforeWaiting) else {
      list = nil
      return nil
    }
    return line
  }
}
