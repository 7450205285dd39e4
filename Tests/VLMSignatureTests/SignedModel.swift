import Foundation
import VLMContainer
import VLMFoundation
import VLMTestSupport

@testable import VLMSignature

/// A small container with a signature by the fixtures' first key, in a folder of its own.
///
/// `scripts/make-signature-fixtures` makes the keys and signatures, with minisign.
struct SignedModel {
  static let golden = TestFiles.root.appendingPathComponent(
    "formats/golden/accept/A02-two-tensors.vlmz"
  ).path

  static func fixture(_ name: String) -> String { TestFiles.fixture("signatures/" + name) }

  let folder: TemporaryFolder
  /// "model.vlmz", with the signature `signature` of the fixtures beside it.
  let path: String

  init(signature: String = "model.vlmz.minisig") throws {
    folder = try TemporaryFolder()
    path = try folder.write("model.vlmz", Self.bytes(Self.golden))
    try folder.write("model.vlmz.minisig", Self.bytes(Self.fixture(signature)))
  }

  static func bytes(_ path: String) throws -> [UInt8] {
    Array(try Data(contentsOf: URL(fileURLWithPath: path)))
  }

  static func key(_ name: String) throws -> PublicKey { try PublicKey(path: fixture(name)) }

  /// The fixtures' first key, which has no password.
  static func secretKey() throws -> SecretKey {
    try SecretKey.read(path: fixture("a.key")) { nil }
  }

  /// Opens the model as its keys' owners trust it.
  @discardableResult
  func open(_ keys: String...) throws -> Container {
    let trusted = try TrustedKeys(keys.map(Self.fixture))
    return try Container.open(path: path, signedBy: trusted!)
  }

  /// Why the model is refused; nil where it is opened.
  func problem(_ keys: String...) throws -> SignatureError.Problem? {
    let trusted = try TrustedKeys(keys.map(Self.fixture))
    return thrownError(SignatureError.self) {
      try Container.open(path: path, signedBy: trusted!)
    }?.problem
  }

  /// Signs a container in the folder with the fixtures' first key.
  func sign(_ name: String = "model.vlmz", comment: String? = nil) throws {
    let container = try Container.open(path: folder.path(name))
    let signature = try Self.secretKey().sign(
      container, path: name, time: 1_795_000_000, comment: comment)
    try folder.write(name + ".minisig", signature.fileContent)
  }
}
