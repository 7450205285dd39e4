import Foundation
import Testing
import VLMTestSupport

/// What strangers' files and lines may cost the commands.
@Suite("Work and memory on a file's word", .serialized)
struct WorkLimitTests {
  private let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  private func model() throws -> String {
    let path = folder.path("stories.vlmz")
    let outcome = try CommandRunner.convert(TestFiles.fixture("stories260K"), path, "--f32", "-q")
    try #require(outcome.status == 0, "\(outcome.errors)")
    return path
  }

  @Test(
    "a question that no context holds is refused in a few times its memory",
    arguments: [
      [UInt8(0x61)], [0x20, 0x61], [0x00], [0xe4, 0xb8, 0xad], [0x09], [0x0a],
    ])
  func longQuestion(_ letters: [UInt8]) throws {
    let bytes = 16 << 20
    let stories = try model()
    let line = Data(repeatElement(letters, count: bytes / letters.count).joined())
    let file = folder.url.appendingPathComponent("line.txt")
    try line.write(to: file)
    // The program and the model take some 100 MB of address space; 40 times the line was taken once.
    let kilobytes = 300_000 + 8 * bytes / 1024
    // Line feeds are no question of a chat, but empty lines.
    for arguments in [["-p", "-"]] + (letters == [0x0a] ? [] : [["--chat"]]) {
      let command = try RunningCommand(
        "vlm-run", [stories, "-n", "1", "-q"] + arguments,
        prelude: "exec < '\(file.path)'; ulimit -c 0; ulimit -v \(kilobytes)")
      let outcome = try command.finish()
      #expect(outcome.status == 65, "\(outcome.errors.prefix(300))")
      #expect(outcome.errors.contains("positions at the least, expected at most 512"))
    }
  }

  @Test("white space that a template takes off counts where it is more than 1 MiB")
  func whiteSpaceAtTheEnds() throws {
    let stories = try model()
    for (spaces, status) in [(1 << 20, 0), ((1 << 20) + 1, 65)] as [(Int, Int32)] {
      let space = String(repeating: "\t", count: spaces / 2)
      let rest = String(repeating: "\n", count: spaces - spaces / 2)
      let file = folder.url.appendingPathComponent("question.txt")
      // The last line feed ends the input's line.
      try Data((space + "Once" + rest + "\n").utf8).write(to: file)
      let command = try RunningCommand(
        "vlm-run", [stories, "--template", "gemma", "-n", "1", "-q", "-p", "-"],
        prelude: "exec < '\(file.path)'")
      let outcome = try command.finish()
      #expect(outcome.status == status, "\(outcome.errors.prefix(300))")
      #expect(
        outcome.errors.contains("\(spaces) of them white space at its ends") == (status == 65))
    }
  }

  private func safetensors(_ names: [String]) throws -> String {
    let entries = names.map { "\"\($0)\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]}" }
    let header = Array("{\(entries.joined(separator: ","))}".utf8)
    let count = withUnsafeBytes(of: UInt64(header.count).littleEndian) { Array($0) }
    return try folder.write("names.safetensors", count + header)
  }

  @Test("headers of names that no model has are refused before they are looked at part by part")
  func names() throws {
    let dots = String(repeating: ".", count: 900)
    let wrapped = String(repeating: "module.", count: 100)
    for names in [
      (0..<100_000).map { "model.layers.\($0).self_attn.q_proj.weight" },
      (0..<20_000).map { dots + "\($0)" }, (0..<20_000).map { wrapped + "w\($0)" },
    ] {
      let outcome = try CommandRunner.convert(
        try safetensors(names), folder.path("out.vlmz"), "-q")
      #expect(outcome.status == 65)
      #expect(
        outcome.errorLine.contains("\(names.count) tensors of no model known here"),
        "\(outcome.errors.prefix(300))")
    }
  }

  @Test(
    "reported files end in an error",
    .enabled(if: TestFiles.hasCases, Comment(rawValue: TestFiles.casesReason)),
    arguments: ["tokenizer-long-added-token", "tokenizer-rstrip-space"])
  func reported(_ name: String) throws {
    let path = TestFiles.shared.appendingPathComponent("cases/hostile/\(name)/hang.vlmz").path
    try #require(TestFiles.exists(path))
    let outcome = try CommandRunner.vlmRun(path, "-p", "hello world", "-n", "1", "-q")
    #expect(outcome.status == 65)
    #expect(outcome.errorLine.contains("positions, expected at most 512"))
  }
}
