import Foundation
import Testing
import VLMTestSupport

/// Runs commands whose disk fails at a chosen call, by `Tests/DiskFaults/faults.c`.
struct FaultyDisk {
  /// One call on the files of the folder that does not succeed.
  struct Fault: CustomStringConvertible {
    /// `open`, `reserve`, `write`, `truncate`, `sync` or `rename`.
    let call: String
    /// From 1, in the order of the run.
    let number: Int
    let code: Int32

    var description: String { "\(call) \(number): \(reason)" }
    var reason: String { String(cString: strerror(code)) }
  }

  /// The folder whose files it is about.
  let folder: String

  /// The library to preload, beside the programs; nil where none can be made or loaded.
  private static let library: String? = {
    let path = CommandRunner.folder.appendingPathComponent("vlm-faults.so").path
    let source = TestFiles.root.appendingPathComponent("Tests/DiskFaults/faults.c").path
    // Another test run may be loading it: it is renamed into place.
    let compile = """
      for cc in $CC clang cc gcc; do
        "$cc" -O1 -shared -fPIC -o "$1.$$" "$2" -ldl && mv -f "$1.$$" "$1" && break
      done
      # A loader that does not preload it says so; under emulation it may be for another processor.
      test -e "$1" && test -z "$(LD_PRELOAD="$1" "$3" --version 2>&1 >/dev/null)"
      """
    let program = CommandRunner.folder.appendingPathComponent("vlm-run").path
    return shell(compile, path, source, program) == 0 ? path : nil
  }()

  static let isAvailable = library != nil
  static let reason: Comment = "needs a C compiler and a loader that preloads libraries"

  private static func shell(_ command: String, _ arguments: String...) -> Int32 {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/bin/sh")
    process.arguments = ["-c", command, "sh"] + arguments
    process.standardError = FileHandle.nullDevice
    do { try process.run() } catch { return -1 }
    process.waitUntilExit()
    return process.terminationStatus
  }

  func run(
    _ program: String, _ arguments: [String], fault: Fault? = nil
  ) throws -> (outcome: CommandRunner.Outcome, calls: [String]) {
    let scratch = try TemporaryFolder()
    var environment = [
      "LD_PRELOAD": Self.library ?? "", "VLM_FAULT_FOLDER": folder,
      "VLM_FAULT_LOG": scratch.path("log"),
    ]
    if let fault { environment["VLM_FAULT"] = "\(fault.call):\(fault.number):\(fault.code)" }
    let outcome = try CommandRunner.run(program, arguments, environment: environment)
    let log = (try? scratch.read("log")) ?? []
    let calls = String(decoding: log, as: UTF8.self).split(separator: "\n").map(String.init)
    return (outcome, calls)
  }

  /// A fault at each call that a run makes; of many of one kind those at both ends and some between.
  static func faults(of calls: [String]) -> [Fault] {
    var faults: [Fault] = []
    for call in Set(calls).sorted() {
      let count = calls.count { $0 == call }
      let numbers = Set(
        [1, 2, 3, count - 2, count - 1, count] + (1...4).map { $0 * count / 5 }
      ).filter { (1...count).contains($0) }.sorted()
      for number in numbers {
        let codes: [Int32] =
          switch call {
          case "open": [ENOSPC, EDQUOT]
          case "write": number % 2 == 0 ? [ENOSPC, EIO] : [ENOSPC, EDQUOT]
          case "reserve": [ENOSPC]
          default: [EIO]
          }
        faults += codes.map { Fault(call: call, number: number, code: $0) }
      }
    }
    return faults
  }
}
