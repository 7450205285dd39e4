import VLMContainer
import VLMFoundation

/// The keys of those whose files are used: one or more.
package struct TrustedKeys: Sendable, Equatable {
  package let keys: [PublicKey]

  /// - Parameter arguments: base64 of public keys, or names of their files; nil for none at all,
  ///   since that would trust nobody.
  package init?(_ arguments: [String]) throws(SignatureError) {
    guard !arguments.isEmpty else { return nil }
    var keys: [PublicKey] = []
    for argument in arguments { keys.append(try PublicKey(argument)) }
    self.keys = keys
  }

  package init(_ key: PublicKey) { keys = [key] }

  /// Checks that one of the keys signed a file, every byte of it.
  ///
  /// What is cheap is checked first: which key it is, then the comment, then the file.
  ///
  /// - Parameters:
  ///   - signature: its name; nil for the one beside the file.
  ///   - progress: called with the bytes of the file that were hashed.
  /// - Returns: the signature and the key that made it.
  /// - Throws: `SignatureError` for a file that none of the keys signed, or that cannot be read.
  package func verify(
    _ file: MappedFile, signature: String? = nil, progress: ((Int) -> Void)? = nil
  ) throws(SignatureError) -> (signature: Signature, key: PublicKey) {
    let path = signature ?? Signature.path(of: file.path)
    guard signature != nil || FileSystem.exists(path) else {
      throw SignatureError(path: file.path, .notSigned(expected: path))
    }
    let found = try Signature(path: path)
    let key = try found.author(among: keys)
    let digest = try BLAKE2b.digest(of: file, progress: progress)
    guard key.verifies(found.signature, of: digest) else {
      throw SignatureError(path: file.path, .otherBytes(signature: path, key: key.identifier))
    }
    return (found, key)
  }

  /// Checks that one of the keys signed a container that was unpacked, every byte of it. Its signature
  /// is the one that it would have if it lay, unpacked, beside the packed file: `model.vlmz.minisig` for
  /// `model.vlmzp`.
  ///
  /// - Parameters:
  ///   - packed: the name of the packed file.
  ///   - progress: called with the bytes that were hashed, and the total.
  /// - Throws: `SignatureError`.
  package func verify(
    _ container: Container, unpackedFrom packed: String, progress: ((Int, Int) -> Void)? = nil
  ) throws(SignatureError) {
    let unpacked = packed.hasSuffix(".vlmzp") ? String(packed.dropLast()) : packed
    let file = container.file, path = Signature.path(of: unpacked)
    guard FileSystem.exists(path) else {
      throw SignatureError(path: packed, .notSigned(expected: path))
    }
    let (signature, _) = try verify(file, signature: path) { progress?($0, file.count) }
    try container.checkStatements(of: signature)
  }
}

extension Container {
  /// Opens a container that one of `keys` signed. Nothing in it is looked at before its signature has
  /// been found to be right.
  ///
  /// - Parameter progress: called with the bytes that were hashed, and the total.
  /// - Throws: `SignatureError`, `ContainerError`.
  package static func open(
    path: String, signedBy keys: TrustedKeys, progress: ((Int, Int) -> Void)? = nil
  ) throws -> Container {
    let file: MappedFile
    do throws(FileError) { file = try MappedFile(path: path) } catch { throw SignatureError(error) }
    let (signature, _) = try keys.verify(file) { progress?($0, file.count) }
    // The same mapping: what is used is what was hashed.
    let container = try Container(file)
    try container.checkStatements(of: signature)
    return container
  }

  /// Checks that what a signature's comment says of the contents is true.
  package func checkStatements(of signature: Signature) throws(SignatureError) {
    let root = hexadecimal(rootHash)
    if let other = signature.statedRoots.first(where: { $0 != root }) {
      throw SignatureError(path: signature.path, .root(found: other, expected: root))
    }
  }
}
