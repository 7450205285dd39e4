import ArgumentParser
import VLMKernels
import VLMTensor

#if canImport(Glibc)
  import Glibc
#endif

/// The version of the product.
package let productVersion = "0.1.0"

/// Runs a command with the conventions that all of ours share: one line of error with the status of
/// `ExitStatus`, Ctrl-C that leaves nothing behind, a closed pipe that is no error.
package func runCommand<Command: ParsableCommand>(_ type: Command.Type, program: String) {
  occupyStandardDescriptors()
  // OpenBLAS reads it as it is loaded; without, it starts a thread per processor that stays idle.
  setenv("OPENBLAS_NUM_THREADS", "1", 1)
  do {
    // Less and the Swift runtime fails in ways that tell nothing.
    try SystemMemory.require(16 << 20, for: "memory")
    try TerminationSignals.install()
    FaultHandler.install(program: program)
    var command = try Command.parseAsRoot()
    try command.run()
  } catch let error as any ReportableError {
    Report.fail(error, program: program)
  } catch let error as ExitCode {
    exit(error.rawValue)
  } catch {
    // Help, version and usage errors are ArgumentParser's own.
    let status = Command.exitCode(for: error)
    if status == .validationFailure, Report.wantsJSON {
      Report.fail(Command.message(for: error), status: status.rawValue, program: program)
    }
    if status == .success || status == .validationFailure { Command.exit(withError: error) }
    Report.fail(error, program: program)
  }
}

/// Takes the numbers of standard streams that came closed, so that no file gets one of them and what
/// is meant for the terminal is not written into a model. Using such a stream stays an error.
private func occupyStandardDescriptors() {
  for descriptor in STDIN_FILENO...STDERR_FILENO where fcntl(descriptor, F_GETFD) < 0 {
    // The lowest free number is this one.
    _ = open("/dev/null", descriptor == STDIN_FILENO ? O_WRONLY : O_RDONLY)
  }
}

/// What `--version` prints: the product, the kernels in use, and the format that it reads.
package func versionText(program: String, formatVersion: Int) -> String {
  let kernels: String
  do throws(KernelError) { kernels = try KernelSet.selected().name } catch {
    kernels = "none, \(error.description)"
  }
  let all = KernelSet.all.map(\.name).joined(separator: ", ")
  return "\(program) \(productVersion)\nkernels: \(kernels) (this machine runs \(all))\n"
    + "threads: \((try? ThreadCount.selected()) ?? ThreadCount.available)\n"
    + "container format: \(formatVersion)"
}

/// The number of threads that `--threads`, `VLM_THREADS` or the machine says.
package func threadCount(option: Int?) throws -> Int {
  guard let option else { return try ThreadCount.selected() }
  guard (1...ThreadCount.maximum).contains(option) else {
    throw ValidationError("--threads: found \(option), expected 1 to \(ThreadCount.maximum)")
  }
  return option
}
