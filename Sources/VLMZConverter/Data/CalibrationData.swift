import VLMFoundation
import VLMImages
import VLMText

/// What a model is calibrated on, by kind.
struct CalibrationData: Sendable {
  /// A picture in a file, or one that the program draws.
  enum Picture: Sendable, Equatable {
    case file(String)
    case drawn(Int)

    /// What messages call it.
    var name: String {
      switch self {
      case .file(let path): path
      case .drawn(let number): "drawn picture \(number)"
      }
    }

    /// The picture itself, decoded when its rows are asked for.
    func open() throws(ImageError) -> any PixelSource {
      switch self {
      case .file(let path): try ImageDecoder.open(path: path)
      case .drawn(let number): DeadLeaves.picture(number)
      }
    }
  }

  /// What was said about some pictures, or without any.
  struct Dialogue: Sendable, Equatable {
    /// Question, answer, question …; `<image>` stands for a picture.
    var turns: [ConversationTemplate.Turn]
    var system: String?
    var pictures: [Picture] = []
  }

  var pictures: [Picture] = []
  var texts: [String] = []
  var dialogues: [Dialogue] = []
  /// Every file that was read, for the report.
  private(set) var files: [String] = []
  /// What was found and cannot be read: files, and lines of conversations, those of a file in one.
  private(set) var defects: [CalibrationError] = []

  /// "3 pictures and 1 text", for messages.
  var summary: String {
    let parts = [
      (pictures.count, "picture"), (texts.count, "text"), (dialogues.count, "conversation"),
    ].filter { $0.0 > 0 }.map { counted($0.0, $0.1) }
    return parts.isEmpty ? "nothing" : parts.joined(separator: " and ")
  }

  /// Nothing.
  init() {}

  /// Everything at `paths`, in their order, folders by the bytes of their names.
  ///
  /// A file that is no data and a line that is no conversation are left out, as long as there is more
  /// that can be used.
  ///
  /// - Throws: `CalibrationError` where most or all is no data, `FileError` for what cannot be read.
  init(paths: [String]) throws {
    for path in paths {
      if FileSystem.isFolder(path) { try add(folder: path) } else { try add(file: path) }
    }
    try CalibrationError.requireMost(
      usable: pictures.count + texts.count + dialogues.count, defects: defects)
  }

  /// A folder's pictures and those within; its texts where it has no pictures.
  private mutating func add(folder: String) throws {
    var walk = FolderWalk(folder)
    let before = pictures.count
    while let found = walk.next() { add(picture: try found.get()) }
    guard pictures.count == before else { return }
    let base = folder.hasSuffix("/") ? folder : folder + "/"
    let names = (FileSystem.names(in: folder) ?? []).filter { !$0.hasPrefix(".") }
      .map { ($0, $0.fileNameBytes) }
      .sorted { $0.1.lexicographicallyPrecedes($1.1) }
      .map { base + $0.0 }
    let texts = names.filter { !FileSystem.isFolder($0) }
    guard !texts.isEmpty else { throw CalibrationError(path: folder, .emptyFolder) }
    for text in texts { try add(file: text) }
  }

  private mutating func add(picture path: String) {
    pictures.append(.file(path))
    files.append(path)
  }

  private mutating func add(file path: String) throws {
    if ImageFileDetection.hasImageSignature(path) { return add(picture: path) }
    let text: String
    do { text = try CalibrationText.read(path) } catch let error as CalibrationError {
      return defects.append(error)
    }
    files.append(path)
    guard let found = DialogueFile.dialogues(in: text, path: path) else {
      return texts.append(text)
    }
    defects += found.told(path)
    let dialogues = found.dialogues
    for dialogue in dialogues {
      for case .file(let picture) in dialogue.pictures { files.append(picture) }
    }
    // What has no turns is a text.
    self.dialogues += dialogues.filter { $0.turns.count > 1 || !$0.pictures.isEmpty }
    texts += dialogues.filter { $0.turns.count == 1 && $0.pictures.isEmpty }.map {
      $0.turns[0].text ?? ""
    }
  }
}

/// Texts as files have them.
enum CalibrationText {
  /// Larger ones are surely no sample.
  private static let maximumBytes = 1 << 28

  /// - Throws: `CalibrationError` for bytes that are no text, `FileError`.
  static func read(_ path: String) throws -> String {
    let file = try MappedFile(path: path)
    guard file.count <= maximumBytes else {
      throw CalibrationError(path: path, .tooLarge(bytes: file.count, limit: maximumBytes))
    }
    let text = file.withBytes(0..<file.count) { bytes in
      // A byte order mark says what the bytes are, and is none of the text.
      let start = bytes.starts(with: ForeignEncoding.mark) ? ForeignEncoding.mark.count : 0
      return bytes.contains(0) ? nil : String(validating: bytes[start...], as: UTF8.self)
    }
    let isBlank = text?.unicodeScalars.allSatisfy { $0.properties.isWhitespace } ?? true
    // A page may be what somebody has texts of.
    if let kind = FileKind.standIn(file), file.count > 0, kind != .page {
      throw CalibrationError(path: path, .notFetched(kind))
    }
    guard let text, !isBlank else { throw CalibrationError(path: path, .notData) }
    return text
  }
}
