import VLMFoundation
import VLMText

/// Conversations with pictures in JSON Lines, or in one JSON array, as trainers and servers keep them.
///
/// An object has `conversations`, a list of `from` (`human`, `gpt` …) and `value`, as LLaVA's data; or
/// `messages`, a list of `role` and `content`, which may be a list of parts; or `text`. Its pictures
/// are in `image` or `images`, or are parts of the messages, and lie beside the file.
enum DialogueFile {
  /// What is in a file.
  struct Found: Sendable {
    var dialogues: [CalibrationData.Dialogue] = []
    /// Lines that are wrong, or elements of the array.
    var defects: [CalibrationError] = []

    /// The defects in one line: how many, and what is wrong with the first.
    func told(_ path: String) -> [CalibrationError] {
      let lines = defects.compactMap { defect -> (Int, String)? in
        if case .conversation(let line, let text) = defect.problem { (line, text) } else { nil }
      }
      guard defects.count > 1, let first = lines.min(by: { $0.0 < $1.0 }) else { return defects }
      let total = dialogues.count + defects.count
      return [
        CalibrationError(
          path: path, .lines(count: defects.count, total: total, first: first.0, first.1))
      ]
    }
  }

  /// Nil for a text that is no such file.
  static func dialogues(in text: String, path: String) -> Found? {
    let folder = path.splitAtLastSlash.folder
    let start = text.utf8.lazy.filter { !isSpace($0) }.prefix(2)
    if start.first == UInt8(ascii: "[") {
      do {
        let list = try JSONValue.parse(Array(text.utf8)).arrayValue ?? []
        if list.contains(where: { $0.objectValue != nil }) {
          return read(list.enumerated().map { ($0.offset + 1, $0.element) }, path, folder)
        }
      } catch {
        // No text begins so.
        if start.elementsEqual("[{".utf8) { return damaged(text, error, path) }
      }
    }
    if let found = objects(inLinesOf: text, path) {
      var result = read(found.objects, path, folder)
      result.defects = found.defects + result.defects
      return result
    }
    // One conversation over several lines.
    guard start.first == UInt8(ascii: "{"), let json = try? JSONValue.parse(Array(text.utf8)),
      keys.contains(where: { json[$0] != nil })
    else { return nil }
    return read([(1, json)], path, folder)
  }

  /// What an object has one of.
  private static let keys = ["messages", "conversations", "text"]

  /// A list that ends in its middle, or is none further on.
  private static func damaged(_ text: String, _ error: JSONError, _ path: String) -> Found {
    let line = 1 + text.utf8.prefix(error.offset).count { $0 == 0x0a }
    return Found(defects: [CalibrationError(path: path, .conversation(line: line, "\(error)"))])
  }

  /// The objects of JSON Lines with their numbers from 1; nil where they are none: the first line says
  /// what a file is, or most of them.
  private static func objects(
    inLinesOf text: String, _ path: String
  ) -> (objects: [(line: Int, json: JSONValue)], defects: [CalibrationError])? {
    let lines = text.utf8.split(separator: 0x0a, omittingEmptySubsequences: false)
    // Of a long text no line is parsed but the first.
    let starts = lines.compactMap { $0.first { !isSpace($0) } }
    let areBraced = 2 * starts.count { $0 == UInt8(ascii: "{") } > starts.count
    var objects: [(line: Int, json: JSONValue)] = []
    var defects: [CalibrationError] = []
    for (index, line) in lines.enumerated() {
      guard line.contains(where: { !isSpace($0) }) else { continue }
      if let json = try? JSONValue.parse(Array(line)), json.objectValue != nil {
        objects.append((index + 1, json))
        continue
      }
      guard areBraced || !objects.isEmpty else { return nil }
      defects.append(
        CalibrationError(
          path: path, .conversation(line: index + 1, "found no JSON object, expected one")))
    }
    guard let first = objects.first?.line else { return nil }
    let isLed = lines.prefix(first - 1).allSatisfy { $0.allSatisfy(isSpace) }
    guard isLed || objects.count > defects.count else { return nil }
    return (objects, defects)
  }

  private static func isSpace(_ byte: UInt8) -> Bool { [0x20, 0x09, 0x0a, 0x0d].contains(byte) }

  private static func read(
    _ objects: [(line: Int, json: JSONValue)], _ path: String, _ folder: String
  ) -> Found {
    var result = Found()
    for (line, json) in objects {
      var reader = Reader(folder: folder)
      if let problem = reader.read(json) {
        result.defects.append(CalibrationError(path: path, .conversation(line: line, problem)))
      } else {
        result.dialogues.append(reader.dialogue)
      }
    }
    return result
  }

  /// One object.
  private struct Reader {
    let folder: String
    var dialogue = CalibrationData.Dialogue(turns: [])

    init(folder: String) { self.folder = folder }

    /// What is wrong with the object; nil where nothing is.
    mutating func read(_ json: JSONValue) -> String? {
      for key in ["image", "images"] {
        switch json[key] {
        case .string(let name)?: add(picture: name)
        case .array(let names)?:
          for name in names {
            guard let name = name.stringValue ?? name["path"]?.stringValue else {
              return "'\(key)': found \(name.kindWithArticle), expected names of files"
            }
            add(picture: name)
          }
        case nil, .null?: break
        case let other?: return "'\(key)': found \(other.kindWithArticle), expected names of files"
        }
      }
      if let text = json["text"]?.stringValue {
        dialogue.turns = [.init(.user, text)]
        return nil
      }
      guard let turns = (json["messages"] ?? json["conversations"])?.arrayValue, !turns.isEmpty
      else { return "found no 'messages', 'conversations' or 'text', expected one of them" }
      for turn in turns {
        if let problem = read(turn: turn) { return problem }
      }
      let marks = dialogue.turns.reduce(0) { $0 + ImagePrompt.count($1.text ?? "") }
      guard marks > 0 else {
        mark()
        return nil
      }
      return marks == dialogue.pictures.count
        ? nil
        : "found <image> \(counted(marks, "time")) and \(counted(dialogue.pictures.count, "picture")), "
          + "expected one <image> per picture, or none"
    }

    private mutating func add(picture name: String) {
      let path = name.hasPrefix("/") || folder.isEmpty ? name : folder + name
      dialogue.pictures.append(.file(path))
    }

    /// Pictures stand before the first question where the text does not say.
    private mutating func mark() {
      guard !dialogue.pictures.isEmpty,
        let first = dialogue.turns.firstIndex(where: { $0.role == .user })
      else { return }
      let marks = dialogue.pictures.map { _ in
        ImagePrompt.marker + ConversationTemplate.imageSeparator
      }
      dialogue.turns[first] = .init(.user, marks.joined() + (dialogue.turns[first].text ?? ""))
    }

    private mutating func read(turn: JSONValue) -> String? {
      guard let role = (turn["role"] ?? turn["from"])?.stringValue else {
        return "found a message without 'role' or 'from', expected one"
      }
      let content = turn["content"] ?? turn["value"] ?? .null
      guard let text = content.stringValue ?? text(ofParts: content) else {
        return "found \(content.kindWithArticle) as a message, expected text"
      }
      switch role {
      case "system": dialogue.system = text
      case "user", "human": dialogue.turns.append(.init(.user, text))
      case "assistant", "gpt": dialogue.turns.append(.init(.assistant, text))
      default:
        return "found role '\(role.escapedForDisplay(limit: 40))', expected system, user or "
          + "assistant"
      }
      return nil
    }

    /// A list of `{"type": "text", "text": …}` and `{"type": "image", …}`.
    private mutating func text(ofParts content: JSONValue) -> String? {
      guard let parts = content.arrayValue else { return nil }
      var text = ""
      for part in parts {
        if let piece = part["text"]?.stringValue {
          text += piece
        } else if part["type"]?.stringValue?.hasPrefix("image") ?? false {
          let name = part["image"] ?? part["path"] ?? part["url"] ?? part["image_url"]?["url"]
          if let name = name?.stringValue { add(picture: name) }
          text += ImagePrompt.marker
        } else {
          return nil
        }
      }
      return text
    }
  }
}
