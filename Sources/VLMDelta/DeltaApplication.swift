import Synchronization
import VLMContainer
import VLMFoundation

/// A delta and the model that it is applied to.
package struct DeltaApplication {
  package let delta: DeltaFile
  package let model: Container

  package init(_ delta: DeltaFile, to model: Container) {
    self.delta = delta
    self.model = model
  }

  /// Whether the model is already what the delta makes.
  package var isApplied: Bool { ModelIdentity(model) == delta.target }

  /// Operations that are worked on before they are written, for each thread.
  private static let share = 2

  /// Checks that the model is the base, and every byte of both files [D15 to D18]. Nothing is
  /// written before.
  ///
  /// - Parameters:
  ///   - progress: called with the bytes done and the total, by one thread at a time.
  ///   - loop: iterates over what is read; sequentially by default.
  package func check(
    progress: ((Int, Int) -> Void)? = nil,
    loop: Container.Loop = { count, body in (0..<count).forEach(body) }
  ) throws(DeltaError) {
    let found = ModelIdentity(model)
    guard found == delta.base else {
      throw DeltaError(
        path: model.path,
        found == delta.target
          ? .alreadyApplied
          : .otherBase(found: found, delta: delta.path, expected: delta.base))
    }
    let total = delta.file.count + model.file.count
    try delta.verify(progress: { done, _ in progress?(done, total) }, loop: loop)
    let defects: [ContainerError]
    do {
      defects = try model.verify(
        strict: false, progress: { done, _ in progress?(delta.file.count + done, total) },
        loop: loop)
    } catch { throw DeltaError(error) }
    if let first = defects.first { throw DeltaError(first, .d18) }
  }

  /// Makes the target beside `path`, reads it back, and moves it there.
  ///
  /// Until the last step nothing at `path` changes; an error leaves nothing else, and so does a signal
  /// that ends the process, but perhaps for what the next call takes as its own: the second name of
  /// the old file. Memory: some 32 MB a thread, 64 MB for a delta of the largest pieces.
  ///
  /// - Parameters:
  ///   - path: the model's own to replace it.
  ///   - overwrite: replace a file that is there.
  ///   - threads: how many bodies `loop` may run at a time.
  ///   - progress: called with the bytes of the target that are done, and all.
  ///   - keepingOldAs: where the file that is replaced gets a second name, once the target is
  ///     complete and proven.
  ///   - replacingKept: whether that name may be another file's, which is replaced.
  ///   - accept: throws for a target that may not get its name; called with it complete and proven.
  ///     Returns files that it made and that are held (`OutputFile.hold`): they are removed unless
  ///     the target gets its name.
  /// - Throws: `DeltaError`, or what `accept` throws.
  /// - Precondition: `check` has returned.
  package func write(
    to path: String, overwrite: Bool, threads: Int = 1,
    progress: ((Int, Int) -> Void)? = nil,
    loop: Container.Loop = { count, body in (0..<count).forEach(body) },
    keepingOldAs kept: String? = nil, replacingKept: Bool = false,
    accept: (MappedFile) throws -> [String] = { _ in [] }
  ) throws {
    let total = 2 * delta.target.byteCount
    let output: OutputFile
    do throws(FileError) {
      output = try OutputFile(path: path, overwrite: overwrite)
      try output.reserve(delta.target.byteCount)
    } catch { throw DeltaError(error) }
    try make(threads: threads, loop: loop) { bytes throws(FileError) in
      try output.write(bytes)
      progress?(output.count, total)
    }
    do throws(FileError) {
      try output.sync()
      // Another process may have replaced it.
      if path == model.path { try model.file.checkInPlace() }
      try model.file.checkUnchanged()
      try delta.file.checkUnchanged()
    } catch { throw DeltaError(error) }
    let made = try prove(output.temporaryPath, loop: loop) { done in
      progress?(delta.target.byteCount + done, total)
    }
    var held = try accept(made)
    do throws(FileError) {
      if let kept, try RollbackCopy.make(of: path, at: kept, overwrite: replacingKept) {
        // A link stays, whatever becomes of the file.
        let place = FileSystem.resolved(kept) ?? kept
        OutputFile.hold(place)
        held.append(place)
      }
      try output.commit(keeping: held)
    } catch {
      for file in held { OutputFile.discard(file) }
      throw DeltaError(error)
    }
  }

  /// Passes on the bytes of the target in their order, each part checked [D19, D20].
  package func make(
    threads: Int = 1,
    loop: Container.Loop = { count, body in (0..<count).forEach(body) },
    _ sink: (UnsafeRawBufferPointer) throws(FileError) -> Void
  ) throws(DeltaError) {
    defer { withExtendedLifetime(model) {} }
    let base = model.file.bytes(0..<model.file.count)
    let window = max(1, threads) * Self.share
    for first in stride(from: 0, to: delta.operations.count, by: window) {
      let range = first..<min(first + window, delta.operations.count)
      let made = Mutex([Result<[UInt8], DeltaError>?](repeating: nil, count: range.count))
      loop(range.count) { index in
        guard delta.operations[first + index].method != .copy else { return }
        let result = Result { () throws(DeltaError) in
          try delta.bytes(of: first + index, base: base)
        }
        made.withLock { $0[index] = result }
      }
      for (index, result) in zip(range, made.withLock({ $0 })) {
        let operation = delta.operations[index]
        if let bytes = try result?.get() {
          let written = bytes.withUnsafeBytes { bytes in
            Result { () throws(FileError) in try sink(bytes) }
          }
          do { try written.get() } catch { throw DeltaError(error) }
        } else {
          try copy(operation.base, index, sink)
        }
        if operation.base.count > 0 { model.file.release(operation.base) }
      }
      delta.release(range)
    }
  }

  private func copy(
    _ range: Range<Int>, _ index: Int, _ sink: (UnsafeRawBufferPointer) throws(FileError) -> Void
  ) throws(DeltaError) {
    var hash = XXH64()
    for start in stride(from: range.lowerBound, to: range.upperBound, by: DeltaFormat.piece) {
      let piece = start..<min(start + DeltaFormat.piece, range.upperBound)
      hash.update(model.file.bytes(piece))
      do { try sink(model.file.bytes(piece)) } catch { throw DeltaError(error) }
    }
    try delta.check(hash.digest, of: index)
  }

  /// Reads the finished file: it is sound, and the container that the delta promises [D21].
  private func prove(
    _ path: String, loop: Container.Loop, progress: (Int) -> Void
  ) throws(DeltaError) -> MappedFile {
    func fault(_ error: ContainerError) -> DeltaError {
      DeltaError(path: delta.path, .container(error, .d21))
    }
    let made: Container
    do { made = try Container.open(path: path, isInput: false) } catch { throw fault(error) }
    let found = ModelIdentity(made)
    guard found == delta.target else {
      let isSame = found.rootHash == delta.target.rootHash
      throw DeltaError(
        path: delta.path,
        .value(
          .d21, field: "\(isSame ? "header" : "root") hash of the result",
          found: isSame ? hexadecimal(found.headerHash) : hexadecimal(found.rootHash),
          expected: isSame
            ? hexadecimal(delta.target.headerHash) : hexadecimal(delta.target.rootHash)))
    }
    let defects: [ContainerError]
    do {
      defects = try withoutActuallyEscaping(progress) { progress throws(ContainerError) in
        try made.verify(strict: false, progress: { done, _ in progress(done) }, loop: loop)
      }
    } catch { throw fault(error) }
    if let first = defects.first { throw fault(first) }
    return made.file
  }
}
