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

  @OptionGroup var writing: OutputOptions

  @OptionGroup var work: WorkOptions

  func validate() throws {
    try OutputOptions.requireFile(output)
  }

  func run() throws {
    let container = try Container.open(path: input)
    if container.file.isSameFile(as: output) {
      throw FileError(path: output, problem: .sameFile(as: input))
    }
    try Extract.check(output, endsIn: ".vlmzp")
    Report.outliveReader()
    let pool = WorkerPool(threadCount: try work.threadCount())
    let progress = Progress(
      "packing", total: 2 * container.file.count, unit: .bytes, quiet: writing.quiet)
    let summary = try Packer(container, pool: pool).write(to: output, overwrite: writing.force) {
      progress.update($0)
    }
    progress.finish()
    guard !writing.quiet else { return }
    let share = decimal(100 * Double(summary.packedSize) / Double(summary.containerSize), 1)
    Report.line(
      "\(output.escapedForDisplay()): \(byteText(summary.packedSize)), \(share) % of "
        + "\(byteText(summary.containerSize)), root hash \(hexadecimal(summary.rootHash))")
  }
}
