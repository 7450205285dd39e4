import ArgumentParser
import VLMCommandLine
import VLMContainer
import VLMFoundation
import VLMTensor
import VLMTransport

struct Unpack: ParsableCommand {
  static var configuration: CommandConfiguration {
    CommandConfiguration(
      commandName: "unpack", abstract: "Make the .vlmz of a packed file again.",
      discussion: """
        Example: curl -sSf https://example.org/model.vlmzp | vlm-convert unpack - model.vlmz

        What was interrupted is kept beside the output, and --resume continues it, from the same file \
        or from the byte that --offset prints.
        """)
  }

  @Argument(help: "A .vlmzp file; '-' for standard input.")
  var input: String

  @Argument(help: "The .vlmz file to write.")
  var output: String

  @Flag(help: "Continue an output that was interrupted; the input is the whole file or the rest.")
  var resume = false

  @Flag(help: "Only print the byte of the packed file that --resume needs first.")
  var offset = false

  @OptionGroup var writing: OutputOptions

  @OptionGroup var work: WorkOptions

  func validate() throws {
    try OutputOptions.requireFile(output)
  }

  func run() throws {
    try Extract.check(output, endsIn: ".vlmz")
    if offset {
      Report.line("\(try Unpacker.continuation(of: output))")
      return
    }
    let source: PackedInput
    do throws(FileError) { source = try PackedInput(path: input) } catch {
      throw TransportError(path: error.path, place: .file, problem: .file(error))
    }
    let pool = WorkerPool(threadCount: try work.threadCount())
    let unpacker = Unpacker(source, pool: pool)
    if resume, let header = try unpacker.finished(at: output) {
      if !writing.quiet {
        Report.line(
          "\(output.escapedForDisplay()): already unpacked, nothing to do; root hash "
            + hexadecimal(header.rootHash))
      }
      return
    }
    let line = ProgressLine("unpacking", quiet: writing.quiet)
    let summary: Unpacker.Summary
    do {
      defer { line.finish() }
      summary = try unpacker.unpack(
        to: output, overwrite: writing.force, keeping: resume ? .continued : .partial
      ) { done, total in line.update(done, of: total) }
    }
    guard !writing.quiet else { return }
    if summary.keptBytes > 0 {
      Report.note("vlm-convert: resumed after \(byteText(summary.keptBytes))")
    }
    Report.line(
      "\(output.escapedForDisplay()): \(byteText(summary.header.containerSize)), verified, root hash "
        + hexadecimal(summary.header.rootHash))
  }
}
