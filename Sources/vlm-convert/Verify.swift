import ArgumentParser
import VLMCheckpoint
import VLMCommandLine
import VLMContainer
import VLMConvert
import VLMTensor

struct Verify: ParsableCommand {
  static var configuration: CommandConfiguration {
    CommandConfiguration(
      commandName: "verify",
      abstract: "Check every byte of a .vlmz file, or the structure of a .safetensors file.",
      discussion: "Exit status 0: sound; 2: damaged, every defect on a line; 65: not such a file.")
  }

  @Argument(help: "A .vlmz or .safetensors file.")
  var file: String

  @Flag(name: .shortAndLong, help: "Say nothing; the exit status tells.")
  var quiet = false

  func run() throws {
    guard try ModelFileKind.of(file) != .safetensors else {
      let catalog = try SafetensorsFile.read(path: file)
      if !quiet {
        Report.line(
          "\(file.escapedForDisplay()): sound, \(catalog.tensors.count) tensors "
            + "(safetensors has no checksums: only the structure was checked)")
      }
      return
    }
    let container = try Container.open(path: file)
    let progress = Progress(
      "verifying", total: container.file.count, unit: .bytes, quiet: quiet)
    let defects = try container.verify(strict: true) { done, _ in progress.update(done) }
    progress.finish()
    for defect in defects { Report.note("vlm-convert: \(defect)") }
    guard defects.isEmpty else { throw ExitCode(ExitStatus.difference.rawValue) }
    if !quiet {
      Report.line(
        "\(file.escapedForDisplay()): sound, \(byteText(container.file.count)), "
          + "\(container.tensors.count) tensors")
    }
  }
}
