import VLMFoundation
import VLMText

/// Conversations with pictures in JSON Lines, or in one JSON array, as trainers and servers keep them.
///
/// An object has `conversations`, a list of `from` (`human`, `gpt` …) and `value`, as LLaVA's data; or
/// `messages`, a list of `role` and `content`, which may be a list of parts; or `text`. Its pictures
/// are in `image` or `images`, or are parts of the messages, and lie beside the file.
enum DialogueFile {
  /// Nil for a text that is no such file.
  ///
  /// - Throws: `CalibrationError` with the line that is wrong.
  static func dialogues(
    in text: String, path: String
  ) throws(CalibrationError) -> [CalibrationData.Dialogue]? {
    let folder = path.splitAtLastSlash.folder
    if text.utf8.first(where: { !isSpace($0) }) == UInt8(ascii: "["),
      let list = try? JSONValue.parse(Array(text.utf8)).arrayValue,
      list.contains(where: { $0.objectValue != nil })
    {
      return try read(list.enumerated().map { ($0.offset + 1, $0.element) }, path, folder)
    }
    var objects: [(Int, JSONValue)] = []
    var number = 0
    for line in text.utf8.split(separator: 0x0a, omittingEmptySubsequences: false) {
      number += 1
      guard line.contains(where: { !isSpace($0) }) else { continue }
      guard let json = try? JSONValue.parse(Array(line)), json.objectValue != nil else {
        // The first line says what the file is.
        guard !objects.isEmpty else { return nil }
        throw CalibrationError(
          path: path, .conversation(line: number, "found no JSON object, expected one"))
      }
      objects.append((number, json))
    }
    return objects.isEmpty ? nil : try read(objects, path, folder)
  }

  private static func isSpace(_ byte: UInt8) -> Bool { [0x20, 0x09, 0x0a, 0x0d].contains(byte) }

  private static func read(
    _ objects: [(line: Int, json: JSONValue)], _ path: String, _ folder: String
  ) throws(CalibrationError) -> [CalibrationData.Dialogue] {
    var result: [CalibrationData.Dialogue] = []
    for (line, json) in objects {
      var reader = Reader(folder: folder)
      if let problem = reader.read(json) {
        throw CalibrationError(path: path, .conversation(line: line, problem))
      }
      result.append(reader.dialogue)
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
        : "found <image> \(marks) times and \(dialogue.pictures.count) pictures, expected one <image> "
          + "per picture, or none"
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
