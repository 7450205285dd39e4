import Synchronization
import VLMCheckpoint
import VLMFoundation
import VLMTensor

/// How two model files differ, tensor by tensor.
package struct ModelDifference {
  package struct Entry: Sendable {
    package let name: String
    package let types: (String, String)
    package let shapes: ([Int], [Int])
    /// Of the values; nil where shapes differ or the values are no real numbers.
    package let error: QuantizationError?
    /// Places where one of the two is NaN or infinite and the other is something else.
    package let mismatchCount: Int

    /// safetensors and PyTorch write in capitals what a container writes small.
    package var isOfOneType: Bool { types.0.lowercased() == types.1.lowercased() }

    /// √(Σ(a − b)² / Σa²); infinite where the values cannot be compared.
    package var relativeError: Double {
      guard let error, mismatchCount == 0 else { return .infinity }
      return error.relativeRootMeanSquareError
    }
  }

  /// Names in the first file alone, and in the second alone.
  package let onlyInFirst: [String]
  package let onlyInSecond: [String]
  /// Tensors of both, the one with the largest relative error first.
  package let common: [Entry]
  /// Tensors of one file alone that are no part of the model; no difference by themselves.
  package let ignored: [String]
  /// Whether names were matched by what the tensors are in the model.
  package let isByModel: Bool
  /// Why they were not, where a file says which model it is and that cannot be read.
  package let notes: [Note]

  /// Whether both have the same tensors and none is further off than `tolerance`.
  package func isSame(tolerance: Double) -> Bool {
    onlyInFirst.isEmpty && onlyInSecond.isEmpty
      && common.allSatisfy { $0.relativeError <= tolerance }
  }

  /// Values compared by a thread at a time.
  private static let pieceValues = 256 << 10

  /// Compares all tensors, several pieces at a time; memory does not grow with the files.
  ///
  /// Where names as they are leave tensors over, or shapes differ, each checkpoint's tensors get the
  /// names that a container would give them, or else a container's the names of the checkpoint that
  /// it was made from, if more of them match then.
  ///
  /// - Parameter progress: called with values done, of all.
  package init(
    _ first: String, _ second: String, options: PyTorchFile.Options, pool: WorkerPool,
    progress: (Int, Int) -> Void
  ) throws {
    var (a, b) = (
      try ModelTensors.open(path: first, options: options),
      try ModelTensors.open(path: second, options: options)
    )
    var isByModel = false
    var shared = a.shared(with: b)
    let isWhole = shared == max(a.tensors.count, b.tensors.count)
    var notes: [Note] = []
    func canonical(_ model: ModelTensors) -> ModelTensors? {
      do { return try model.canonical(options: options) } catch {
        notes.append(Note("compared by names alone: ", error))
        return nil
      }
    }
    if !isWhole, let x = canonical(a), let y = canonical(b) {
      let count = x.shared(with: y)
      if count > shared || count == shared && a.isModelAlone != b.isModelAlone {
        (a, b, shared, isByModel) = (x, y, count, true)
      }
    }
    if !isWhole, !isByModel, a.kind != b.kind, let x = try a.original(), let y = try b.original(),
      x.shared(with: y) > shared
    {
      (a, b) = (x, y)
    }
    self.isByModel = isByModel
    self.notes = notes
    var others: [ExactString: ModelTensor] = [:]
    for tensor in b.tensors { others[ExactString(tensor.name)] = tensor }
    var pairs: [(ModelTensor, ModelTensor)] = []
    var left: [String] = []
    for tensor in a.tensors {
      if let other = others.removeValue(forKey: ExactString(tensor.name)) {
        pairs.append((tensor, other))
      } else {
        left.append(tensor.name)
      }
    }
    let right = others.values.map(\.name)
    onlyInFirst = left.filter { !a.unused.contains(ExactString($0)) }.sorted()
    onlyInSecond = right.filter { !b.unused.contains(ExactString($0)) }.sorted()
    ignored = (left + right).filter {
      a.unused.contains(ExactString($0)) || b.unused.contains(ExactString($0))
    }.sorted()

    let total = pairs.reduce(0) { $0 + $1.0.elementCount }
    var done = 0
    let scratch = (0..<pool.threadCount).map { _ in Scratch() }
    var entries: [Entry] = []
    for (x, y) in pairs {
      entries.append(try Self.compare(x, y, pool, scratch))
      x.release()
      y.release()
      done += x.elementCount
      progress(done, total)
    }
    try a.checkUnchanged()
    try b.checkUnchanged()
    common = entries.sorted {
      ($1.relativeError, $0.name) < ($0.relativeError, $1.name)
    }
  }

  /// What a thread works in.
  private final class Scratch: @unchecked Sendable {
    var first: [Float] = []
    var second: [Float] = []

    func resize(_ count: Int) {
      if first.count < count {
        first = [Float](repeating: 0, count: count)
        second = first
      }
    }
  }

  /// What threads found of their pieces. A class, since Swift 6.0 may take a lock that a closure
  /// captures for consumed.
  private final class Outcome: Sendable {
    let results: Mutex<[(QuantizationError, Int)]>
    let failure = Mutex<(any Error)?>(nil)

    init(count: Int) {
      results = Mutex(.init(repeating: (QuantizationError(), 0), count: count))
    }
  }

  private static func compare(
    _ a: ModelTensor, _ b: ModelTensor, _ pool: WorkerPool, _ scratch: [Scratch]
  ) throws -> Entry {
    func entry(_ error: QuantizationError?, _ mismatches: Int) -> Entry {
      Entry(
        name: a.name, types: (a.type, b.type), shapes: (a.shape, b.shape), error: error,
        mismatchCount: mismatches)
    }
    guard a.shape == b.shape, a.isNumeric, b.isNumeric else { return entry(nil, 0) }
    let pieces = ModelTensor.pieces(a, b, values: pieceValues)
    let outcome = Outcome(count: pieces.count)
    pool.forEach(count: pieces.count) { index, worker in
      let count = pieces[index].count * a.perOutput
      let scratch = scratch[worker]
      scratch.resize(count)
      do {
        let result = try scratch.first.withUnsafeMutableBufferPointer { first in
          try scratch.second.withUnsafeMutableBufferPointer { second in
            let (x, y) = (
              UnsafeMutableBufferPointer(rebasing: first[..<count]),
              UnsafeMutableBufferPointer(rebasing: second[..<count])
            )
            try a.read(pieces[index], into: x)
            try b.read(pieces[index], into: y)
            return Self.compare(UnsafeBufferPointer(x), UnsafeBufferPointer(y))
          }
        }
        outcome.results.withLock { $0[index] = result }
      } catch {
        outcome.failure.withLock { $0 = $0 ?? error }
      }
    }
    if let error = outcome.failure.withLock({ $0 }) { throw error }
    var (total, mismatches) = (QuantizationError(), 0)
    for (error, count) in outcome.results.withLock({ $0 }) {
      total.merge(error)
      mismatches += count
    }
    return entry(total, mismatches)
  }

  private static func compare(
    _ a: UnsafeBufferPointer<Float>, _ b: UnsafeBufferPointer<Float>
  ) -> (QuantizationError, Int) {
    guard let x = a.baseAddress, let y = b.baseAddress else { return (QuantizationError(), 0) }
    let error = QuantizationError(count: a.count, values: x, decoded: y)
    guard error.notFiniteCount + error.overflowCount > 0 else { return (error, 0) }
    var mismatches = 0
    for index in 0..<a.count where !x[index].isFinite || !y[index].isFinite {
      // All NaNs count as equal.
      if x[index] != y[index], !(x[index].isNaN && y[index].isNaN) { mismatches += 1 }
    }
    return (error, mismatches)
  }
}

extension ModelDifference {
  /// `{"same", "only_in_first", "only_in_second", "no_part_of_model", "tensors": [{"name", …}]}`,
  /// worst tensor first.
  package func json(tolerance: Double) -> JSONValue {
    var object = JSONObject()
    object.set("same", .bool(isSame(tolerance: tolerance)))
    object.set("tolerance", .double(tolerance))
    object.set("matched_by_model", .bool(isByModel))
    object.set("only_in_first", .array(onlyInFirst.map { .string($0) }))
    object.set("only_in_second", .array(onlyInSecond.map { .string($0) }))
    object.set("no_part_of_model", .array(ignored.map { .string($0) }))
    object.set("tensors", .array(common.map(\.json)))
    return .object(object)
  }
}

extension ModelDifference.Entry {
  fileprivate var json: JSONValue {
    var object = JSONObject()
    object.set("name", .string(name))
    object.set("dtypes", [.string(types.0), .string(types.1)])
    object.set(
      "shapes",
      [.array(shapes.0.map { .int($0) }), .array(shapes.1.map { .int($0) })])
    func finite(_ value: Double) -> JSONValue { value.isFinite ? .double(value) : .null }
    if let error {
      object.set("max_abs_error", finite(error.maxAbsError))
      object.set("relative_rmse", finite(relativeError))
      object.set("cosine", finite(error.cosine))
      object.set("not_finite_mismatches", .int(mismatchCount))
    }
    return .object(object)
  }
}
