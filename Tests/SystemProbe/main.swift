// A program that meets with an accident, for tests to run as a child: what happens to a process
// that is signalled, faults or hits a limit cannot be seen from inside it.
import Glibc
import VLMCheckpoint
import VLMCommandLine
import VLMFoundation
import VLMImages
import VLMTensor
import VLMText

/// Bytes of memory that were resident at most, so far. What `getrusage` says of a child begins with
/// what its parent had, and the tests' process is large.
func peakMemory() -> Int {
  guard let file = fopen("/proc/self/status", "re") else { return 0 }
  defer { fclose(file) }
  var bytes = [UInt8](repeating: 0, count: 4096)
  let count = fread(&bytes, 1, bytes.count, file)
  for line in String(decoding: bytes.prefix(count), as: UTF8.self).split(separator: "\n") {
    let words = line.split { $0 == " " || $0 == "\t" }
    if words.first == "VmHWM:", words.count > 1 { return (Int(words[1]) ?? 0) * 1024 }
  }
  return 0
}

func run(_ arguments: [String]) throws {
  guard arguments.count == 2 else { return }
  let path = arguments[1]
  switch arguments[0] {
  case "fault":
    // Reads a mapping whose file has been cut short meanwhile, while an output is unfinished.
    FaultHandler.install(program: "probe")
    let output = try OutputFile(path: path + ".out", overwrite: false)
    let file = try MappedFile(path: path)
    truncate(path, 0)
    let byte = file.withBytes(file.count - 1..<file.count) { $0[0] }
    print("read \(byte)", output.count)
  case "stray-fault":
    FaultHandler.install(program: "probe")
    kill(getpid(), SIGBUS)
  case "SIGINT", "SIGTERM", "SIGHUP":
    try TerminationSignals.install()
    let output = try OutputFile(path: path, overwrite: true)
    try output.write([1, 2, 3])
    let signals = ["SIGINT": SIGINT, "SIGTERM": SIGTERM, "SIGHUP": SIGHUP]
    kill(getpid(), signals[arguments[0]] ?? SIGKILL)
    while true { pause() }
  case "file-size-limit":
    try TerminationSignals.install()
    var limit = rlimit(rlim_cur: 4096, rlim_max: 4096)
    setrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit)
    let output = try OutputFile(path: path, overwrite: true)
    do throws(FileError) {
      try output.write([UInt8](repeating: 7, count: 10_000))
    } catch {
      print(error.description)
      throw error
    }
  case "umask":
    umask(0o027)
    let output = try OutputFile(path: path, overwrite: true)
    try output.write([1])
    try output.commit()
  case "catalog":
    // Tensors in a file, and the memory that reading its header took, in bytes.
    let before = peakMemory()
    let catalog = try Checkpoint.readFile(path: path)
    print(catalog.tensors.count, peakMemory() - before)
  case "refusal":
    // Why a file is refused, and the memory that it took to see that, in bytes.
    let before = peakMemory()
    do {
      print(try Checkpoint.readFile(path: path).tensors.count, peakMemory() - before, "read")
    } catch {
      print(0, peakMemory() - before, error)
    }
  case "picture":
    // A picture's side at the model, and the memory that bringing it there took, in bytes.
    let steps = Preprocessing(
      resize: .shortestEdge(64), crop: .init(width: 64, height: 64, rounding: .floor),
      normalization: .clip)
    let before = peakMemory()
    let pixels = try steps.apply(try ImageDecoder.open(path: path), name: path)
    print(pixels.width, peakMemory() - before)
  default: return
  }
}

// Whatever a case waits for in vain ends here.
alarm(20)
var alarmed = sigset_t()
sigemptyset(&alarmed)
sigaddset(&alarmed, SIGALRM)
sigprocmask(SIG_UNBLOCK, &alarmed, nil)

do {
  try run(Array(CommandLine.arguments.dropFirst()))
} catch {
  exit((error as? FileError)?.exitStatus.rawValue ?? 1)
}
