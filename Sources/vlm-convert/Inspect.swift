import ArgumentParser
import VLMCheckpoint
import VLMCommandLine
import VLMContainer
import VLMConversion
import VLMDelta
import VLMFoundation
import VLMTensor
import VLMTransport

struct Inspect: ParsableCommand {
  static var configuration: CommandConfiguration {
    CommandConfiguration(
      commandName: "inspect",
      abstract:
        "Show what a .vlmz, .vlmzp, .safetensors, PyTorch or GGUF file holds, a delta, or one of statistics."
    )
  }

  @Argument(help: "A .vlmz, .vlmzp, .safetensors, PyTorch or GGUF file, or a folder.")
  var file: String

  @Flag(help: "Print one JSON object.")
  var json = false

  @Flag(help: "With the first 16 hexadecimal digits of the SHA-256 of every tensor's bytes.")
  var digests = false

  enum BillFormat: String, ExpressibleByArgument, CaseIterable {
    case cyclonedx, spdx
  }

  @Option(
    help: ArgumentHelp(
      "Print the bill of materials of a .vlmz file: CycloneDX 1.6 or SPDX 2.3, as JSON.",
      valueName: "cyclonedx|spdx"))
  var bom: BillFormat?

  @OptionGroup var pyTorch: PyTorchOptions

  func validate() throws {
    guard bom == nil || !json && !digests else {
      throw ValidationError("--bom prints a document of its own: it does not go with --json")
    }
  }

  func run() throws {
    if let bom {
      guard !PackedInput.isPacked(file) else {
        throw TransportError(path: file, place: .file, problem: .tensorsPacked)
      }
      let pool = WorkerPool(threadCount: try threadCount(option: nil))
      if let refusal = CheckpointPath.refusalAsContainer(file) { throw refusal }
      let container = try Container.open(path: file)
      try Verify.requireSound(container, threads: pool.threadCount, quiet: true)
      let bill = try BillOfMaterials(container, pool: pool)
      let document = bom == .cyclonedx ? bill.cycloneDX : bill.spdx
      Report.line(document.serialized(pretty: true))
      return
    }
    if let delta = try DeltaListing(path: file) {
      if json {
        Report.line(delta.json.serialized(pretty: true))
      } else {
        for line in delta.lines { Report.line(line) }
      }
      return
    }
    if PackedInput.isPacked(file) {
      guard !digests else {
        throw TransportError(path: file, place: .file, problem: .tensorsPacked)
      }
      let summary = try PackedSummary(path: file)
      if json {
        Report.line(summary.json.serialized(pretty: true))
      } else {
        for line in summary.lines { Report.line(line) }
      }
      return
    }
    if let statistics = try StatisticsListing(path: file) {
      if json {
        Report.line(statistics.json.serialized(pretty: true))
      } else {
        for line in statistics.lines { Report.line(line) }
      }
      return
    }
    let listing = try Listing(
      path: file, digests: digests, options: pyTorch.options(default: .everything))
    if json {
      Report.line(listing.json.serialized(pretty: true))
      return
    }
    for line in listing.summary { Report.line(line.shown) }
    for tensor in listing.tensors {
      let shape = tensor.shape.map(String.init).joined(separator: "×")
      let digest = tensor.digest.map { "  \($0)" } ?? ""
      Report.line(
        "  \(tensor.name.escapedForDisplay())  \(tensor.type)  [\(shape)]  "
          + "\(byteText(tensor.byteCount))\(digest)")
    }
  }
}
