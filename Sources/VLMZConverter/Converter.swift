import VLMConversion
import VLMFoundation
import VLMTensor
import VLMZ

/// Turns a checkpoint into a `.vlmz` file.
///
/// A converter opens and recognises the checkpoint when it is made; `plan` then says what would be
/// written, and `convert` writes it. Weights are read, encoded and written in pieces, so memory does
/// not grow with the model.
///
/// ```swift
/// let converter = try Converter(opening: "convnext-tiny", options: .init(scheme: .q4))
/// let report = try await converter.convert(to: "convnext.vlmz") { print($0.fraction) }
/// print(report.bitsPerWeight)
/// ```
///
/// The output appears at its path when it is complete, in one step, and replaces nothing unless
/// `Options.overwrites`. A conversion that fails or is cancelled leaves nothing behind, or with
/// `Options.resumes` what a later one can go on with.
///
/// Any thread may use a converter; one conversion runs at a time. The checkpoint's files are mapped
/// and must not be truncated while the converter exists: reading a page that is gone raises SIGBUS.
/// A change of their contents is noticed, and the conversion fails.
public final class Converter: Sendable {
  /// How far a conversion is.
  public struct Progress: Sendable, Equatable {
    /// Bytes of the checkpoint that are converted. They never fall, and are all at the end.
    public let byteCount: Int
    /// Bytes of the checkpoint in all.
    public let totalByteCount: Int
    /// The container's name of the tensor at hand; empty during calibration.
    public let tensor: String
    /// How much of the calibration is done, from 0 to 1, before the conversion begins; 1 where there
    /// is none.
    public let calibratedFraction: Double

    /// From 0 to 1.
    public var fraction: Double {
      totalByteCount > 0 ? Double(byteCount) / Double(totalByteCount) : 1
    }
  }

  /// One element of a stream of events.
  public enum Event: Sendable {
    /// Some more was converted.
    case progress(Progress)
    /// The last element: the file is complete.
    case end(Report)
  }

  /// What was asked for.
  public let options: Options

  /// What a person should know before converting, one line each: what the checkpoint leaves open
  /// and how it was taken, what will be rounded a second time.
  public var notes: [String] { remarks.map(\.description) }

  /// The same for other words than a library's.
  ///
  /// What a budget plans is told once it is planned.
  package var remarks: [Note] { source.notes + (budget == nil ? conversion.notes : []) }

  package var source: SourceModel { conversion.source }
  package let conversion: Conversion
  private let threads: Int
  private let gate = CallGate()

  /// Opens a checkpoint and plans its conversion. The weights themselves are not read yet.
  ///
  /// - Parameters:
  ///   - input: a .safetensors, PyTorch, GGUF or .vlmz file, or a folder as timm or Hugging Face
  ///     saves it.
  ///   - options: how to read and to write.
  /// - Throws: `VLMZError`: `.notFound` or `.noPermission` for files that cannot be opened,
  ///   `.badData` for a checkpoint that is damaged, lacks tensors, or is of no model known here,
  ///   `.invalidArgument` for options that do not fit it.
  public convenience init(
    opening input: String, options: Options = Options()
  ) throws(VLMZError) {
    let threads = options.threads ?? ThreadCount.available
    try VLMZError.require(
      (1...ThreadCount.maximum).contains(threads), "threads", found: "\(threads)",
      expected: "1 to \(ThreadCount.maximum)")
    try options.check()
    let conversion = try VLMZError.wrapping {
      try Conversion(try options.open(input), options, threads: threads, kernels: .best)
    }
    self.init(conversion, options, threads: threads)
  }

  /// The same of a checkpoint that is open, with errors of the modules below.
  ///
  /// - Parameter kernels: whose instruction set the encoders may use; the bytes do not depend on it.
  package convenience init(
    _ source: SourceModel, _ options: Options, threads: Int, kernels: KernelSet
  ) throws {
    self.init(
      try Conversion(source, options, threads: threads, kernels: kernels), options,
      threads: threads)
  }

  private init(_ conversion: Conversion, _ options: Options, threads: Int) {
    self.conversion = conversion
    self.options = options
    self.threads = threads
  }

  // MARK: - Converting

  /// Writes the container.
  ///
  /// - Parameters:
  ///   - output: the path of the file to write; the folder must be there.
  ///   - progress: called on this thread, some times for each tensor. It may call `cancel()`.
  /// - Returns: what was written and what the rounding cost.
  /// - Throws: `VLMZError`: `.cannotCreate` for an output that exists, that is a checkpoint or cannot
  ///   be made, `.badData` for weights that are not finite or disagree with a checksum, `.io` for a
  ///   full disk or a checkpoint that changed meanwhile, `.noMemory`, `.busy`, `.cancelled`.
  @discardableResult
  public func convert(
    to output: String, progress: (Progress) -> Void = { _ in }
  ) throws(VLMZError) -> Report {
    try convert(to: output, CancellationFlag(), progress)
  }

  /// The same without blocking the task's thread; `progress` is called on one of the library's threads.
  /// Cancelling the task cancels the conversion.
  @discardableResult
  public func convert(
    to output: String, progress: @escaping @Sendable (Progress) -> Void = { _ in }
  ) async throws(VLMZError) -> Report {
    let flag = CancellationFlag()
    return try await Background.run(flag) { try self.convert(to: output, flag, progress) }
  }

  /// The same as a stream: progress, then the report.
  ///
  /// The conversion begins at once. It is cancelled when the stream is let go before its end.
  /// Progress that nobody takes in time is replaced by later progress.
  ///
  /// - Returns: a stream whose errors are those of `convert`, as `VLMZError`.
  public func events(convertingTo output: String) -> AsyncThrowingStream<Event, any Error> {
    let flag = CancellationFlag()
    return AsyncThrowingStream(bufferingPolicy: .bufferingNewest(1)) { continuation in
      continuation.onTermination = { _ in flag.cancel() }
      Background.start {
        do {
          let report = try self.convert(to: output, flag) { continuation.yield(.progress($0)) }
          continuation.yield(.end(report))
          continuation.finish()
        } catch {
          continuation.finish(throwing: VLMZError(error))
        }
      } failed: {
        continuation.finish(throwing: Background.noThread)
      }
    }
  }

  /// Ends the conversion that is running, before its next piece; it throws `.cancelled`. Without one
  /// it does nothing. Any thread may call.
  public func cancel() { gate.cancel() }

  private func convert(
    to output: String, _ flag: CancellationFlag, _ progress: (Progress) -> Void
  ) throws(VLMZError) -> Report {
    try gate.enter(flag) { flag in
      try write(
        to: output, cancelled: flag, note: { _ in },
        calibrating: { done, total, _ in progress(calibrated(Double(done) / Double(max(1, total))))
        },
        progress: progress)
    }
  }

  /// The same with errors of the modules below.
  ///
  /// - Parameters:
  ///   - note: called with what a person should know about calibration and resuming.
  ///   - calibrating: called with steps done, of all, and what runs.
  package func write(
    to output: String, cancelled: CancellationFlag? = nil, note: (String) -> Void,
    calibrating: (Int, Int, String) -> Void = { _, _, _ in }, progress: (Progress) -> Void
  ) throws -> Report {
    var notes = self.notes
    func tell(_ text: String) {
      notes.append(text)
      note(text)
    }
    if calibrator != nil {
      // Said before the work, not after it.
      let own = [
        "", ".partial", ".partial.journal", ".for-calibration", ".for-calibration.partial",
        ".partial.statistics", ".partial.statistics.partial", ".partial.statistics.progress",
        ".attempt", ".attempt.partial", ".attempt.partial.journal",
      ].map { output + $0 }
      if let path = options.calibration?.statisticsFile, own.contains(path) {
        throw StatisticsError(path: path, .isOutput(output))
      }
      try conversion.checkOutput(output)
      try OutputFile.check(output, overwrite: options.overwrites)
      if case .loss = budget { try BudgetedRun.checkAttempt(beside: output) }
    }
    if let budget {
      try conversion.unrestricted.requireRoom(for: budget, statistics: calibrator?.announced)
    }
    if options.planFile != nil, options.calibration == nil {
      tell(
        "a plan has schemes only: codes are chosen by the weights alone, unless the model is "
          + "calibrated, or statistics are given, as it was before")
    }
    if calibrator != nil, budget == nil, let note = conversion.noteOfKeptMatrices { tell(note) }
    let findings = try calibrator?.statistics(
      for: output, cancelled: cancelled, note: tell, progress: calibrating)
    let run = BudgetedRun(
      converter: self, statistics: findings?.statistics.limited(by: options.calibration?.effort),
      meter: findings?.meter, output: output, cancelled: cancelled)
    let report = try run.write(note: tell, calibrating: calibrating, progress: progress)
    calibrator?.removeLeftovers(of: output)
    return Report(path: output, details: report, notes: notes)
  }

  private func calibrated(_ fraction: Double) -> Progress {
    Progress(
      byteCount: 0, totalByteCount: conversion.sourceByteCount, tensor: "",
      calibratedFraction: fraction)
  }

  /// What calibrates the model, where that was asked for.
  var calibrator: Calibrator? {
    options.calibration.map { calibration in
      Calibrator(
        conversion: budget == nil ? conversion : conversion.unrestricted, options: calibration,
        ignoresUnexpected: options.ignoresUnexpectedTensors, threads: threads,
        resumes: options.resumes, weighs: budget != nil && calibration.effort != .fast,
        measures: budget != nil)
    }
  }
}

extension Conversion {
  fileprivate init(
    _ source: SourceModel, _ options: Converter.Options, threads: Int, kernels: KernelSet
  ) throws {
    try self.init(
      source: source, policy: options.policy,
      ignoreUnexpected: options.ignoresUnexpectedTensors, pool: WorkerPool(threadCount: threads),
      kernels: kernels)
    if let path = options.planFile { self = try PlanFile(path: path).applied(to: self) }
  }
}
