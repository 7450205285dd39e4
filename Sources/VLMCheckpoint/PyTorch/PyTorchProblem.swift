import VLMFoundation
import VLMTensor

/// What can be wrong with a PyTorch checkpoint, in addition to `CheckpointError.Problem`.
package enum PyTorchProblem: Sendable, Equatable {
  // The archive
  case zip(String)
  case noPickle(String)
  case checksum(found: UInt32, expected: UInt32)
  case inflate(String)
  case inflatesTooFar(bytes: Int, limit: Int)
  case byteOrder(String)
  // The pickle, with the byte where it stands
  case pickle(String)
  case pickleTooLarge(bytes: Int, limit: Int)
  case opcode(UInt8, name: String)
  case protocolVersion(Int)
  case forbiddenGlobal(String)
  case oddGlobal(module: String, name: String)
  case wholeModule(String)
  // The legacy stream
  case legacy(String)
  // Storages and tensors
  case storage(String)
  case tensor(String)
  case unsupportedTensor(String)
  // The tree
  case tooManyNodes(limit: Int)
  /// Memory of the pickle's values, in bytes; the limit depends on the file's size.
  case valuesTooLarge(limit: Int)
  /// Memory of the tensors up to the one named.
  case tensorsTooLarge(limit: Int)
  case tooDeep(limit: Int)
  case rootIsNoState(String)
  case noSuchState(String, choices: [String])

  package func text(_ words: Wording) -> String {
    switch self {
    case .zip(let text), .noPickle(let text), .inflate(let text), .pickle(let text),
      .legacy(let text), .storage(let text), .tensor(let text):
      text
    case .checksum(let found, let expected):
      "the CRC-32 is 0x\(String(found, radix: 16)), expected 0x\(String(expected, radix: 16)); "
        + "the file is damaged" + words.end(.skipChecksums)
    case .inflatesTooFar(let bytes, let limit):
      "inflates to \(bytes) bytes, expected at most \(limit) for a file of this size"
    case .byteOrder(let found): "the byte order is '\(shown(found))', expected 'little' or 'big'"
    case .pickleTooLarge(let bytes, let limit):
      "the pickle has \(bytes) bytes, expected at most \(limit)"
    case .opcode(let code, let name):
      "the pickle opcode 0x\(String(code, radix: 16)) (\(name)) is not one that checkpoints use"
    case .protocolVersion(let version): "pickle protocol \(version), expected 2 to 5"
    case .forbiddenGlobal(let name):
      "names '\(shown(name))', which no checkpoint needs and which could run code or change "
        + "files; nothing was run, and the file is refused"
        + (name == "torch.storage._load_from_bytes"
          ? "; pickle.dump writes tensors so, torch.save(model.state_dict(), FILE) does not" : "")
    case .oddGlobal(let module, let name):
      "names '\(shown(module))' '\(shown(name))', expected the plain names of a module and a class"
    case .wholeModule(let name):
      "holds a whole module of class '\(shown(name))', expected a state dict; save "
        + "model.state_dict() instead"
    case .unsupportedTensor(let kind): "is a \(shown(kind)), which cannot be read"
    case .tooManyNodes(let limit): "the pickle has more than \(limit) values"
    case .valuesTooLarge(let limit):
      "the pickle's values take more than \(limit) bytes of memory, which is all that a file of this "
        + "size may"
    case .tensorsTooLarge(let limit):
      "the tensors up to this one, with their names, take more than \(limit) bytes of memory, which "
        + "is all that a file of this size may; the pickle refers to the same ones again and again"
    case .tooDeep(let limit): "values are nested more than \(limit) deep"
    case .rootIsNoState(let kind): "holds \(shown(kind)), expected a dictionary of tensors"
    case .noSuchState(let name, []): "no state '\(shown(name))': the file holds one"
    case .noSuchState(let name, let choices):
      "no state '\(shown(name))', expected one of "
        + choices.prefix(20).map { "'\(shown($0))'" }.joined(separator: ", ")
    }
  }

  private func shown(_ text: String) -> String { text.escapedForDisplay(limit: 120) }
}

/// A problem in a pickle, and its byte offset in the pickle.
struct PickleFault: Error {
  let offset: Int
  let problem: PyTorchProblem
}
