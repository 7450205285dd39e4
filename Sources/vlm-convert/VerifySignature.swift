import ArgumentParser
import VLMCommandLine
import VLMContainer
import VLMFoundation
import VLMSignature

struct VerifySignature: ParsableCommand {
  static var configuration: CommandConfiguration {
    CommandConfiguration(
      commandName: "verify-signature", abstract: "Check who signed a file.",
      discussion: """
        Exit status 0: one of the keys signed every byte of it; 2: none did; others: an error.
        """)
  }

  @Argument(help: "A .vlmz file, or any other that minisign or this program signed.")
  var file: String

  @Option(
    help: ArgumentHelp(
      "A public key: base64, or the name of its file; can be given several times.",
      valueName: "key"))
  var key: [String] = []

  @Option(
    help: ArgumentHelp("The signature; default: MODEL.minisig.", valueName: "file"))
  var signature: String?

  @Flag(help: "Print one JSON object.")
  var json = false

  @Flag(name: .shortAndLong, help: "Say nothing; the exit status tells.")
  var quiet = false

  func validate() throws {
    guard !key.isEmpty else {
      throw ValidationError("--key: expected the public key of whoever should have signed")
    }
  }

  func run() throws {
    guard let keys = try TrustedKeys(key) else { return }
    let mapped = try MappedFile(path: file)
    let progress = Progress("hashing", total: mapped.count, unit: .bytes, quiet: quiet || json)
    defer { progress.finish() }
    let found: (signature: Signature, key: PublicKey)
    do throws(SignatureError) {
      found = try keys.verify(mapped, signature: signature) { progress.update($0) }
      try checkStatements(of: found.signature, mapped)
    } catch {
      guard error.isDistrust else { throw error }
      progress.finish()
      if json {
        let object: JSONValue = ["schema": 1, "signed": false, "problem": .string(error.shown)]
        Report.line(object.serialized(pretty: true))
      } else if !quiet {
        Report.note("vlm-convert: \(error.shown)")
      }
      throw ExitCode(ExitStatus.difference.rawValue)
    }
    progress.finish()
    let comment = found.signature.trustedComment
    if json {
      let object: JSONValue = [
        "schema": 1, "signed": true, "key": .string(found.key.base64),
        "key_id": .string(found.key.identifier), "trusted_comment": .string(comment),
      ]
      Report.line(object.serialized(pretty: true))
    } else if !quiet {
      Report.line(
        "\(file.escapedForDisplay()): signed by \(found.key.base64), key \(found.key.identifier)")
      Report.line("  \(comment.shownComment)")
    }
  }

  /// The same check as at opening, of files that are containers.
  private func checkStatements(
    of signature: Signature, _ file: MappedFile
  ) throws(SignatureError) {
    guard let container = try? Container(file) else { return }
    try container.checkStatements(of: signature)
  }
}
