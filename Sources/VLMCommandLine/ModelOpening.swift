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
///   - trusted: whose signature the model has to have; nil where that is not asked.
///   - threads: that unpack.
///   - quiet: do not tell that it was unpacked.
package func openModel(
  _ path: String, trusting trusted: TrustOptions? = nil, threads: Int, quiet: Bool, program: String
) throws -> Container {
  guard PackedInput.isPacked(path) else {
    return try trusted?.open(path, quiet: quiet) ?? Container.open(path: path)
  }
  let check = try trusted?.check(ofPacked: path, quiet: quiet)
  let limit = try Environment.cacheLimit() ?? ModelCache.defaultLimit
  guard limit > 0 else { throw EnvironmentError(.noCache(path)) }
  let cache = Environment.cacheFolder.map { ModelCache(folder: $0, limit: limit) }
  let line = ProgressLine("unpacking", quiet: quiet)
  let name = path.escapedForDisplay()
  defer { line.finish() }
  return try ModelCache.open(
    path: path, cache: cache, pool: WorkerPool(threadCount: threads),
    check: { container in
      line.finish()
      try check?(container)
    },
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
}
