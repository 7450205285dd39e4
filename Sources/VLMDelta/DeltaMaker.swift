import Synchronization
import VLMContainer
import VLMFoundation

/// What a finished delta holds.
package struct DeltaSummary: Sendable, Equatable {
  package let base: ModelIdentity
  package let target: ModelIdentity
  /// Bytes of the delta.
  package let byteCount: Int
  /// Tensors that are as they were, that changed, and that the base has nothing alike of.
  package let unchangedTensors, changedTensors, newTensors: Int
  /// Bytes of the target by the method that makes them, and what is stored for them.
  package let methods: [Method]

  package struct Method: Sendable, Equatable {
    package let method: DeltaOperation.Method
    package let operations: Int
    package let targetBytes: Int
    package let storedBytes: Int
  }

  /// What each method that occurs in `operations` does, in the order of their codes.
  package static func methods(of operations: [DeltaOperation]) -> [Method] {
    DeltaOperation.Method.allCases.compactMap { method in
      let operations = operations.filter { $0.method == method }
      guard !operations.isEmpty else { return nil }
      return Method(
        method: method, operations: operations.count,
        targetBytes: operations.reduce(0) { $0 + $1.length },
        storedBytes: operations.reduce(0) { $0 + $1.storedByteCount })
    }
  }
}

/// Makes the delta that turns one container into another.
package struct DeltaMaker {
  private let old, new: Container
  private let plan: DeltaPlan

  /// The containers are used as they are: a caller verifies them first.
  package init(from old: Container, to new: Container) {
    self.old = old
    self.new = new
    plan = DeltaPlan(old: old, new: new)
  }

  /// Operations that are worked on before they are written, for each thread.
  private static let share = 2

  /// Writes the delta; the file appears at its path when this returns.
  ///
  /// Equal containers give equal bytes with a given version of zstd, on any number of threads.
  /// Memory: about 150 MB a thread.
  ///
  /// - Parameters:
  ///   - overwrite: replace a file that is there.
  ///   - threads: how many bodies `loop` may run at a time.
  ///   - progress: called with the bytes of the new container that are done, and all.
  package func write(
    to path: String, overwrite: Bool, threads: Int = 1,
    progress: ((Int, Int) -> Void)? = nil,
    loop: Container.Loop = { count, body in (0..<count).forEach(body) }
  ) throws(DeltaError) -> DeltaSummary {
    defer { withExtendedLifetime((old, new)) {} }
    var output: DeltaOutput
    do { output = try DeltaOutput(path: path, overwrite: overwrite) } catch {
      throw DeltaError(error)
    }
    let encoder = PieceEncoder(
      old: old.file.bytes(0..<old.file.count), new: new.file.bytes(0..<new.file.count), plan: plan)
    let window = max(1, threads) * Self.share
    var unchanged = [Bool](repeating: true, count: plan.parts.count)
    for first in stride(from: 0, to: plan.pieces.count, by: window) {
      let pieces = plan.pieces[first..<min(first + window, plan.pieces.count)]
      let encoded = Mutex([PieceEncoder.Encoded?](repeating: nil, count: pieces.count))
      loop(pieces.count) { index in
        let result = encoder.encode(pieces[first + index])
        encoded.withLock { $0[index] = result }
      }
      for (piece, result) in zip(pieces, encoded.withLock({ $0 })) {
        guard let result else { throw DeltaError(path: path, .noMemory) }
        if result.method != .copy { unchanged[piece.part] = false }
        do { try output.append(result, target: encoder.new.slice(piece.target)) } catch {
          throw DeltaError(error)
        }
        new.file.release(piece.target)
        progress?(piece.target.upperBound, new.file.count)
      }
    }
    do throws(FileError) {
      try old.file.checkUnchanged()
      try new.file.checkUnchanged()
      let size = try output.finish(base: ModelIdentity(old), target: ModelIdentity(new))
      return summary(of: output, byteCount: size, unchanged: unchanged)
    } catch { throw DeltaError(error) }
  }

  private func summary(
    of output: DeltaOutput, byteCount: Int, unchanged: [Bool]
  ) -> DeltaSummary {
    let tensors = zip(plan.parts, unchanged).filter { $0.0.isTensor }
    let same = tensors.count { $0.1 }
    let new = tensors.count { $0.0.base == nil }
    return DeltaSummary(
      base: ModelIdentity(old), target: ModelIdentity(self.new), byteCount: byteCount,
      unchangedTensors: same, changedTensors: tensors.count - same - new, newTensors: new,
      methods: DeltaSummary.methods(of: output.operations))
  }
}
