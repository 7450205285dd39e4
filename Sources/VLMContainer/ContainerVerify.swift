import Synchronization
import VLMFoundation

extension Container {
  private final class Counter: Sendable { let done = Mutex(0) }

  /// Runs a body for each index of a range, in any order and on any thread; returns when all are
  /// done.
  package typealias Loop = (_ count: Int, _ body: (Int) -> Void) -> Void

  /// Reads every byte of the file and checks every rule.
  ///
  /// - Parameters:
  ///   - strict: also check the tensors' blocks against `formats/blocks.md`.
  ///   - progress: called with the bytes done and the total, by one thread at a time.
  ///   - loop: iterates over the tensors; sequentially by default.
  /// - Returns: all defects found, in file order.
  /// - Throws: only if the file changed while it was read.
  package func verify(
    strict: Bool, progress: ((Int, Int) -> Void)? = nil,
    loop: Loop = { count, body in (0..<count).forEach(body) }
  ) throws(ContainerError) -> [ContainerError] {
    defer { withExtendedLifetime(file) {} }
    func checkUnchanged() throws(ContainerError) {
      do throws(FileError) { try file.checkUnchanged() } catch { throw ContainerError(error) }
    }
    try checkUnchanged()
    var defects: [ContainerError] = []
    do { _ = try Contents(file) } catch { defects.append(error) }
    let counter = Counter()
    func advance(_ size: Int) {
      counter.done.withLock { done in
        done += size
        progress?(done, file.count)
      }
    }
    for (index, section) in sections.enumerated() {
      if section.kind == .tensorData {
        defects += verifyTensors(in: section, strict: strict, loop: loop, advance: advance)
      } else {
        do { _ = try decode(section, at: index) } catch {
          if !defects.contains(error) { defects.append(error) }
        }
        advance(section.range.count)
      }
    }
    try checkUnchanged()
    progress?(file.count, file.count)
    return defects
  }

  private func verifyTensors(
    in section: SectionEntry, strict: Bool, loop: Loop, advance: @escaping (Int) -> Void
  ) -> [ContainerError] {
    let ordered = tensors.sorted { $0.range.lowerBound < $1.range.lowerBound }
    let found = Mutex([[ContainerError]](repeating: [], count: ordered.count))
    loop(ordered.count) { index in
      let start = index == 0 ? section.range.lowerBound : ordered[index - 1].range.upperBound
      let defects = verify(ordered[index], after: start, strict: strict, advance: advance)
      if !defects.isEmpty { found.withLock { $0[index] = defects } }
    }
    return found.withLock { $0.flatMap { $0 } }
  }

  /// The defects of one tensor and of the padding between `end` and it.
  private func verify(
    _ tensor: TensorEntry, after end: Int, strict: Bool, advance: (Int) -> Void
  ) -> [ContainerError] {
    var defects: [ContainerError] = []
    if !isZero(file.bytes(end..<tensor.range.lowerBound)) {
      defects.append(
        ContainerError(
          path: path, place: .padding(at: end), problem: .broken(.r49, "is not zero")))
    }
    let hash = hash(of: tensor, advance: advance)
    if hash != tensor.checksum {
      defects.append(
        ContainerError(
          path: path, place: .tensor(tensor.name),
          problem: .hash(.r50, found: hash, expected: tensor.checksum)))
    } else if strict, let text = BlockCheck.problem(tensor, file.bytes(tensor.range)) {
      defects.append(
        ContainerError(path: path, place: .tensor(tensor.name), problem: .broken(.r51, text)))
    }
    // The pages are backed by the file, so releasing them is safe.
    file.release(tensor.range)
    return defects
  }

  private func hash(of tensor: TensorEntry, advance: (Int) -> Void) -> UInt64 {
    var hash = XXH64()
    var position = tensor.range.lowerBound
    while position < tensor.range.upperBound {
      let next = min(position + (4 << 20), tensor.range.upperBound)
      hash.update(file.bytes(position..<next))
      advance(next - position)
      position = next
    }
    return hash.digest
  }
}
