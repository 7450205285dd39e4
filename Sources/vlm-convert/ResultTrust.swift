import ArgumentParser
import VLMCommandLine
import VLMFoundation
import VLMSignature

/// Whose signature a model has to have that a command makes.
struct ResultTrustOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Make the file only if this public key of minisign's signed it, every byte of it: base64, or "
        + "the name of its file; can be given several times.", valueName: "key"))
  var trust: [String] = []

  @Option(
    help: ArgumentHelp(
      "With --trust: the signature of the file that is made, which comes to lie beside it.",
      valueName: "file"))
  var signature: String?

  func validate() throws {
    guard signature == nil || !trust.isEmpty else {
      throw ValidationError("--signature: goes with --trust KEY, whose it should be")
    }
  }

  /// The signature that the file has to have, where keys were given. It is there and by one of them:
  /// so much is known before anything is made.
  ///
  /// - Parameters:
  ///   - output: the file that is made.
  ///   - usual: the signature where the user names none.
  ///   - overwrite: replace one that lies beside the output.
  /// - Throws: `SignatureError`, `FileError`.
  func expected(
    for output: String, usual: String, overwrite: Bool
  ) throws -> ExpectedSignature? {
    guard let keys = try TrustedKeys(trust) else { return nil }
    let path = signature ?? usual
    let found = try keys.signature(
      of: output, at: path, remedy: .getSignature(isNamed: true))
    let place = Signature.path(of: output)
    let isInPlace = FileSystem.resolved(path).map { $0 == FileSystem.resolved(place) } ?? false
    // An earlier run may have put it there.
    let isThere = isInPlace || Self.isCopy(place, of: path)
    if !isThere { try OutputFile.check(place, overwrite: overwrite) }
    return ExpectedSignature(
      keys: keys, signature: found, output: output, place: isThere ? nil : place)
  }

  private static func isCopy(_ place: String, of path: String) -> Bool {
    guard let copy = try? MappedFile(path: place, isInput: false),
      let original = try? MappedFile(path: path, isInput: false)
    else { return false }
    defer { withExtendedLifetime((copy, original)) {} }
    return copy.bytes(0..<copy.count).elementsEqual(original.bytes(0..<original.count))
  }
}

/// A signature by a trusted key, of a file that has yet to be the one that was signed.
struct ExpectedSignature {
  fileprivate let keys: TrustedKeys
  fileprivate let signature: Signature
  fileprivate let output: String
  /// Where it is copied to; nil where it lies there.
  fileprivate let place: String?

  /// Checks that what the signature says of a model's root hash is true.
  ///
  /// - Throws: `SignatureError`.
  func check(rootHash: [UInt8]) throws(SignatureError) {
    try signature.checkStatements(rootHash: rootHash)
  }

  /// Checks that it is the signature of these bytes.
  ///
  /// - Throws: `SignatureError`.
  func check(_ file: MappedFile, quiet: Bool) throws(SignatureError) {
    let progress = Progress(
      "checking the signature", total: file.count, unit: .bytes, quiet: quiet)
    defer { progress.finish() }
    try keys.verify(file, by: signature, named: output) { progress.update($0) }
  }

  /// Puts it beside the file, which has been found to be the one that was signed.
  ///
  /// - Throws: `FileError`.
  func install() throws(FileError) {
    guard let place else { return }
    try OutputFile.copy(MappedFile(path: signature.path), to: place, overwrite: true)
  }
}

extension OutputFile {
  /// Writes a small file anew. A second name of it would not do: who writes into one would change
  /// both.
  static func copy(_ file: MappedFile, to path: String, overwrite: Bool) throws(FileError) {
    defer { withExtendedLifetime(file) {} }
    let output = try OutputFile(path: path, overwrite: overwrite)
    try output.write(file.bytes(0..<file.count))
    try output.commit()
  }
}
