import Synchronization
import VLMFoundation

extension Container {
  private final class Counter: Sendable { let done = Mutex(0) }

  /// Runs a body for each of so many indices, in any order and on any thread; returns when all are
  /// done.
  package typealias Loop = (_ count: Int, _ body: (Int) -> Void) -> Void

  /// Reads every byte and checks every rule.
  ///
  /// - Parameters:
  ///   - strict: also look into the tensors' blocks, as `formats/blocks.md` has them.
  ///   - progress: called with bytes done and bytes in all, by one thread at a time.
  ///   - loop: how to go through the tensors; one after the other if nothing else is said.
  /// - Returns: every defect that was found, in the order of the file.
  /// - Throws: only when the file changed while it was read.
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

  /// The defects of one tensor and of the padding from `end` up to it.
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
    // Pages are the file's own and come back when they are asked for.
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
