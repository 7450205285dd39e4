import ArgumentParser
import VLMCommandLine
import VLMContainer
import VLMFoundation
import VLMSignature

#if canImport(Glibc)
  import Glibc
#endif

struct Sign: ParsableCommand {
  static var configuration: CommandConfiguration {
    CommandConfiguration(
      commandName: "sign", abstract: "Sign a .vlmz file, so that others can tell whose it is.",
      discussion: """
        The signature covers every byte of the file, lies beside it, and is minisign's: \
        'minisign -Vm MODEL -p PUBLIC.key' checks it, and so do 'vlm-run --trust' and \
        'vlm-convert verify-signature'. The file's checksums are checked before.
        """)
  }

  @Argument(help: "A .vlmz file.")
  var file: String

  @Option(
    help: ArgumentHelp(
      "The secret key, a file of 'generate-key' or of minisign; '-' is standard input.",
      valueName: "file"))
  var key: String

  @OptionGroup var password: PasswordOptions

  @Option(
    name: .shortAndLong,
    help: ArgumentHelp("Where the signature goes; default: MODEL.minisig.", valueName: "file"))
  var output: String?

  @Option(
    help: ArgumentHelp(
      "What else is to be signed, such as a name and a version; whoever verifies is shown it.",
      valueName: "text"))
  var comment: String?

  @Flag(help: "Replace an existing signature.")
  var force = false

  @Flag(name: .shortAndLong, help: "No progress, no report.")
  var quiet = false

  func validate() throws {
    try OutputOptions.requireFile(output)
    guard key != "-" || password.passwordFile != "-" else {
      throw ValidationError("'-' can be read once")
    }
  }

  func run() throws {
    let path = output ?? Signature.path(of: file)
    let container = try Container.open(path: file)
    try OutputFile.check(path, overwrite: force)
    Report.outliveReader()
    let secret = try SecretKey.read(path: key) { try password.password() }
    let progress = Progress(
      "signing", total: container.file.count, unit: .bytes, quiet: quiet)
    defer { progress.finish() }
    // Nobody should vouch for a damaged file.
    if let defect = try container.verify(strict: false).first { throw defect }
    let signature = try secret.sign(
      container, path: path, time: Int(time(nil)), comment: comment
    ) { progress.update($0) }
    let output = try OutputFile(path: path, overwrite: force)
    try output.write(signature.fileContent)
    try output.commit()
    progress.finish()
    guard !quiet else { return }
    Report.line("\(path.escapedForDisplay()): signed by key \(signature.identifier)")
    Report.line("  \(signature.trustedComment.shownComment)")
  }
}

extension String {
  /// A trusted comment for a terminal: its tabs as spaces.
  var shownComment: String {
    split(separator: "\t").map { $0.description.escapedForDisplay(limit: 8192) }
      .joined(separator: "  ")
  }
}
