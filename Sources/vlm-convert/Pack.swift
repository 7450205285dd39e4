import ArgumentParser
import VLMCommandLine
import VLMContainer
import VLMFoundation
import VLMTensor
import VLMTransport

struct Pack: ParsableCommand {
  static var configuration: CommandConfiguration {
    CommandConfiguration(
      commandName: "pack", abstract: "Compress a .vlmz for a transfer, without loss.",
      discussion: """
        'unpack' makes the same file again, byte for byte. It reads from a pipe as well, and continues \
        a transfer that was interrupted. vlm-run opens a packed file by unpacking it once.
        """)
  }

  @Argument(help: "A .vlmz file.")
  var input: String

  @Argument(help: "The .vlmzp file to write.")
  var output: String

  @Flag(help: "Replace an existing output.")
  var force = false

  @Flag(name: .shortAndLong, help: "No progress, no report.")
  var quiet = false

  @Option(help: "Threads; default: the processors this process may use.")
  var threads: Int?

  func validate() throws {
    guard output != "-" else { throw ValidationError(Extract.pipeMessage) }
  }

  func run() throws {
    let container = try Container.open(path: input)
    if container.file.isSameFile(as: output) {
      throw FileError(path: output, problem: .sameFile(as: input))
    }
    try Extract.check(output, endsIn: ".vlmzp")
    let pool = WorkerPool(threadCount: try threadCount(option: threads))
    let progress = Progress("packing", total: 2 * container.file.count, unit: .bytes, quiet: quiet)
    let summary = try Packer(container, pool: pool).write(to: output, overwrite: force) {
      progress.update($0)
    }
    progress.finish()
    guard !quiet else { return }
    let share = decimal(100 * Double(summary.packedSize) / Double(summary.containerSize), 1)
    Report.line(
      "\(output.escapedForDisplay()): \(byteText(summary.packedSize)), \(share) % of "
        + "\(byteText(summary.containerSize)), root hash \(hexadecimal(summary.rootHash))")
  }
}
