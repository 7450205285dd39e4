import ArgumentParser
import VLMCommandLine
import VLMContainer
import VLMConversion
import VLMDelta
import VLMFoundation
import VLMTensor

struct Delta: ParsableCommand {
  static var configuration: CommandConfiguration {
    CommandConfiguration(
      commandName: "delta", abstract: "Write what turns one .vlmz file into another.",
      discussion: """
        'vlm-convert apply' turns a copy of the first file into the second with it, byte for byte, \
        and refuses any other file.
        """)
  }

  @Argument(help: "The .vlmz file that is there.")
  var old: String

  @Argument(help: "The one that it is to become.")
  var new: String

  @Argument(help: "The .vlmzd file to write.")
  var output: String

  @OptionGroup var writing: OutputOptions

  @Flag(help: "Print one JSON object.")
  var json = false

  @OptionGroup var work: WorkOptions

  func validate() throws {
    try OutputOptions.requireFile(output)
  }

  func run() throws {
    let before = try Container.open(path: old)
    let after = try Container.open(path: new)
    try Extract.check(output, endsIn: ".vlmzd")
    try OutputFile.check(output, overwrite: writing.force)
    Report.outliveReader()
    let count = try work.threadCount()
    for container in [before, after] {
      let defects = try Verify.damage(of: container, threads: count, quiet: writing.quiet || json)
      if let first = defects.first { throw first }
    }
    let pool = WorkerPool(threadCount: count)
    let progress = Progress(
      "comparing", total: after.file.count, unit: .bytes, quiet: writing.quiet || json)
    let summary = try DeltaMaker(from: before, to: after).write(
      to: output, overwrite: writing.force, threads: count,
      progress: { done, _ in progress.update(done) },
      loop: { count, body in pool.forEach(count: count) { piece, _ in body(piece) } })
    progress.finish()
    let listing = DeltaListing(path: output, summary)
    if json {
      Report.line(listing.json.serialized(pretty: true))
    } else if !writing.quiet {
      Report.line(listing.headline)
    }
  }
}
