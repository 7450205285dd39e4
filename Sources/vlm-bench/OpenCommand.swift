import ArgumentParser
import VLMBench
import VLMCommandLine
import VLMFoundation
import VLMTensor

#if canImport(Glibc)
  import Glibc
#endif

/// `vlm-bench open`: how long `vlm-run` takes before it computes anything.
struct OpenCommand: ParsableCommand {
  static var configuration: CommandConfiguration {
    CommandConfiguration(
      commandName: "open",
      abstract: "Time from the start of vlm-run until a model is ready.",
      discussion: """
        Starts 'vlm-run MODEL --dry-run' from beside this program and waits for its first byte, \
        which it writes when the model could look or answer: libraries loaded, the file mapped and \
        checked, layers, tokenizer, threads and memory set up. The file must be in the system's \
        cache; a first run, not counted, sees to what opening reads of it.
        """)
  }

  @Argument(help: "A .vlmz file.")
  var model: String

  @Option(help: "Times it is opened.")
  var runs = 21

  @Flag(help: "Print one JSON object.")
  var json = false

  func validate() throws {
    guard (1...10_000).contains(runs) else {
      throw ValidationError("--runs: found \(runs), expected 1 to 10000")
    }
  }

  func run() throws {
    let program = Self.folder() + "vlm-run"
    _ = try Self.milliseconds(program, model)
    let times = try (0..<runs).map { _ in try Self.milliseconds(program, model) }.sorted()
    let median = times[times.count / 2]
    if json {
      let object: JSONValue = [
        "schema": 1, "model": .string(model), "runs": .int(runs), "median_ms": .double(median),
        "least_ms": .double(times[0]), "most_ms": .double(times[times.count - 1]),
      ]
      Report.line(object.serialized(pretty: true))
    } else {
      Report.line(
        "open \(model.escapedForDisplay()): \(decimal(median, 1)) ms "
          + "(\(decimal(times[0], 1)) to \(decimal(times[times.count - 1], 1)) in \(runs) runs)")
    }
  }

  /// Where this program lies, with a slash at its end; empty where the shell found it and `/proc`,
  /// which would say where, is not there.
  private static func folder() -> String {
    let program = FileSystem.target(ofLink: "/proc/self/exe") ?? ProcessArguments.all.first ?? ""
    return program.splitAtLastSlash.folder
  }

  /// From the start of the process to its first byte on standard output.
  ///
  /// - Throws: `FileError` when it cannot be started, its own exit status when it fails.
  private static func milliseconds(_ program: String, _ model: String) throws -> Double {
    var ends: [Int32] = [0, 0]
    guard pipe(&ends) == 0 else {
      throw FileError(path: program, problem: .call("pipe", errno: errno))
    }
    // The program has its copy of the end to write to, and no more.
    for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    defer { close(ends[0]) }
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO)
    var arguments: [UnsafeMutablePointer<CChar>?] = []
    for text in [program, model, "--dry-run"] { arguments.append(text.withFileName { strdup($0) }) }
    arguments.append(nil)
    // What the program or its loader looks at.
    var settings: [UnsafeMutablePointer<CChar>?] = []
    for name in ["PATH", "LD_LIBRARY_PATH", "VLM_FORCE_ISA", "VLM_THREADS", "OMP_NUM_THREADS"] {
      if let value = getenv(name) {
        settings.append("\(name)=\(String(fileName: value))".withFileName { strdup($0) })
      }
    }
    settings.append(nil)
    defer { for text in arguments + settings { free(text) } }
    var process: pid_t = 0
    let start = Progress.now()
    let failure = program.withFileName {
      posix_spawnp(&process, $0, &actions, nil, &arguments, &settings)
    }
    close(ends[1])
    guard failure == 0 else {
      throw FileError(path: program, problem: .call("posix_spawn", errno: failure))
    }
    var byte: UInt8 = 0
    var count = read(ends[0], &byte, 1)
    while count < 0, errno == EINTR { count = read(ends[0], &byte, 1) }
    let seconds = Progress.now() - start
    // The rest, so that the program ends as it would.
    var rest = [UInt8](repeating: 0, count: 4096)
    while rest.withUnsafeMutableBytes({ read(ends[0], $0.baseAddress, $0.count) }) > 0 {}
    var status: Int32 = 0
    while waitpid(process, &status, 0) < 0, errno == EINTR {}
    guard count == 1, status == 0 else {
      // It has said why.
      throw ExitCode(status & 0x7f == 0 ? (status >> 8) & 0xff : 128 + (status & 0x7f))
    }
    return seconds * 1000
  }
}
