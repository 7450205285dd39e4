import Foundation
import Testing
import VLMFoundation

/// What the commands say of themselves decides which options name one file.
@Suite("Options for files, given twice")
struct RepeatedOptionTests {
  struct Option: Sendable {
    let program: String
    let subcommand: [String]
    let name: String
  }

  /// Every option of a program whose value is a file and that does not say that it repeats.
  static func options(of program: String) throws -> [Option] {
    let outcome = try CommandRunner.run(program, ["--experimental-dump-help"])
    try #require(outcome.status == 0, "\(outcome.errors)")
    let dump = try JSONValue.parse(outcome.output)
    let root = try #require(dump["command"])
    return found(root, program, [])
  }

  private static func found(
    _ command: JSONValue, _ program: String, _ subcommand: [String]
  ) -> [Option] {
    var options: [Option] = []
    for argument in command["arguments"]?.arrayValue ?? [] {
      let value = argument["valueName"]?.stringValue ?? ""
      guard argument["kind"]?.stringValue == "option",
        argument["isRepeating"]?.boolValue == false,
        ["file", "path", "folder"].contains(where: value.contains)
      else { continue }
      for name in argument["names"]?.arrayValue ?? [] {
        let letters = name["name"]?.stringValue ?? ""
        let dashes = name["kind"]?.stringValue == "long" ? "--" : "-"
        options.append(
          Option(program: program, subcommand: subcommand, name: dashes + letters))
      }
    }
    for child in command["subcommands"]?.arrayValue ?? [] {
      guard let name = child["commandName"]?.stringValue else { continue }
      options += found(child, program, subcommand + [name])
    }
    return options
  }

  @Test("are refused, whatever the command", arguments: ["vlm-run", "vlm-convert", "vlm-serve"])
  func refused(_ program: String) throws {
    let options = try Self.options(of: program)
    #expect(!options.isEmpty)
    for option in options {
      let outcome = try CommandRunner.run(
        program, option.subcommand + [option.name, "a", option.name, "b"])
      let command = "\(program) \(option.subcommand.joined(separator: " ")) \(option.name)"
      #expect(outcome.status == 64, "\(command)")
      #expect(
        outcome.errorLine.contains("found 'a' and 'b', expected one"),
        "\(command): \(outcome.errors)")
    }
  }

  @Test("a text that reads as such an option is a text")
  func texts() throws {
    let outcome = try CommandRunner.run(
      "vlm-run", ["none.vlmz", "-p", "--embed", "--embed", "a.npy", "--system", "--embed"])
    #expect(outcome.errors.contains("none.vlmz"))
    #expect(!outcome.errors.contains("expected one"))
  }
}
