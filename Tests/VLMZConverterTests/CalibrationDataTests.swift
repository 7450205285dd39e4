import Foundation
import Testing
import VLMFoundation
import VLMTestSupport
import VLMText

@testable import VLMZConverter

@Suite("Data to calibrate on")
struct CalibrationDataTests {
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  private func write(_ bytes: [UInt8], _ name: String) throws -> String {
    let path = folder.path(name)
    try Data(bytes).write(to: URL(fileURLWithPath: path))
    return path
  }

  private func write(_ text: String, _ name: String) throws -> String {
    try write(Array(text.utf8), name)
  }

  @Test("a disk without room for the unquantized model is told before the work")
  func room() throws {
    try CalibrationError.requireRoom(2_000_001, free: 2_000_001, in: "out")
    try CalibrationError.requireRoom(2_000_001, free: nil, in: "out")
    let error = thrownError(CalibrationError.self) {
      try CalibrationError.requireRoom(2_000_001, free: 1_000_000, in: "out")
    }
    #expect(error?.problem == .noRoom(needed: 2_000_001, free: 1_000_000))
    #expect(error?.description.contains("found 1 MB free, expected 3 MB") == true)
    #expect(error?.exitStatus == .osError)
  }

  @Test("the content of a file decides what it is")
  func kinds() throws {
    let picture = try Data(
      contentsOf: URL(fileURLWithPath: CalibrationFixture.pictures + "/coffee.png"))
    let named = try write(Array(picture), "picture.txt")
    let text = try write("{ is no object", "text.jsonl")
    let talk = try write(
      """
      {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]}

      {"text": "Only text."}
      """, "talk")
    let data = try CalibrationData(paths: [named, text, talk])
    #expect(data.pictures == [.file(named)])
    #expect(data.texts == ["{ is no object", "Only text."])
    #expect(data.dialogues.count == 1)
    #expect(data.dialogues.first?.turns.map(\.text) == ["Hi", "Hello"])
    #expect(data.files == [named, text, talk])
  }

  @Test("LLaVA's and servers' conversations name their pictures beside the file")
  func pictures() throws {
    let llava = #"""
      [{"id": 1, "image": "a/1.jpg", "conversations": [
        {"from": "human", "value": "<image>\nWhat?"}, {"from": "gpt", "value": "A cat."}]}]
      """#
    let server = #"""
      {"messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": \#
      [{"type": "image", "path": "/p/2.png"}, {"type": "text", "text": "And this?"}]}]}
      {"images": ["3.png", "4.png"], "messages": [{"role": "user", "content": "Compare."}]}
      """#
    let first = try #require(DialogueFile.dialogues(in: llava, path: "d/x.json")).dialogues
    #expect(first.map(\.pictures) == [[.file("d/a/1.jpg")]])
    #expect(first[0].turns.map(\.text) == ["<image>\nWhat?", "A cat."])
    let second = try #require(DialogueFile.dialogues(in: server, path: "x.jsonl")).dialogues
    #expect(second[0].pictures == [.file("/p/2.png")])
    #expect(second[0].system == "Be brief.")
    #expect(second[0].turns.map(\.text) == ["<image>And this?"])
    #expect(second[1].pictures == [.file("3.png"), .file("4.png")])
    #expect(second[1].turns[0].text == "<image>\n<image>\nCompare.")
  }

  @Test(
    "a line that is wrong is named",
    arguments: [
      (#"{"messages": []}"#, 1), (#"{"messages": [{"role": "user"}]}"#, 1),
      (#"{"messages": [{"role": "tool", "content": "x"}]}"#, 1),
      (#"{"messages": [{"content": "x"}]}"#, 1), (#"{"image": 3, "text": "x"}"#, 1),
      (#"{"text": "x"}"# + "\n\nnonsense", 3),
      (CalibrationDataTests.twoMarks, 2),
    ])
  func wrong(_ text: String, _ line: Int) throws {
    let defects = try #require(DialogueFile.dialogues(in: text, path: "f")).defects
    #expect(defects.count == 1)
    guard case .conversation(let found, _)? = defects.first?.problem else {
      Issue.record("\(defects)")
      return
    }
    #expect(found == line)
  }

  @Test("a file that is meant as conversations is never taken for a text")
  func meantAsConversations() throws {
    let lines = (1...4).map { #"{"messages": [{"role": "user", "content": "\#($0)"}]}"# }
    let marked = try write([0xef, 0xbb, 0xbf] + Array(lines.joined(separator: "\r\n").utf8), "a")
    #expect(try CalibrationData(paths: [marked]).texts == ["1", "2", "3", "4"])
    let first = try write((["{broken"] + lines).joined(separator: "\n"), "b")
    let data = try CalibrationData(paths: [first])
    #expect(data.texts.count == 4)
    #expect(
      data.defects.map(\.problem) == [
        .conversation(line: 1, "found no JSON object, expected one")
      ])
    let whole = try write(lines[0].replacingOccurrences(of: ", ", with: ",\n"), "c")
    #expect(try CalibrationData(paths: [whole]).texts == ["1"])
    let list = "[" + lines.joined(separator: ",\n") + "]"
    #expect(try CalibrationData(paths: [try write(list, "d")]).texts.count == 4)
    let cut = try write(String(list.dropLast(9)), "e")
    let error = thrownError(CalibrationError.self) { try CalibrationData(paths: [cut]) }
    guard case .conversation(4, let text)? = error?.problem else {
      Issue.record("\(String(describing: error))")
      return
    }
    #expect(text.contains("invalid JSON"))
    // A byte order mark is none of a text, and a text may begin with any of these.
    let mark = try write([0xef, 0xbb, 0xbf] + Array("Once".utf8), "f")
    #expect(try CalibrationData(paths: [mark]).texts == ["Once"])
    for text in ["[1] Once upon", "{ once\n{ upon\na time", "{\"a\": 1,\n\"b\": 2}"] {
      #expect(try CalibrationData(paths: [try write(text, "g")]).texts == [text])
    }
  }

  @Test("conversations that lack one picture count each")
  func sharedPicture() throws {
    let check = PictureCheck(tell: { _ in }) { _ = try $0.open() }
    try check.requireMost(usable: 0, of: 0)
    #expect(try !check.isUsable(.file(folder.path("absent.png"))))
    try check.requireMost(usable: 4, of: 8)
    let error = thrownError(CalibrationError.self) { try check.requireMost(usable: 3, of: 7) }
    guard case .mostlyDamaged(4, 7, _)? = error?.problem else {
      Issue.record("\(String(describing: error))")
      return
    }
  }

  @Test("a few files and lines that are wrong are left out, more than half are refused")
  func leftOut() throws {
    let latin = try write([0x61, 0xe9, 0x62], "latin")
    let good = try write("Once upon a time", "good")
    let talk = try write(
      """
      {"text": "One."}
      {"text": "Two."}
      {"messages": 3}
      """, "talk")
    let data = try CalibrationData(paths: [latin, good, talk])
    #expect(data.texts == ["Once upon a time", "One.", "Two."])
    #expect(data.defects.map(\.path) == [latin, talk])
    #expect(data.files == [good, talk])
    do {
      _ = try CalibrationData(paths: [latin, latin, good])
      Issue.record("read more damage than text")
    } catch let error as CalibrationError {
      guard case .mostlyDamaged(2, 3, _) = error.problem else {
        Issue.record("\(error)")
        return
      }
      #expect(error.description.contains("latin"))
    }
  }

  @Test("lines of a file that are wrong are told together, with their number and the first")
  func toldTogether() throws {
    let turn = #"{"messages": [{"role": "tool", "content": "x"}]}"#
    let lines = (0..<9).map { $0 % 3 == 1 ? turn : #"{"text": "One \#($0)."}"# }
    let talk = try write(lines.joined(separator: "\n"), "talk.jsonl")
    let other = try write(lines[..<3].joined(separator: "\n"), "other.jsonl")
    let data = try CalibrationData(paths: [talk, other])
    #expect(data.defects.map(\.count) == [3, 1])
    let reason = "found role 'tool', expected system, user or assistant"
    #expect(
      data.defects.map(\.description) == [
        "\(talk): 3 of 9 conversations, the first in line 2: \(reason)",
        "\(other): line 2: \(reason)",
      ])
    let most = try write([String](repeating: turn, count: 9).joined(separator: "\n"), "most.jsonl")
    let error = thrownError(CalibrationError.self) {
      try CalibrationData(paths: [talk, other, most])
    }
    guard case .mostlyDamaged(13, 21, _)? = error?.problem else {
      Issue.record("\(String(describing: error))")
      return
    }
  }

  @Test("pictures that cannot be decoded are found once, and told")
  func damagedPictures() throws {
    let png = try Data(
      contentsOf: URL(fileURLWithPath: CalibrationFixture.pictures + "/coffee.png"))
    let half = try write(Array(png.prefix(png.count / 2)), "half.png")
    var told: [CalibrationError] = []
    let check = PictureCheck(tell: { told.append($0) }) {
      try $0.open().readRows(alpha: false) { _, _, _ in }
    }
    let whole = CalibrationFixture.pictures + "/coffee.png"
    #expect(try check.isUsable(.file(whole)))
    for _ in 0..<2 { #expect(try !check.isUsable(.file(half))) }
    #expect(try check.isUsable(.drawn(3)))
    #expect(told.map(\.path) == [half])
    try check.requireMost()
    #expect(try !check.isUsable(.file(folder.path("absent.png"))))
    #expect(throws: CalibrationError.self) { try check.requireMost() }
  }

  @Test("what is no data is refused")
  func refused() throws {
    let bytes = try write([0, 1, 2, 0xff], "bytes")
    let latin = try write([0x61, 0xe9, 0x62], "latin")
    let empty = try write([], "empty")
    for path in [bytes, latin, empty] {
      #expect(throws: CalibrationError(path: path, .notData)) {
        try CalibrationData(paths: [path])
      }
    }
    let pointer = try write(Array("version https://git-lfs.github.com/spec/v1\noid".utf8), "lfs")
    let error = thrownError(CalibrationError.self) { try CalibrationData(paths: [pointer]) }
    #expect(
      error?.description
        == "\(pointer): is a Git LFS pointer, expected data to calibrate on; fetch the file itself "
        + "first: git lfs pull")
    let hollow = folder.path("hollow")
    try FileManager.default.createDirectory(atPath: hollow, withIntermediateDirectories: true)
    #expect(throws: CalibrationError(path: hollow, .emptyFolder)) {
      try CalibrationData(paths: [hollow])
    }
  }

  /// One picture and two places for it, behind a line that is right.
  private static let twoMarks = #"""
    {"text": "x"}
    {"image": "a.png", "messages": [{"role": "user", "content": "<image><image>"}]}
    """#

  @Test("a sequence is cut behind a whole picture or not at all")
  func cuts() {
    let mark = ImagePrompt.sentinel
    let sequence = TokenSequence(ids: [1, 2, mark, 3, 4], pictures: [.drawn(1)])
    #expect(sequence.positions(visual: 10) == 14)
    #expect(sequence.cut(to: 14, visual: 10) == sequence)
    #expect(sequence.cut(to: 13, visual: 10)?.ids == [1, 2, mark, 3])
    #expect(sequence.cut(to: 11, visual: 10) == nil)
    #expect(TokenSequence(ids: [1, 2, 3]).cut(to: 2, visual: 10)?.ids == [1, 2])
  }
}
