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
    return try Self.showingProgress(quiet) {
      try Container.open(path: path, signedBy: keys, progress: $0)
    }
  }

  /// Checks the signature of a container that was unpacked from `packed`, where keys were given.
  ///
  /// - Throws: `SignatureError`.
  package func check(_ container: Container, unpackedFrom packed: String, quiet: Bool) throws {
    guard let keys = try TrustedKeys(trust) else { return }
    try Self.showingProgress(quiet) {
      try keys.verify(container, unpackedFrom: packed, progress: $0)
    }
  }

  private static func showingProgress<Result>(
    _ quiet: Bool, _ body: (@escaping (Int, Int) -> Void) throws -> Result
  ) rethrows -> Result {
    var progress: Progress?
    defer { progress?.finish() }
    return try body { done, total in
      if progress == nil {
        progress = Progress("checking the signature", total: total, unit: .bytes, quiet: quiet)
      }
      progress?.update(done)
    }
  }
}
