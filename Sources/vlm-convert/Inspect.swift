import ArgumentParser
import VLMCheckpoint
import VLMCommandLine
import VLMContainer
import VLMConversion
import VLMFoundation
import VLMTensor
import VLMTransport

struct Inspect: ParsableCommand {
  static var configuration: CommandConfiguration {
    CommandConfiguration(
      commandName: "inspect",
      abstract:
        "Show what a .vlmz, .safetensors, PyTorch or GGUF file holds, or one of statistics.")
  }

  @Argument(help: "A .vlmz, .safetensors, PyTorch or GGUF file, or a folder.")
  var file: String

  @Flag(help: "Print one JSON object.")
  var json = false

  @Flag(help: "With the first 16 hexadecimal digits of the SHA-256 of every tensor's bytes.")
  var digests = false

  @OptionGroup var pyTorch: PyTorchOptions

  func run() throws {
    if PackedInput.isPacked(file) {
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
