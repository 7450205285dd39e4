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
      throw SignatureError(path: file.path, .notSigned(expected: path, .sign(file.path)))
    }
    let found = try Signature(path: path)
    return (found, try verify(file, by: found, progress: progress))
  }

  /// The signature of what a packed file unpacks to, by one of the keys. It is the one that the
  /// container would have if it lay, unpacked, beside the packed file: `model.vlmz.minisig` for
  /// `model.vlmzp`. Nothing is unpacked for this.
  ///
  /// - Parameter packed: the name of the packed file.
  /// - Throws: `SignatureError`, where it is not there or by none of the keys.
  package func signature(ofPacked packed: String) throws(SignatureError) -> Signature {
    let unpacked = packed.unpackedName
    return try signature(
      of: unpacked, at: Signature.path(of: unpacked),
      remedy: FileSystem.exists(unpacked) ? .sign(unpacked) : .getSignature(isNamed: false))
  }

  /// The signature of a file that need not be there yet, by one of the keys.
  ///
  /// - Parameters:
  ///   - file: its name, for messages.
  ///   - path: that of the signature.
  ///   - remedy: what helps where it is not there.
  /// - Throws: `SignatureError`, where it is not there or by none of the keys.
  package func signature(
    of file: String, at path: String, remedy: Remedy
  ) throws(SignatureError) -> Signature {
    guard FileSystem.exists(path) else {
      throw SignatureError(path: file, .notSigned(expected: path, remedy))
    }
    let found = try Signature(path: path)
    _ = try found.author(among: keys)
    return found
  }

  /// Checks that one of the keys signed a container that was unpacked, every byte of it.
  ///
  /// - Parameters:
  ///   - signature: that of the container.
  ///   - progress: called with the bytes that were hashed, and the total.
  /// - Throws: `SignatureError`.
  package func verify(
    _ container: Container, by signature: Signature, progress: ((Int, Int) -> Void)? = nil
  ) throws(SignatureError) {
    let file = container.file
    try verify(file, by: signature) { progress?($0, file.count) }
    try container.checkStatements(of: signature)
  }

  /// Checks that one of the keys made a signature of these bytes.
  ///
  /// - Parameters:
  ///   - name: what messages call the file; nil for its path.
  ///   - progress: called with the bytes that were hashed.
  /// - Returns: the key.
  /// - Throws: `SignatureError`.
  @discardableResult
  package func verify(
    _ file: MappedFile, by found: Signature, named name: String? = nil,
    progress: ((Int) -> Void)? = nil
  ) throws(SignatureError) -> PublicKey {
    let key = try found.author(among: keys)
    let digest = try BLAKE2b.digest(of: file, progress: progress)
    guard key.verifies(found.signature, of: digest) else {
      throw SignatureError(
        path: name ?? file.path, .otherBytes(signature: found.path, key: key.identifier))
    }
    return key
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
    try signature.checkStatements(rootHash: rootHash)
  }
}

extension Signature {
  /// Checks that what the comment says of a container with this root hash is true.
  package func checkStatements(rootHash: [UInt8]) throws(SignatureError) {
    let root = hexadecimal(rootHash)
    if let other = statedRoots.first(where: { $0 != root }) {
      throw SignatureError(path: path, .root(found: other, expected: root))
    }
  }
}
