import VLMConversion
import VLMFoundation
import VLMZ

extension Converter {
  /// What a conversion may spend, so that each matrix gets the scheme by which the model loses
  /// least.
  ///
  /// With calibration what each matrix costs is found out by running the model; without it the
  /// errors of weights have to do. docs/quantization.md says how.
  public enum Budget: Sendable, Equatable {
    /// Bytes of the whole file, which is not larger.
    case size(bytes: Int)
    /// Stored bits per parameter, as `Report.bitsPerWeight` counts them.
    case bitsPerWeight(Double)
    /// What the model may lose: divergence in nats of a model that writes or names classes, else
    /// one less the cosine of embeddings. What was written is run where data were held back.
    case loss(Double)

    /// - Parameter given: how a person wrote the size.
    func value(_ given: GivenSize?) -> VLMConversion.Budget {
      switch self {
      case .size(let bytes): .size(bytes, as: given)
      case .bitsPerWeight(let bits): .bits(bits)
      case .loss(let loss): .loss(loss)
      }
    }

    /// What `bitsPerWeight` may be.
    package static let bits = 1.0...32.0

    func check() throws(VLMZError) {
      switch self {
      case .size(let bytes):
        try VLMZError.require(
          bytes > 0, "size of the file", found: "\(bytes) bytes", expected: "more than 0")
      case .bitsPerWeight(let bits):
        try VLMZError.require(
          Self.bits.contains(bits), "bits per weight", found: "\(bits)", expected: "1 to 32")
      case .loss(let loss):
        try VLMZError.require(
          loss > 0 && loss.isFinite, "loss", found: "\(loss)", expected: "more than 0")
      }
    }
  }

  /// How much work a calibration is.
  public enum Effort: String, Sendable, CaseIterable {
    /// The importance of inputs alone; what matrices cost is taken for constants.
    case fast
    /// Errors made up for by later inputs, and what matrices cost found out by running the model.
    case normal
    /// The same with more data; see `Calibration.tokenCount`.
    case best
  }

  /// The budget to keep to; nil where the scheme of each matrix is given.
  ///
  /// With calibration a scheme of few bits is a budget too: its bytes are spent where they matter.
  var budget: VLMConversion.Budget? {
    if let budget = options.budget { return budget.value(options.givenSize) }
    let scheme = options.scheme.scheme
    guard options.planFile == nil, options.calibration != nil, scheme.fallback != nil else {
      return nil
    }
    return .scheme(scheme, byteCount: conversion.plan.byteCount)
  }

  /// Whether schemes are chosen for single matrices.
  package var hasBudget: Bool { budget != nil }

  /// What `convert` would write within the budget. Weights are read, and statistics where they are
  /// kept in a file; nothing is written.
  ///
  /// Without statistics it goes by the errors of weights, and `convert` may choose otherwise once the
  /// model is calibrated.
  ///
  /// - Throws: `VLMZError`, `.invalidArgument` for a budget that cannot be kept.
  public func budgetPlan() throws(VLMZError) -> Plan {
    try VLMZError.wrapping { Plan(try settled(note: { _ in }), source) }
  }

  /// The conversion with the mixture of its budget; itself without one.
  package func settled(
    note: (String) -> Void, calibrating: (Int, Int, String) -> Void = { _, _, _ in }
  ) throws -> Conversion {
    guard budget != nil else { return conversion }
    var statistics: StatisticsFile?
    if let calibration = options.calibration, let path = calibration.statisticsFile,
      FileSystem.exists(path)
    {
      statistics = try calibrator?.statistics(
        for: "", cancelled: nil, note: note, progress: calibrating
      ).statistics.limited(by: calibration.effort)
    }
    return try BudgetedRun(
      converter: self, statistics: statistics, meter: nil, output: "", cancelled: nil
    ).planned(note: note, calibrating: calibrating)
  }
}
