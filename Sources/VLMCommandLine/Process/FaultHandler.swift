import CVLMCommandLine

/// What a command says when a mapped file is cut short or its disk fails under a read, or memory is
/// exhausted: conditions that reach the process as a signal.
package enum FaultHandler {
  /// From now on such a read ends the process with status 74 and one line
  /// `<program>: <path>: changed or failed to read while in use`; exhausted memory ends it with
  /// status 71 and a line. Unfinished outputs are removed. Called once, by `main`.
  package static func install(program: String) { vlm_install_fault_handler(program) }
}
