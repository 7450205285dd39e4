import ArgumentParser
import VLMCommandLine
import VLMContainer
import VLMFoundation
import VLMSignature
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

  @OptionGroup var trusted: ResultTrustOptions

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
    Report.outliveReader()
    let source: PackedInput
    do throws(FileError) { source = try PackedInput(path: input) } catch {
      throw TransportError(path: error.path, place: .file, problem: .file(error))
    }
    let pool = WorkerPool(threadCount: try work.threadCount())
    let unpacker = Unpacker(source, pool: pool)
    let signature = try expectedSignature(unpacker)
    if resume, let header = try unpacker.finished(at: output) {
      try signature?.check(MappedFile(path: output, isInput: false), quiet: writing.quiet)
      try signature?.install()
      Unpacker.removeFinishedJournal(of: output)
      if !writing.quiet {
        Report.line(
          "\(output.escapedForDisplay()): already unpacked, nothing to do; root hash "
            + hexadecimal(header.rootHash))
      }
      return
    }
    let oldSignature = signature == nil ? OldSignature(beside: output) : nil
    let line = ProgressLine("unpacking", quiet: writing.quiet)
    let summary: Unpacker.Summary
    do {
      defer { line.finish() }
      summary = try unpacker.unpack(
        to: output, overwrite: writing.force, keeping: resume ? .continued : .partial,
        check: { file, header in
          line.finish()
          // An input that begins in the middle has not told its root hash before.
          try signature?.check(rootHash: header.rootHash)
          try signature?.check(file, quiet: writing.quiet)
        }
      ) { done, total in line.update(done, of: total) }
    }
    try signature?.install()
    guard !writing.quiet else { return }
    oldSignature?.tell()
    if summary.keptBytes > 0 {
      Report.note("vlm-convert: resumed after \(byteText(summary.keptBytes))")
    }
    Report.line(
      "\(output.escapedForDisplay()): \(byteText(summary.header.containerSize)), verified, root hash "
        + hexadecimal(summary.header.rootHash))
  }

  /// The signature that the output has to have; nil where no key was given. Nothing has been written,
  /// nor read behind the header.
  private func expectedSignature(_ unpacker: Unpacker) throws -> ExpectedSignature? {
    let name = input == "-" ? output : input.unpackedName
    let signature = try trusted.expected(
      for: output, usual: Signature.path(of: name), overwrite: writing.force)
    if let signature, let header = try unpacker.header() {
      try signature.check(rootHash: header.rootHash)
    }
    return signature
  }
}
