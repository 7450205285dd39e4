import VLMContainer
import VLMFoundation
import VLMTensor

/// How large the file of a conversion is beside its tensors.
///
/// Everything that is known before the conversion is laid out and compressed as it will be written.
/// The errors in the report and checksums are not known; digits like theirs stand for them, and a
/// few bytes are added for the difference.
struct Overhead {
  /// What is known of the inputs, of which provenance and report have a line.
  private let statistics: (any TensorStatistics)?
  /// Bytes that no mixture changes: header, table, configuration, tokenizer and their kin.
  private let fixed: Int

  /// What a compressed section may be larger than the one that stands for it: a share of it, and
  /// bytes.
  private static let (share, least) = (0.02, 48)

  init(_ conversion: Conversion, _ statistics: (any TensorStatistics)?) throws {
    self.statistics = statistics
    let sections = try conversion.unchangingSections()
    fixed =
      sections.reduce(0) { $0 + ContainerSize.section($1.content) }
      + ContainerSize.frame(
        sectionCount: sections.count + 2, copying: conversion.source.container)
  }

  /// Bytes of the file beside its padded tensors.
  ///
  /// - Parameters:
  ///   - planned: the conversion with its mixture.
  ///   - isSafe: whether what is not known may make it larger; otherwise it is the likely size.
  func byteCount(of planned: Conversion, isSafe: Bool = true) throws -> Int {
    var random = Digits()
    var errors: [String: QuantizationError] = [:]
    for item in planned.plan.items where !item.format.scheme.isExact {
      errors[item.spec.path] = random.error()
    }
    var digests: [String: UInt64] = [:]
    for path in planned.source.files { digests[path] = random.next() }
    let changing =
      ContainerSize.section(
        try planned.provenanceSection(digests, statistics))
      + ContainerSize.section(planned.reportSection(planned.report(errors, statistics)))
      + ContainerSize.index(
        planned.plan.items.map {
          .init(name: $0.spec.path, format: $0.format, role: $0.spec.role, shape: $0.spec.shape)
        })
    let more = isSafe ? Int(Self.share * Double(changing)) + Self.least : 0
    return fixed + ContainerSize.padded(changing + more)
  }

  /// Numbers that look like errors and checksums; always the same.
  private struct Digits {
    private var state: UInt64 = 1

    mutating func next() -> UInt64 {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return state ^ state >> 29
    }

    private mutating func number() -> Float { Float(next() >> 40) / Float(1 << 24) }

    mutating func error() -> QuantizationError {
      let values = (0..<4).map { _ in number() }
      return QuantizationError(values: values, decoded: values.map { $0 * (1 - number() / 8) })
    }
  }
}
