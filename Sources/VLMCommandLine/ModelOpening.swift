import VLMContainer
import VLMFoundation
import VLMTensor
import VLMTransport

/// A line of progress whose total is known when the work has begun.
package final class ProgressLine {
  private let title: String
  private let quiet: Bool
  private var progress: Progress?

  package init(_ title: String, quiet: Bool) {
    self.title = title
    self.quiet = quiet
  }

  /// Bytes that are done, of all.
  package func update(_ done: Int, of total: Int) {
    let line = progress ?? Progress(title, total: total, unit: .bytes, quiet: quiet)
    progress = line
    line.update(done)
  }

  /// Clears the line.
  package func finish() { progress?.finish() }
}

/// Opens the model that a command was given: a `.vlmz`, or a packed one, which is unpacked into the
/// user's cache once.
///
/// - Parameters:
///   - threads: that unpack.
///   - quiet: do not tell that it was unpacked.
package func openModel(
  _ path: String, trusting trusted: TrustOptions? = nil, threads: Int, quiet: Bool, program: String
) throws -> Container {
  guard PackedInput.isPacked(path) else {
    return try trusted?.open(path, quiet: quiet) ?? Container.open(path: path)
  }
  let limit = try Environment.cacheLimit() ?? ModelCache.defaultLimit
  let cache = Environment.cacheFolder.map { ModelCache(folder: $0, limit: limit) }
  let line = ProgressLine("unpacking", quiet: quiet)
  let name = path.escapedForDisplay()
  let container = try ModelCache.open(
    path: path, cache: limit > 0 ? cache : nil, pool: WorkerPool(threadCount: threads),
    report: { event in
      line.finish()
      guard !quiet else { return }
      switch event {
      case .waiting: Report.note("\(program): \(name): waits for a process that unpacks it")
      case .unpacked(let place):
        Report.note(
          "\(program): \(name): unpacked for this and later runs: \(place.escapedForDisplay())")
      case .found: break
      }
    }
  ) { done, total in line.update(done, of: total) }
  try trusted?.check(container, unpackedFrom: path, quiet: quiet)
  return container
}
