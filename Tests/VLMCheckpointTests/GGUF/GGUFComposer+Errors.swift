import Testing
import VLMCheckpoint
import VLMTestSupport

extension GGUFComposer {
  /// The error of reading the file; nil if it is read.
  func error(_ bytes: [UInt8]) throws -> CheckpointError? {
    let path = try folder.write("case.gguf", bytes)
    do throws(CheckpointError) {
      _ = try Checkpoint.readFile(path: path)
      return nil
    } catch {
      #expect(error.exitStatus == .badData)
      #expect(error.description.hasPrefix(path + ": "))
      #expect(!error.description.contains { $0.isNewline })
      return error
    }
  }

  func problem(_ bytes: [UInt8]) throws -> CheckpointError.Problem? { try error(bytes)?.problem }

  /// The problem if it is specific to GGUF.
  func gguf(_ bytes: [UInt8]) throws -> GGUFProblem? {
    if case .gguf(let problem)? = try problem(bytes) { problem } else { nil }
  }
}
