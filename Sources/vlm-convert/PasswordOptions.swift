import ArgumentParser
import VLMCommandLine
import VLMFoundation

/// The password of a secret key.
struct PasswordOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "A file whose first line is the key's password; '-' is standard input. Default: it is asked for.",
      valueName: "file"))
  var passwordFile: String?

  /// What minisign takes.
  private static let longest = 1023

  /// The password in the file; nil without a file.
  ///
  /// - Throws: `FileError`; `ValidationError` for a line that is too long.
  private func fromFile() throws -> [UInt8]? {
    guard let passwordFile else { return nil }
    let bytes = try ByteStream(path: passwordFile).takeAll(limit: 1 << 16)
    let line = bytes.map { Array($0.prefix { $0 != 0x0a && $0 != 0x0d }) }
    guard let line, !line.isEmpty, line.count <= Self.longest else {
      throw ValidationError(
        "--password-file: expected a first line of 1 to \(Self.longest) bytes")
    }
    return line
  }

  /// The password of a key that has one; nil where nobody says it.
  func password() throws -> [UInt8]? { try fromFile() ?? PasswordPrompt.ask("Password") }

  /// The password of a new key.
  ///
  /// - Throws: `ValidationError` where nobody says it, or two answers differ.
  func newPassword() throws -> [UInt8] {
    if let password = try fromFile() { return password }
    guard let first = PasswordPrompt.ask("Password of the new key"), !first.isEmpty else {
      throw ValidationError(
        "expected a password: --password-file names a file with one, --unprotected does without")
    }
    guard PasswordPrompt.ask("The same again") == first else {
      throw ValidationError("the two passwords differ")
    }
    return first
  }
}
