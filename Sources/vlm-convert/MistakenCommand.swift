import ArgumentParser
import VLMCommandLine
import VLMFoundation

/// A subcommand that was misspelt or put in the wrong place: since `convert` is the default, the
/// parser takes its name for a file.
enum MistakenCommand {
  private static var names: [String] {
    VLMConvertCommand.configuration.subcommands.compactMap { $0.configuration.commandName }
  }

  /// - Throws: `ValidationError` for an input that is not there and nearly the name of a
  ///   subcommand, and for an output that is the name of one.
  static func check(input: String, output: String?) throws {
    if !FileSystem.exists(input), names.contains(input) {
      throw ValidationError(
        "found the command '\(input)' behind an option; it comes first: vlm-convert \(input)")
    }
    if !FileSystem.exists(input), let name = Suggestion.nearest(to: input, of: names) {
      throw ValidationError(
        "unknown command '\(input.escapedForDisplay())'; did you mean '\(name)'?")
    }
    if let output, names.contains(output) {
      throw ValidationError(
        "found '\(output)' as the output, which is a command: vlm-convert \(output) "
          + "\(input.quotedForShell); ./\(output) is a file")
    }
  }
}
