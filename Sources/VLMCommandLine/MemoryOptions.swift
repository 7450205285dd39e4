import ArgumentParser
import VLMFoundation

/// How much memory a command may take.
package struct MemoryOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Memory for weights and all else, such as 1GB; weights that have no room are read from the file "
        + "each time they are used, ahead of their use. Default: what the machine has free.",
      valueName: "size"))
  package var memory: String?

  package init() {}

  package func validate() throws {
    guard let memory else { return }
    let bytes = try ByteSize.parse(memory, option: "--memory")
    guard bytes >= MemoryUse.least else {
      throw ValidationError(
        "--memory: found '\(memory.escapedForDisplay())', expected \(MemoryUse.least >> 20)MiB or more"
      )
    }
  }

  /// The option as a value, once it is validated.
  package var use: MemoryUse {
    guard let memory, let bytes = try? ByteSize.parse(memory, option: "--memory") else {
      return .automatic
    }
    return .limited(bytes)
  }

  /// Says that weights are read as they are used, where nobody asked for it.
  package func warn(_ weights: Int, limit: Int, quiet: Bool, program: String) {
    guard memory == nil, !quiet else { return }
    Report.warning(
      "the weights take \(byteText(weights)) and memory has room for \(byteText(limit)): they are read "
        + "again each time they are used; --memory says how much they may take", program: program)
  }
}
