import VLMFoundation

/// Where layers get their tensors. A container answers with mapped bytes; a `ManifestRecorder`
/// only writes down what was asked for.
package protocol WeightSource: Sendable {
  func tensor(_ spec: TensorSpec) throws(ModelError) -> Tensor
}

/// A cursor into a weight source, scoped to a dotted path: `weights["stages"][0]["blocks"]`.
package struct Weights: Sendable {
  private let source: any WeightSource
  private let prefix: String
  package let kernels: KernelSet
  /// Sees what the layers multiply; nil but for calibration.
  private let observer: (any ProductObserver)?

  package init(
    _ source: any WeightSource, kernels: KernelSet, observer: (any ProductObserver)? = nil
  ) {
    self.init(source: source, prefix: "", kernels: kernels, observer: observer)
  }

  private init(
    source: any WeightSource, prefix: String, kernels: KernelSet,
    observer: (any ProductObserver)?
  ) {
    self.source = source
    self.prefix = prefix
    self.kernels = kernels
    self.observer = observer
  }

  package subscript(scope: String) -> Weights {
    Weights(source: source, prefix: prefix + scope + ".", kernels: kernels, observer: observer)
  }

  package subscript(index: Int) -> Weights { self[String(index)] }

  /// The tensor `name` under this scope, which must have exactly `shape`.
  package func tensor(
    _ name: String, _ shape: [Int], _ role: TensorRole
  ) throws(ModelError) -> Tensor {
    try source.tensor(TensorSpec(path: prefix + name, shape: shape, role: role))
  }

  /// A product by a matrix that this cursor gave.
  package func product(_ weight: Tensor) -> MatrixProduct {
    MatrixProduct(weight, kernels: kernels, observer: observer)
  }

  /// The vector `name` when the configuration says that there is one.
  package func vector(
    _ name: String, _ count: Int, if present: Bool = true
  ) throws(ModelError) -> Tensor? {
    present ? try tensor(name, [count], .vector) : nil
  }
}

/// Writes down what a model asks for, in order.
package final class ManifestRecorder: WeightSource, @unchecked Sendable {
  // A model is built on one thread.
  package private(set) var specs: [TensorSpec] = []

  package init() {}

  package func tensor(_ spec: TensorSpec) throws(ModelError) -> Tensor {
    specs.append(spec)
    return Tensor(placeholder: spec)
  }
}

/// A model could not be built from what it was given.
package struct ModelError: ReportableError, Equatable {
  package enum Problem: Sendable, Equatable {
    /// With a tensor that is there where `String` is no name of the file's own.
    case missingTensor(String, beside: String? = nil)
    /// Of what is expected, -1 stands for any extent.
    case shape(String, found: [Int], expected: [Int])
    /// A tensor is stored in a way that its layer cannot compute with.
    case format(String, found: String, expected: String)
    case unusedTensors([String])
    case configuration(field: String, found: String, expected: String)
    case image(found: String, expected: String)
    case prompt(found: String, expected: String)
    /// A token whose id has no row in the table of embeddings, and how many more there are.
    case tokenWithoutRow(token: String, id: Int, others: Int, rows: Int)
    /// Results that are NaN or infinite, of so many.
    case notFinite(String, count: Int, of: Int)
    /// What needs more memory than may be planned with, and what would need less.
    case memory(String, needed: Int?, limit: String, Remedy?)
    /// Positions that a context does not have room for, behind those that it holds.
    case contextFull(held: Int, added: Int, capacity: Int)
    /// Memory for something that the system does not give.
    case noMemory(String, byteCount: Int)
    /// The caller ended a pass before there was a result.
    case cancelled
  }

  /// The file that the model came from, if any.
  package let file: String?
  package let problem: Problem

  package init(file: String? = nil, _ problem: Problem) {
    self.file = file
    self.problem = problem
  }

  package func description(in words: Wording) -> String {
    let text =
      switch problem {
      case .missingTensor(let name, let beside):
        "tensor '\(name.escapedForDisplay())': missing"
          + (beside.map { ", here so called; next to it would be '\($0.escapedForDisplay())'" }
            ?? "")
      case .shape(let name, let found, let expected):
        "tensor '\(name.escapedForDisplay())': shape \(found), expected \(Self.text(expected))"
      case .format(let name, let found, let expected):
        "tensor '\(name.escapedForDisplay())': stored as \(found), expected \(expected)"
      case .unusedTensors(let names):
        "\(counted(names.count, "tensor")) that the model does not have: "
          + names.prefix(20).map { "'\($0.escapedForDisplay())'" }.joined(separator: ", ")
      case .configuration(let field, let found, let expected):
        "config: \(field): found \(found.escapedForDisplay()), expected \(expected)"
      case .image(let found, let expected):
        "image: \(found), expected \(expected)"
      case .prompt(let found, let expected):
        "prompt: \(found), expected \(expected)"
      case .tokenWithoutRow(let token, let id, let others, let rows):
        "tokenizer: found token '\(token.escapedForDisplay(limit: 60))' with id \(id)"
          + (others > 0 ? " and \(others) more" : "")
          + ", expected ids below \(rows), the rows of the table of embeddings; take the tokenizer "
          + "that goes with the weights, or give its tokens rows (resize_token_embeddings)"
      case .notFinite(let what, let count, let total):
        "\(what): \(count) of \(total) are NaN or infinite, expected finite numbers: the weights are "
          + "damaged, or a layer overflows"
      case .memory(let what, let needed, let limit, let remedy):
        "memory: \(what) needs "
          + (needed.map(Self.memoryText) ?? "more than can be counted")
          + ", expected at most \(limit)" + words.end(remedy)
      case .contextFull(let held, let added, let capacity):
        "context: found \(held) positions and \(added) more, expected at most \(capacity)"
      case .noMemory(let what, let byteCount):
        "memory: \(what) needs \(max(1, byteCount >> 20)) MiB, which the system refuses"
      case .cancelled: "cancelled before there was a result"
      }
    return (file.map { $0.escapedForDisplay() + ": " } ?? "") + text
  }

  private static func memoryText(_ bytes: Int) -> String {
    let mebibyte = 1 << 20
    return bytes < mebibyte
      ? "\((bytes + 1023) >> 10) KiB" : "\((bytes + mebibyte - 1) >> 20) MiB"
  }

  private static func text(_ shape: [Int]) -> String {
    if !shape.isEmpty, shape.allSatisfy({ $0 < 0 }) { return "\(shape.count) extents above 0" }
    return "[" + shape.map { $0 < 0 ? "any" : "\($0)" }.joined(separator: ", ") + "]"
  }

  package var exitStatus: ExitStatus {
    switch problem {
    case .memory, .noMemory: .osError
    case .cancelled: .interrupted
    default: .badData
    }
  }
}

extension ModelError {
  /// Ends a pass that its caller cancelled. Called between layers.
  ///
  /// - Parameter flag: nil for a pass that cannot be cancelled.
  /// - Throws: `.cancelled` once the flag is.
  package static func check(_ flag: CancellationFlag?) throws(ModelError) {
    if let flag, flag.isCancelled { throw ModelError(.cancelled) }
  }

  /// Tells early, as an error, that memory for a piece of work cannot be had: an allocation that fails
  /// is a trap.
  ///
  /// - Parameters:
  ///   - bytes: about to be allocated.
  ///   - what: it is for, for the error.
  /// - Throws: `.noMemory` when the system refuses them.
  package static func require(memory bytes: Int, for what: String) throws(ModelError) {
    guard SystemMemory.has(bytes) else {
      throw ModelError(.noMemory(what, byteCount: bytes))
    }
  }

  /// Names the file in errors of code that does not know it.
  package static func inFile<T>(_ file: String, _ body: () throws -> T) throws -> T {
    do { return try body() } catch let error as ModelError {
      throw error.file == nil ? ModelError(file: file, error.problem) : error
    }
  }
}
