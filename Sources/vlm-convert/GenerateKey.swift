import ArgumentParser
import VLMCommandLine
import VLMFoundation
import VLMSignature

struct GenerateKey: ParsableCommand {
  static var configuration: CommandConfiguration {
    CommandConfiguration(
      commandName: "generate-key", abstract: "Make a pair of keys to sign models with.",
      discussion: """
        Writes NAME.key, which is secret and signs, and NAME.pub, which is given to whoever is to trust \
        it. minisign reads both, and its own keys can be used instead.
        """)
  }

  @Argument(help: "The keys' name, without an ending.")
  var name: String

  @OptionGroup var password: PasswordOptions

  @Flag(help: "No password: whoever can read NAME.key can sign.")
  var unprotected = false

  @Flag(name: .shortAndLong, help: "No report.")
  var quiet = false

  func validate() throws {
    guard !unprotected || password.passwordFile == nil else {
      throw ValidationError("--unprotected and --password-file exclude each other")
    }
    try OutputOptions.requireFile(name)
    guard !name.isEmpty else { throw ValidationError("expected a name for the keys") }
  }

  func run() throws {
    let (secretPath, publicPath) = (name + ".key", name + ".pub")
    // A lost key cannot be had again, so nothing replaces one.
    for path in [secretPath, publicPath] {
      if FileSystem.exists(path) { throw SignatureError(path: path, .keyExists) }
      try OutputFile.check(path, overwrite: false)
    }
    Report.outliveReader()
    let secret = unprotected ? nil : try password.newPassword()
    guard let key = SecretKey() else { throw SignatureError(path: secretPath, .unavailable) }
    guard let content = key.fileContent(password: secret) else {
      throw SignatureError(path: secretPath, .memory(SecretKey.Cost.sensitive.memory))
    }
    let secretFile = try OutputFile(path: secretPath, overwrite: false, isSecret: true)
    try secretFile.write(content)
    let publicFile = try OutputFile(path: publicPath, overwrite: false)
    try publicFile.write(key.publicKey.fileContent)
    try secretFile.commit()
    try publicFile.commit()
    guard !quiet else { return }
    Report.line("\(secretPath.escapedForDisplay()): secret key, signs; keep it to yourself")
    Report.line("\(publicPath.escapedForDisplay()): public key \(key.publicKey.base64)")
  }
}
