import ArgumentParser
import VLMContainer
import VLMFoundation
import VLMSignature

/// Whose models a command opens.
package struct TrustOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Open models only that this public key of minisign's signed, every byte of them: base64, or the "
        + "name of its file; can be given several times. The signature is MODEL.minisig.",
      valueName: "key"))
  package var trust: [String] = []

  package init() {}

  /// The container at `path`, which has to be signed where keys were given.
  ///
  /// - Throws: `ContainerError`, `SignatureError`.
  package func open(_ path: String, quiet: Bool) throws -> Container {
    guard let keys = try TrustedKeys(trust) else { return try Container.open(path: path) }
    var progress: Progress?
    defer { progress?.finish() }
    return try Container.open(path: path, signedBy: keys) { done, total in
      if progress == nil {
        progress = Progress("checking the signature", total: total, unit: .bytes, quiet: quiet)
      }
      progress?.update(done)
    }
  }
}
