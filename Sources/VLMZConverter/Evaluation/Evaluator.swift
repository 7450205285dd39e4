import VLMContainer
import VLMConversion
import VLMFoundation
import VLMImages
import VLMModels
import VLMTensor
import VLMZ

/// Judges a model on data: how good it is, and how far it is from another form of it.
///
/// ```swift
/// let evaluator = try Evaluator(judging: "convnext-q4.vlmz", against: "convnext-tiny")
/// let result = try await evaluator.evaluate(on: ["validation"])
/// print(result.loss ?? 0, result.classes?.agreement ?? 0)
/// ```
///
/// The reference is run first. What it makes of the data is kept in a file without a name, then the
/// model is run, so that only one of them need be in memory. A language model is run block by block: it
/// may be larger than memory.
///
/// Any thread may use an evaluator; one evaluation runs at a time.
public final class Evaluator: Sendable {
  /// How models are judged. The defaults are right for most.
  public struct Options: Sendable, Equatable {
    /// How a reference that is a checkpoint is read; how it would be stored does not matter.
    public var checkpoint = Converter.Options()
    /// Tokens that a language model reads at most, visual ones included: 1 or more.
    public var tokenCount = 8192
    /// Pictures that an image model sees at most; nil for all.
    public var pictureCount: Int?
    /// Questions with answers in the data that both models answer themselves too.
    public var answerCount = 16
    /// Tokens of an answer at most: 1 or more.
    public var answerTokens = 48
    /// Where the reference's outputs are kept for the while, and the reference where it must be
    /// converted; nil for the model's folder.
    public var temporaryFolder: String?
    /// Threads that compute, 1 to 1024; nil for as many processors as this process may use.
    public var threads: Int?

    /// The defaults.
    public init() {}
  }

  /// How far an evaluation is.
  public struct Progress: Sendable, Equatable {
    /// What runs: "reference: pictures", "model: text" …
    public let stage: String
    /// Steps of the stage that are done.
    public let done: Int
    /// Of so many.
    public let total: Int
  }

  /// What a model is compared with.
  package enum Reference: Sendable {
    case container(Container)
    /// With the path that it was opened with.
    case checkpoint(SourceModel, path: String)

    package var path: String {
      switch self {
      case .container(let container): container.path
      case .checkpoint(_, let path): path
      }
    }

    /// - Throws: `ContainerError`, `ModelError` for a container that says nothing of its model.
    func description() throws -> ModelDescription {
      switch self {
      case .container(let container): try container.modelDescription()
      case .checkpoint(let source, _): source.description
      }
    }
  }

  /// What was asked for.
  public let options: Options
  let model: Container
  let reference: Reference?
  let kernels: KernelSet
  let threads: Int
  private let gate = CallGate()

  /// Opens a model and what it is compared with.
  ///
  /// - Parameters:
  ///   - model: a `.vlmz` file.
  ///   - reference: the model in another form, usually as it was before: a `.vlmz` file or a
  ///     checkpoint; nil for what can be said without one.
  ///   - options: how to judge.
  /// - Throws: `VLMZError`: `.notFound` or `.noPermission` for files that cannot be opened, `.badData`
  ///   for files that are damaged or are not of one architecture, `.invalidArgument` for options out of
  ///   range.
  public convenience init(
    judging model: String, against reference: String? = nil, options: Options = Options()
  ) throws(VLMZError) {
    let threads = options.threads ?? ThreadCount.available
    try VLMZError.require(
      (1...ThreadCount.maximum).contains(threads), "threads", found: "\(threads)",
      expected: "1 to \(ThreadCount.maximum)")
    for (name, value) in [
      ("tokens", options.tokenCount), ("pictures", options.pictureCount ?? 1),
      ("answer tokens", options.answerTokens),
    ] {
      try VLMZError.require(
        Self.counts.contains(value), name, found: "\(value)",
        expected: "1 to \(Self.counts.upperBound)")
    }
    try VLMZError.require(
      (0...Self.counts.upperBound).contains(options.answerCount), "answers",
      found: "\(options.answerCount)", expected: "0 to \(Self.counts.upperBound)")
    let opened = try VLMZError.wrapping {
      let container = try Container.open(path: model)
      let reference = try reference.map { try Reference(path: $0, options.checkpoint) }
      try Self.check(container, like: reference)
      return (container, reference)
    }
    self.init(
      model: opened.0, reference: opened.1, options: options, threads: threads, kernels: .best)
  }

  /// The same of what is open, with errors of the modules below.
  ///
  /// - Throws: `EvaluationError` where the two are not of one architecture.
  package convenience init(
    _ model: Container, _ reference: Reference?, _ options: Options, threads: Int,
    kernels: KernelSet
  ) throws {
    try Self.check(model, like: reference)
    self.init(
      model: model, reference: reference, options: options, threads: threads, kernels: kernels)
  }

  /// Tokens, pictures and answers, at most.
  package static let mostData = 1 << 24
  private static let counts = 1...mostData

  private static func check(_ model: Container, like reference: Reference?) throws {
    guard let reference else { return }
    try Likeness.require(
      try model.modelDescription(), file: model.path, like: try reference.description(),
      reference.path)
  }

  private init(
    model: Container, reference: Reference?, options: Options, threads: Int, kernels: KernelSet
  ) {
    self.model = model
    self.reference = reference
    self.options = options
    self.threads = threads
    self.kernels = kernels
  }

  // MARK: - Evaluating

  /// Judges the model.
  ///
  /// - Parameters:
  ///   - paths: pictures, folders of them, texts, and conversations in JSON Lines. The content of a
  ///     file decides what it is. Of pictures in folders that are named as classes of the model, or by
  ///     their numbers, it is known whether they are told right.
  ///   - progress: called on this thread.
  /// - Throws: `VLMZError`: `.invalidArgument` for data of a kind that the model does not read,
  ///   `.notFound`, `.badData` for data of which nothing can be used and for a reference with another
  ///   vocabulary, `.noMemory` for a disk without room, `.io`, `.busy`, `.cancelled`.
  public func evaluate(
    on paths: [String], progress: (Progress) -> Void = { _ in }
  ) throws(VLMZError) -> Evaluation {
    try evaluate(paths, CancellationFlag(), progress)
  }

  /// The same without blocking the task's thread; `progress` is called on one of the library's threads.
  /// Cancelling the task cancels it.
  public func evaluate(
    on paths: [String], progress: @escaping @Sendable (Progress) -> Void = { _ in }
  ) async throws(VLMZError) -> Evaluation {
    let flag = CancellationFlag()
    return try await Background.run(flag) { try self.evaluate(paths, flag, progress) }
  }

  /// Ends the evaluation that is running, before its next step; it throws `.cancelled`. Without one it
  /// does nothing. Any thread may call.
  public func cancel() { gate.cancel() }

  private func evaluate(
    _ paths: [String], _ flag: CancellationFlag, _ progress: (Progress) -> Void
  ) throws(VLMZError) -> Evaluation {
    try gate.enter(flag) { flag in
      try run(on: paths, cancelled: flag, warn: { _ in }, progress: progress)
    }
  }

  /// The same with errors of the modules below.
  ///
  /// - Parameter warn: called with what cannot be used, and with what a person should know, as soon as
  ///   it is found.
  package func run(
    on paths: [String], cancelled: CancellationFlag? = nil, warn: (String) -> Void,
    progress: (Progress) -> Void
  ) throws -> Evaluation {
    try run(try CalibrationData(paths: paths), cancelled, warn, progress)
  }

  private func run(
    _ data: CalibrationData, _ cancelled: CancellationFlag?, _ warn: (String) -> Void,
    _ progress: (Progress) -> Void
  ) throws -> Evaluation {
    try withoutActuallyEscaping(warn) { warn in
      try withoutActuallyEscaping(progress) { progress in
        let run = EvaluationRun(
          evaluator: self, data: data, cancelled: cancelled, warn: warn, progress: progress)
        return try run.evaluate()
      }
    }
  }
}

extension Evaluator.Reference {
  /// Opens a container, or recognises a checkpoint.
  ///
  /// - Throws: errors of the modules below.
  package init(path: String, _ options: Converter.Options) throws {
    switch try ModelFileKind.of(path) {
    case .container: self = .container(try Container.open(path: path))
    case .checkpoint: self = .checkpoint(try options.open(path), path: path)
    }
  }
}

extension Evaluator {
  /// Refuses what a conversion could not be judged on, before anything is converted. Pictures that are
  /// given by name must be readable; of folders, those that are not are left out later.
  ///
  /// - Returns: whether pictures given by name are all there is.
  /// - Throws: `EvaluationError`, and what is thrown for files that cannot be read.
  package static func check(_ paths: [String], for source: SourceModel) throws -> Bool {
    let data = try CalibrationData(paths: paths)
    let description = source.description
    if description.language == nil, source.preprocessing == nil {
      throw EvaluationError(.channels(description.inputChannels))
    }
    var areNamed = true
    for path in paths {
      // What is called a picture and is none is surely not meant as a text.
      let isPicture =
        ImageFileDetection.hasImageSignature(path) || ImageFileDetection.hasImageExtension(path)
      if isPicture, !FileSystem.isFolder(path) {
        _ = try source.preprocessing?.prepare(try ImageDecoder.open(path: path), name: path)
      } else {
        areNamed = false
      }
    }
    try data.require(by: description, hasReference: true)
    return areNamed
  }
}
