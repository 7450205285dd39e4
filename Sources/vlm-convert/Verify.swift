import ArgumentParser
import VLMCheckpoint
import VLMCommandLine
import VLMContainer
import VLMConversion
import VLMFoundation
import VLMTensor
import VLMTransport
import VLMZ

struct Verify: ParsableCommand {
  static var configuration: CommandConfiguration {
    CommandConfiguration(
      commandName: "verify",
      abstract: "Check every byte of a .vlmz or .vlmzp file, or the structure of a checkpoint.",
      discussion: "Exit status 0: sound; 2: damaged, every defect on a line; 65: not such a file.")
  }

  @Argument(help: "A .vlmz, .vlmzp, .safetensors, PyTorch or GGUF file, or a folder.")
  var file: String

  @Flag(name: .shortAndLong, help: "Say nothing; the exit status tells.")
  var quiet = false

  @OptionGroup var work: WorkOptions

  /// Reads all of `container` on `threads` threads, and then as a session would that opens it.
  static func defects(
    of container: Container, threads: Int, quiet: Bool
  ) throws -> [any ReportableError] {
    let progress = Progress("verifying", total: container.file.count, unit: .bytes, quiet: quiet)
    defer { progress.finish() }
    let pool = WorkerPool(threadCount: threads)
    let defects = try container.verify(
      strict: true, progress: { done, _ in progress.update(done) },
      loop: { count, body in pool.forEach(count: count) { piece, _ in body(piece) } })
    // A section that cannot be decoded is found twice.
    let known = Set(defects.map(\.description))
    return defects + container.contentDefects().filter { !known.contains($0.description) }
  }

  /// The defects of the bytes of `container`, whatever they mean.
  static func damage(
    of container: Container, threads: Int, quiet: Bool
  ) throws -> [ContainerError] {
    let progress = Progress("verifying", total: container.file.count, unit: .bytes, quiet: quiet)
    defer { progress.finish() }
    let pool = WorkerPool(threadCount: threads)
    return try container.verify(
      strict: false, progress: { done, _ in progress.update(done) },
      loop: { count, body in pool.forEach(count: count) { piece, _ in body(piece) } })
  }

  /// Refuses a container whose bytes are damaged.
  ///
  /// - Throws: `ContainerError`, the first defect.
  static func requireSound(_ container: Container, threads: Int, quiet: Bool) throws {
    if let first = try damage(of: container, threads: threads, quiet: quiet).first { throw first }
  }

  private func verifyPacked() throws {
    let line = ProgressLine("verifying", quiet: quiet)
    defer { line.finish() }
    do {
      let input: PackedInput
      do throws(FileError) { input = try PackedInput(path: file) } catch {
        throw TransportError(path: error.path, place: .file, problem: .file(error))
      }
      let pool = WorkerPool(threadCount: try work.threadCount())
      let summary = try Unpacker(input, pool: pool).verify { line.update($0, of: $1) }
      line.finish()
      if !quiet {
        Report.line(
          "\(file.escapedForDisplay()): sound, \(byteText(summary.packedSize)), "
            + "\(counted(summary.frameCount, "frame")) (unpacking verifies the tensors too)")
      }
    } catch let error as TransportError {
      guard let rule = error.rule, rule != .p03 else { throw error }
      line.finish()
      Report.note("vlm-convert: \(error.shown)")
      throw ExitCode(ExitStatus.difference.rawValue)
    }
  }

  func run() throws {
    if PackedInput.isPacked(file) { return try verifyPacked() }
    guard try ModelFileKind.of(file) == .container else {
      let catalog: TensorCatalog
      do throws(CheckpointError) {
        catalog = try Checkpoint.read(
          path: file, options: PyTorchFile.Options(state: .everything))
      } catch {
        guard error.isDamage else { throw error }
        Report.note("vlm-convert: \(error.shown)")
        throw ExitCode(ExitStatus.difference.rawValue)
      }
      let what =
        switch catalog.format {
        case .safetensors, .gguf:
          "\(catalog.format.rawValue) has no checksums: only the structure was checked"
        case .pyTorchLegacy: "this format has no checksums: only the structure was checked"
        case .pyTorchZip, .torchScript, .container: "structure and checksums"
        }
      if !quiet {
        for warning in catalog.warnings { Report.warning(warning.shown, program: "vlm-convert") }
        Report.line(
          "\(file.escapedForDisplay()): sound, \(counted(catalog.tensors.count, "tensor")) (\(what))"
        )
      }
      return
    }
    let container: Container
    do throws(ContainerError) { container = try Container.open(path: file) } catch {
      // It begins as a container does, so what breaks a rule is a defect; a newer version breaks none.
      guard let rule = error.rule, ![.r03, .r06].contains(rule) else { throw error }
      Report.note("vlm-convert: \(error.shown)")
      throw ExitCode(ExitStatus.difference.rawValue)
    }
    let defects = try Self.defects(
      of: container, threads: try work.threadCount(), quiet: quiet)
    for defect in defects { Report.note("vlm-convert: \(defect.shown)") }
    guard defects.isEmpty else { throw ExitCode(ExitStatus.difference.rawValue) }
    if !quiet {
      Report.line(
        "\(file.escapedForDisplay()): sound, \(byteText(container.file.count)), "
          + counted(container.tensors.count, "tensor"))
    }
  }
}
