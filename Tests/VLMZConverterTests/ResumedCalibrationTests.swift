import Foundation
import Testing
import VLMConversion
import VLMFoundation
import VLMTestSupport

@testable import VLMZConverter

/// Calibrations that were broken off while it was found out what matrices cost, and gone on with.
@Suite("Resumed calibrations")
struct ResumedCalibrationTests {
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  private static let weighing = "finding out what matrices cost"

  /// A conversion of `input` that may be broken off.
  private struct Attempt {
    let input: String
    var calibration: Converter.Calibration
    let folder: TemporaryFolder

    /// Steps of weighing that were heard of, the first number of them done, and all notes.
    struct Seen {
      var (steps, first): (Int, Int?) = (0, nil)
      var notes: [String] = []
      var wentOn: [String] { notes.filter { $0.hasPrefix("calibration goes on: ") } }
    }

    /// - Parameter stopAt: the step of weighing at which it ends.
    func run(_ name: String, stopAt: Int? = nil, resumes: Bool = true) throws -> Seen {
      var options = Converter.Options(scheme: .q4)
      options.calibration = calibration
      options.threads = 2
      options.resumes = resumes
      let converter = try Converter(opening: input, options: options)
      let flag = CancellationFlag()
      var seen = Seen()
      do {
        _ = try converter.write(
          to: folder.path(name), cancelled: flag, note: { seen.notes.append($0) },
          calibrating: { done, _, what in
            guard what == ResumedCalibrationTests.weighing else { return }
            seen.first = seen.first ?? done
            seen.steps += 1
            if seen.steps == stopAt { flag.cancel() }
          }, progress: { _ in })
      } catch is WorkCancelled {
        #expect(stopAt != nil)
        return seen
      }
      #expect(stopAt == nil)
      return seen
    }
  }

  private func bytes(_ name: String) throws -> Data {
    try Data(contentsOf: URL(fileURLWithPath: folder.path(name)))
  }

  private func files() throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: folder.url.path).sorted()
  }

  private func stories(tokens: Int = 512) throws -> Attempt {
    let text = folder.path("text.txt")
    try Data(CalibrationFixture.text(words: 400).utf8).write(to: URL(fileURLWithPath: text))
    return Attempt(
      input: CalibrationFixture.stories, calibration: .init(on: [text], tokenCount: tokens),
      folder: folder)
  }

  @Test("of a language model, block by block, and to the same bytes")
  func language() throws {
    let attempt = try stories()
    let whole = try attempt.run("whole.vlmz", resumes: false)
    // Seven matrices in each of five blocks, and the head.
    #expect(whole.first == 0 && whole.steps == 36)
    // In the first block nothing is kept yet; then within the third, the fifth and at the head.
    #expect(try attempt.run("m.vlmz", stopAt: 3).first == 0)
    #expect(try files().contains("m.vlmz.partial.statistics.progress"))
    #expect(try attempt.run("m.vlmz", stopAt: 17).first == 0)
    let third = try attempt.run("m.vlmz", stopAt: 18)
    #expect(third.first == 14, "\(third)")
    #expect(
      third.wentOn == [
        "calibration goes on: 6 of 6 stages are done",
        "calibration goes on: 14 of 36 matrices are weighed",
      ])
    // It is noticed before the next step.
    #expect(try attempt.run("m.vlmz", stopAt: 7).first == 28)
    #expect(try attempt.run("m.vlmz", stopAt: 1).first == 35)
    // The last step was done, and the statistics with it.
    #expect(try attempt.run("m.vlmz").steps == 0)
    #expect(try bytes("m.vlmz") == bytes("whole.vlmz"))
    #expect(try files() == ["m.vlmz", "text.txt", "whole.vlmz"])
  }

  @Test(
    "of towers, matrix by matrix, and of several parts",
    arguments: ["classifier", "clip", "llava"])
  func parts(kind: String) throws {
    let captions = folder.path("captions")
    let lines = (0..<24).map { "a photo of \($0 + 2) things that lie on a table" }
    try Data(lines.joined(separator: "\n").utf8).write(to: URL(fileURLWithPath: captions))
    let (input, data) =
      switch kind {
      case "classifier": (CalibrationFixture.classifier, [CalibrationFixture.pictures])
      case "clip": (CalibrationFixture.clip, [CalibrationFixture.pictures, captions])
      default:
        (
          CalibrationFixture.llava,
          ["cup", "cat"].map { TestFiles.golden("convllava-trained/\($0).png") }
        )
      }
    let attempt = Attempt(
      input: input, calibration: .init(on: data, tokenCount: 256), folder: folder)
    let count = try attempt.run("whole.vlmz", resumes: false).steps
    #expect(count > 8)
    var known = 0
    for _ in 0..<4 {
      let seen = try attempt.run("m.vlmz", stopAt: max(2, (count - known) / 3))
      #expect(seen.first == known || seen.steps > 0)
      #expect(seen.first ?? 0 >= known, "\(seen)")
      known = seen.first ?? 0
    }
    #expect(known > 0)
    let last = try attempt.run("m.vlmz")
    #expect(last.first ?? 0 >= known && last.first ?? 0 > 0)
    #expect(last.steps == count - (last.first ?? 0))
    #expect(try bytes("m.vlmz") == bytes("whole.vlmz"))
  }

  @Test("another effort weighs anew, by the statistics that are there")
  func otherAmount() throws {
    var attempt = try stories()
    attempt.calibration.effort = .best
    _ = try attempt.run("whole.vlmz", resumes: false)
    attempt.calibration.effort = .normal
    _ = try attempt.run("m.vlmz", stopAt: 20)
    attempt.calibration.effort = .best
    let seen = try attempt.run("m.vlmz")
    #expect(seen.first == 0 && seen.steps == 36)
    #expect(seen.wentOn == ["calibration goes on: 6 of 6 stages are done"])
    #expect(try bytes("m.vlmz") == bytes("whole.vlmz"))
  }

  @Test("what is damaged or of other data is not gone on with")
  func damaged() throws {
    let attempt = try stories()
    _ = try attempt.run("whole.vlmz", resumes: false)
    for place in [0.001, 0.4, 1] {
      _ = try attempt.run("m.vlmz", stopAt: 20)
      let path = folder.path("m.vlmz.partial.statistics.progress")
      var damaged = try Data(contentsOf: URL(fileURLWithPath: path))
      damaged[min(damaged.count - 1, Int(place * Double(damaged.count)))] ^= 4
      try damaged.write(to: URL(fileURLWithPath: path))
      let seen = try attempt.run("m.vlmz")
      #expect(seen.wentOn.isEmpty && seen.first == 0)
      #expect(try bytes("m.vlmz") == bytes("whole.vlmz"))
      try FileManager.default.removeItem(atPath: folder.path("m.vlmz"))
    }
    _ = try attempt.run("m.vlmz", stopAt: 20)
    let seen = try stories(tokens: 300).run("m.vlmz")
    #expect(seen.wentOn.isEmpty && seen.first == 0)
  }

  @Test("what a model wrote itself is not written again")
  func written() throws {
    var attempt = try stories()
    attempt.calibration = .init(usesOwnData: true, tokenCount: 512)
    _ = try attempt.run("whole.vlmz", resumes: false)
    var options = Converter.Options(scheme: .q4)
    options.calibration = attempt.calibration
    options.resumes = true
    options.threads = 2
    func begin(_ name: String, until end: String?) throws -> Set<String> {
      let converter = try Converter(opening: attempt.input, options: options)
      let flag = CancellationFlag()
      var seen: Set<String> = []
      do {
        _ = try converter.write(
          to: folder.path(name), cancelled: flag, note: { _ in },
          calibrating: { _, _, what in
            seen.insert(what)
            if what == end { flag.cancel() }
          }, progress: { _ in })
      } catch is WorkCancelled {}
      return seen
    }
    #expect(try begin("m.vlmz", until: "text").contains("writing"))
    #expect(try !begin("m.vlmz", until: nil).contains("writing"))
    #expect(try bytes("m.vlmz") == bytes("whole.vlmz"))
  }
}
