import Foundation
import Testing
import VLMContainer
import VLMConversion
import VLMFoundation
import VLMTensor
import VLMTestSupport
import VLMZ

@testable import VLMZConverter

/// Conversions within a budget.
@Suite("Budgets")
struct BudgetTests {
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  private func text(words: Int = 400, seed: UInt64 = 1) throws -> String {
    let path = folder.path("text\(seed).txt")
    try Data(CalibrationFixture.text(words: words, seed: seed).utf8)
      .write(to: URL(fileURLWithPath: path))
    return path
  }

  private func options(
    _ budget: Converter.Budget?, _ calibration: Converter.Calibration? = nil
  ) -> Converter.Options {
    var options = Converter.Options()
    options.budget = budget
    options.calibration = calibration
    options.threads = 2
    options.overwrites = true
    return options
  }

  private func convert(
    _ input: String, _ options: Converter.Options, to name: String = "m.vlmz"
  ) throws -> Converter.Report {
    try Converter(opening: input, options: options).convert(to: folder.path(name))
  }

  @Test("a file is at most as large as it may be, and hardly smaller", arguments: [120, 150, 200])
  func size(_ kilobytes: Int) throws {
    let limit = kilobytes * 1000 + 100_000
    let report = try convert(CalibrationFixture.stories, options(.size(bytes: limit)))
    #expect(report.fileByteCount <= limit)
    #expect(limit - report.fileByteCount < 1000, "\(report.fileByteCount)")
    #expect(Set(report.tensors.map(\.scheme)).count > 2)
    // Errors of weights say nothing of what the model loses.
    #expect(report.predictedLoss == nil)
  }

  @Test("bits per weight are those of the report")
  func bits() throws {
    var errors: [Double] = []
    for bits in [5.5, 6.5, 8.0] {
      let report = try convert(
        CalibrationFixture.classifier, options(.bitsPerWeight(bits)))
      #expect(report.bitsPerWeight <= bits && report.bitsPerWeight > bits - 0.2, "\(bits)")
      errors.append(report.tensors.reduce(0) { $0 + $1.relativeError })
    }
    #expect(errors == errors.sorted(by: >))
  }

  @Test("a loss is kept with as few bytes as it takes, and only where it can be measured")
  func loss() throws {
    let own = Converter.Calibration(usesOwnData: true, tokenCount: 1024)
    let (less, more) = (
      try convert(CalibrationFixture.classifier, options(.loss(0.05), own)),
      try convert(CalibrationFixture.classifier, options(.loss(0.002), own))
    )
    #expect(try #require(less.measuredLoss) <= 0.05)
    #expect(try #require(more.measuredLoss) <= 0.002)
    #expect(less.fileByteCount < more.fileByteCount)
    let error = thrownError(VLMZError.self) {
      _ = try Converter(opening: CalibrationFixture.classifier, options: options(.loss(0.05)))
    }
    #expect(error?.code == .invalidArgument)
  }

  @Test("the least size that a refusal tells is kept to", arguments: [false, true])
  func leastSize(calibrated: Bool) throws {
    for input in [CalibrationFixture.stories, TestFiles.fixture("stories-qwen2")] {
      let calibration = calibrated ? Converter.Calibration(on: [try text()], tokenCount: 256) : nil
      let error = thrownError(VLMZError.self) {
        try convert(input, options(.size(bytes: 1000), calibration))
      }
      let found = try #require(error?.message.firstMatch(of: /at least ([\d.]+) kB/))
      let least = Int((try #require(Double(found.1)) * 1000).rounded())
      let report = try convert(input, options(.size(bytes: least), calibration))
      #expect(report.fileByteCount <= least && report.fileByteCount > least - 1000)
    }
  }

  @Test("what a killed process left of a loss is replaced, and what is not ours stays")
  func attempted() throws {
    let own = Converter.Calibration(usesOwnData: true, tokenCount: 256)
    let place = URL(fileURLWithPath: folder.path("m.vlmz.attempt"))
    try Data("mine".utf8).write(to: place)
    let converter = try Converter(
      opening: CalibrationFixture.clip, options: options(.loss(0.01), own))
    var begun = false
    let error = thrownError(VLMZError.self) {
      try converter.convert(to: folder.path("m.vlmz")) { _ in begun = true }
    }
    #expect(error?.code == .cannotCreate && !begun)
    #expect(try Data(contentsOf: place) == Data("mine".utf8))
    try FileManager.default.removeItem(at: place)
    _ = try convert(CalibrationFixture.clip, options(nil), to: "m.vlmz.attempt")
    _ = try convert(CalibrationFixture.clip, options(.loss(0.01), own))
    #expect(!FileManager.default.fileExists(atPath: place.path))
  }

  @Test("what was measured is kept with the statistics, and corrects what is expected of others")
  func corrected() throws {
    let kept = folder.path("kept")
    let first = try convert(
      CalibrationFixture.classifier,
      options(
        .bitsPerWeight(5), .init(usesOwnData: true, tokenCount: 1024, statisticsFile: kept)))
    let file = try StatisticsFile.open(path: kept)
    let measured = try #require(first.measuredLoss)
    let point = try #require(file.losses.points.first)
    #expect(file.losses.points.count == 1 && point.measured == measured)
    // The same mixture is expected to lose what it lost, another in proportion.
    let known = options(.bitsPerWeight(5), .init(statisticsFile: kept))
    let again = try convert(CalibrationFixture.classifier, known, to: "b.vlmz")
    let expected = try #require(again.predictedLoss)
    #expect(abs(expected - measured) < 1e-9 * measured)
    #expect(again.measuredLoss == nil)
    #expect(again.notes.contains { $0.contains("not measured: the statistics alone are given") })
    let smaller = try convert(
      CalibrationFixture.classifier, options(.bitsPerWeight(4.5), .init(statisticsFile: kept)))
    #expect(try #require(smaller.predictedLoss) > expected)
    // A loss without data goes by it, and says so.
    let asked = try convert(
      CalibrationFixture.classifier, options(.loss(2 * measured), .init(statisticsFile: kept)))
    #expect(try #require(asked.predictedLoss) <= 2 * measured)
    #expect(asked.notes.contains { $0.contains("was not measured") })
  }

  @Test("what cannot be is refused with what can")
  func impossible() throws {
    let cases: [(Converter.Budget, String)] = [
      (.size(bytes: 1000), "size of the file: found '1 kB', expected at least "),
      (.bitsPerWeight(2), "bits per weight: found '2', expected at least "),
    ]
    for (budget, message) in cases {
      do {
        _ = try convert(CalibrationFixture.stories, options(budget))
        Issue.record("kept to \(budget)")
      } catch let error as VLMZError {
        #expect(error.code == .invalidArgument)
        #expect(error.description.contains(message), "\(error)")
        // What is told works.
        let number = try #require(
          error.description.components(separatedBy: "at least ").last?.prefix {
            $0.isNumber || $0 == "."
          })
        let value = try #require(Double(number))
        let isSize = error.description.contains(" kB, which")
        let bytes = Int((value * 1000).rounded())
        let told: Converter.Budget = isSize ? .size(bytes: bytes) : .bitsPerWeight(value)
        _ = try convert(CalibrationFixture.stories, options(told))
      }
    }
    // What was asked for is in the report, with its digits: what is told does not go by their number.
    let refusals = [1_000, 9_000, 99_000].map { bytes -> String in
      let error = thrownError(VLMZError.self) {
        try convert(CalibrationFixture.stories, options(.size(bytes: bytes)))
      }
      return error?.description.components(separatedBy: "expected at least ").last ?? ""
    }
    #expect(Set(refusals).count == 1 && !refusals[0].isEmpty, "\(refusals)")
    for budget in [
      Converter.Budget.size(bytes: 0), .bitsPerWeight(.nan), .bitsPerWeight(64), .loss(-1),
      .loss(.infinity),
    ] {
      #expect(throws: VLMZError.self) {
        _ = try Converter(opening: CalibrationFixture.stories, options: options(budget))
      }
    }
    var both = options(.loss(1))
    both.planFile = "x"
    #expect(throws: VLMZError.self) {
      _ = try Converter(opening: CalibrationFixture.stories, options: both)
    }
  }

  @Test("a pattern decides for its tensors in every budget")
  func pinned() throws {
    var options = options(.size(bytes: 250_000))
    options.tensorSchemes = [.init("*.down_proj.weight", .q3)]
    let report = try convert(CalibrationFixture.stories, options)
    let pinned = report.tensors.filter { $0.name.hasSuffix("down_proj.weight") }
    #expect(pinned.count == 5 && pinned.allSatisfy { $0.scheme == .q3 && $0.reason != nil })
    #expect(report.fileByteCount <= 250_000)
  }

  @Test("the model is run to find out what its matrices cost, and the statistics keep it")
  func sensitivities() throws {
    let kept = folder.path("kept")
    let calibration = Converter.Calibration(
      on: [try text(words: 900)], tokenCount: 1024, statisticsFile: kept)
    let first = try convert(
      CalibrationFixture.stories, options(.size(bytes: 240_000), calibration), to: "a.vlmz")
    let file = try StatisticsFile.open(path: kept)
    #expect(file.hasSensitivities)
    let values = file.groups.flatMap(\.tensors).map { file.sensitivity(of: $0) ?? 0 }
    #expect(values.count == 36 && values.allSatisfy { $0 > 1e-5 && $0 < 1000 }, "\(values)")
    // Another budget does without data.
    let second = try convert(
      CalibrationFixture.stories,
      options(.size(bytes: 280_000), .init(statisticsFile: kept)), to: "b.vlmz")
    #expect(second.fileByteCount > first.fileByteCount)
    let losses = try [first, second].map { try #require($0.predictedLoss) }
    #expect(losses[1] < losses[0])
    let json = try JSONValue.parse(Array(first.json.utf8))
    #expect(json["budget"]?["basis"] == "measured")
    #expect(json["budget"]?["spent"]?.arrayValue?.count == 8)
    #expect(!first.notes.contains { $0.contains("constants") })
  }

  @Test("with calibration a scheme is a budget that is not exceeded")
  func named() throws {
    let kept = folder.path("kept")
    let data = try text(words: 900)
    for scheme in [WeightScheme.q3, .q4, .q6] {
      var plain = options(nil)
      plain.scheme = scheme
      let before = try convert(CalibrationFixture.stories, plain, to: "plain.vlmz")
      plain.calibration = .init(on: [data], tokenCount: 1024, statisticsFile: kept)
      let after = try convert(CalibrationFixture.stories, plain, to: "m.vlmz")
      let bytes = [before, after].map { $0.tensors.reduce(0) { $0 + $1.byteCount } }
      #expect(bytes[1] <= bytes[0], "\(scheme)")
      #expect(after.predictedLoss != nil && before.predictedLoss == nil)
    }
    var uniform = options(nil, .init(statisticsFile: kept))
    uniform.scheme = .q8
    #expect(try convert(CalibrationFixture.stories, uniform).predictedLoss == nil)
  }

  @Test("a calibration of little effort keeps no Hessians and takes constants")
  func fast() throws {
    let kept = folder.path("kept")
    var calibration = Converter.Calibration(
      on: [CalibrationFixture.pictures], tokenCount: 1024, statisticsFile: kept)
    calibration.effort = .fast
    let report = try convert(
      CalibrationFixture.classifier, options(.bitsPerWeight(5), calibration))
    let file = try StatisticsFile.open(path: kept)
    #expect(!file.hasSensitivities && file.groups.allSatisfy { !$0.hasHessian })
    let json = try JSONValue.parse(Array(report.json.utf8))
    #expect(json["budget"]?["basis"] == "products")
  }

  @Test("towers and eyes are run too")
  func families() throws {
    let captions = folder.path("captions")
    try Data("a photo of a cat\na dog\n\ntwo birds on a wire\n".utf8)
      .write(to: URL(fileURLWithPath: captions))
    // Of small models padding and biases are much.
    for (input, bits, data, unit) in [
      (CalibrationFixture.classifier, 6.0, [CalibrationFixture.pictures], "divergence"),
      (CalibrationFixture.clip, 13.5, [CalibrationFixture.pictures, captions], "feature_error"),
      (
        CalibrationFixture.llava, 8.0,
        ["cup", "cat", "coins"].map { TestFiles.golden("convllava-trained/\($0).png") },
        "divergence"
      ),
    ] {
      let kept = folder.path("kept")
      let report = try convert(
        input,
        options(.bitsPerWeight(bits), .init(on: data, tokenCount: 256, statisticsFile: kept)))
      let file = try StatisticsFile.open(path: kept)
      let unknown = file.groups.flatMap(\.tensors).filter { file.sensitivity(of: $0) == nil }
      #expect(unknown.isEmpty, "\(input): \(unknown)")
      let json = try JSONValue.parse(Array(report.json.utf8))
      #expect(json["budget"]?["loss_unit"]?.stringValue == unit)
      try FileManager.default.removeItem(atPath: kept)
    }
  }

  // MARK: - Plans

  @Test("a mixture is replayed from a report, a plan or the file itself, bit for bit")
  func replayed() throws {
    let converter = try Converter(
      opening: CalibrationFixture.classifier, options: options(.bitsPerWeight(6)))
    let plan = try converter.budgetPlan()
    let report = try converter.convert(to: folder.path("a.vlmz"))
    let mixture = report.tensors.map { "\($0.name) \($0.scheme)" }
    #expect(plan.tensors.map { "\($0.name) \($0.scheme)" } == mixture)
    for (name, json) in [("report.json", report.json), ("plan.json", plan.json)] {
      try Data(json.utf8).write(to: URL(fileURLWithPath: folder.path(name)))
    }
    for name in ["report.json", "plan.json", "a.vlmz"] {
      var options = options(nil)
      options.planFile = folder.path(name)
      let again = try convert(CalibrationFixture.classifier, options, to: "b.vlmz")
      #expect(again.tensors.map { "\($0.name) \($0.scheme)" } == mixture, "\(name)")
      #expect(again.tensors.map(\.relativeError) == report.tensors.map(\.relativeError))
    }
  }

  @Test("a plan that is none, or another model's, is refused in a line")
  func strange() throws {
    let other = folder.path("other.vlmz")
    try Converter(opening: CalibrationFixture.stories, options: options(nil)).convert(to: other)
    let cases: [(String, String)] = [
      ("{", "neither JSON nor a .vlmz"), ("[]", "no list 'tensors'"),
      (#"{"tensors": [{"name": "a"}]}"#, "entry 0 of 'tensors'"),
      (#"{"tensors": [{"name": "a", "scheme": "q7"}]}"#, "scheme 'q7' of tensor 'a'"),
      (#"{"tensors": [{"name": "a\u001b", "scheme": "q4"}]}"#, "which the model does not have"),
      (
        #"{"tensors": [{"name": "a", "scheme": "q4"}, {"name": "a", "scheme": "q4"}]}"#, "twice"
      ),
      (#"{"tensors": []}"#, "no tensors"),
      (#"{"architecture": "llama", "tensors": []}"#, "a plan for 'llama'"),
    ]
    func refusal(_ path: String) throws -> String {
      var options = options(nil)
      options.planFile = path
      do {
        _ = try Converter(opening: CalibrationFixture.classifier, options: options)
        return "taken"
      } catch {
        #expect(error.code == .badData && !error.description.contains("\n"))
        return error.description
      }
    }
    for (content, message) in cases {
      let path = folder.path("plan")
      try Data(content.utf8).write(to: URL(fileURLWithPath: path))
      #expect(try refusal(path).contains(message))
    }
    #expect(try refusal(other).contains("a plan for 'llama', expected one for 'convnext'"))
    var absent = options(nil)
    absent.planFile = folder.path("absent")
    #expect(throws: VLMZError.self) {
      _ = try Converter(opening: CalibrationFixture.classifier, options: absent)
    }
  }
}
