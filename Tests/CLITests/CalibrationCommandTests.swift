import Foundation
import Testing
import VLMFoundation
import VLMTestSupport

/// `vlm-convert --calibrate` and what goes with it.
@Suite("Calibration by the command")
struct CalibrationCommandTests {
  let folder: TemporaryFolder
  private let input = TestFiles.fixture("stories260K")

  init() throws { folder = try TemporaryFolder() }

  private func text() throws -> String {
    let path = folder.path("text.txt")
    let words = String(
      repeating: "Once upon a time there was a little girl who had a dog. ", count: 60)
    try Data(words.utf8).write(to: URL(fileURLWithPath: path))
    return path
  }

  @Test("the report says on what, and the statistics can be used again and looked at")
  func statistics() throws {
    let (first, second) = (folder.path("a.vlmz"), folder.path("b.vlmz"))
    let kept = folder.path("kept")
    let outcome = try CommandRunner.convert(
      input, first, "--q4", "--calibrate", try text(), "--calibration-tokens", "512",
      "--statistics", kept, "--json")
    try #require(outcome.status == 0, "\(outcome.errors)")
    let report = try JSONValue.parse(Array(outcome.output.utf8))
    #expect(report["calibration"]?["tokens"]?.intValue == 512)
    #expect(report["calibration"]?["names"]?.arrayValue == ["text.txt"])
    let again = try CommandRunner.convert(input, second, "--q4", "--statistics", kept)
    try #require(again.status == 0, "\(again.errors)")
    #expect(again.output.contains("  calibrated on "))
    #expect(again.output.contains(", 512 tokens"))
    #expect(
      try Data(contentsOf: URL(fileURLWithPath: first))
        == Data(contentsOf: URL(fileURLWithPath: second)))
    let listing = try CommandRunner.run("vlm-convert", ["inspect", kept])
    #expect(listing.status == 0)
    #expect(listing.output.hasPrefix("statistics of 0 pictures"))
    #expect(
      listing.output.contains("layers.0.self_attn.q_proj.weight and 2 more  64 inputs, 512 rows"))
  }

  @Test("every process finds out the same, to the last bit")
  func processes() throws {
    // Dictionaries have another order in each.
    var found: Set<Data> = []
    for number in 0..<5 {
      let kept = folder.path("kept\(number)")
      let outcome = try CommandRunner.convert(
        TestFiles.fixture("stories-qwen2"), folder.path("m.vlmz"), "--q4", "--calibrate",
        try text(),
        "--calibration-tokens", "512", "--statistics", kept, "--force")
      try #require(outcome.status == 0, "\(outcome.errors)")
      found.insert(try Data(contentsOf: URL(fileURLWithPath: kept)))
    }
    #expect(found.count == 1)
  }

  @Test("a dry run looks at the data and writes nothing")
  func dryRun() throws {
    let latin = folder.path("latin.txt")
    try Data([0x61, 0xe9, 0x62]).write(to: URL(fileURLWithPath: latin))
    let outcome = try CommandRunner.run(
      "vlm-convert",
      [input, "--q4", "--dry-run", "--calibrate", try text(), "--calibrate", latin])
    #expect(outcome.status == 0, "\(outcome.errors)")
    #expect(outcome.output.contains("calibration on 1 text, "), "\(outcome.output)")
    #expect(outcome.output.contains(" tokens of text"))
    #expect(outcome.errors.contains("left out: ") && outcome.errors.contains("latin.txt"))
    let wrong = try CommandRunner.run(
      "vlm-convert", [input, "--q4", "--dry-run", "--calibrate", latin])
    #expect(wrong.status == 65, "\(wrong.errors)")
  }

  @Test("what cannot be calibrated on is refused before anything is written")
  func refusals() throws {
    let output = folder.path("m.vlmz")
    let text = try text()
    let cases: [([String], Int32, String)] = [
      (
        ["--calibrate", TestFiles.root.appendingPathComponent("docs/images").path], 64,
        "self' makes what is lacking"
      ),
      (["--calibrate", folder.path("absent")], 66, "absent"),
      (["--calibrate", text, "--calibration-tokens", "5"], 64, "256"),
      (["--calibration-tokens", "512"], 64, "needs --calibrate"),
      (["--calibrate", text, "--f16"], 64, "codes are chosen"),
      (["--calibrate", text, "--statistics", output], 73, "another file"),
      (["--statistics", text], 65, "text.txt"),
    ]
    for (arguments, status, message) in cases {
      let scheme = arguments.contains("--f16") ? [] : ["--q4"]
      let outcome = try CommandRunner.run("vlm-convert", [input, output] + scheme + arguments)
      #expect(outcome.status == status, "\(arguments): \(outcome.errors)")
      #expect(outcome.errors.contains(message), "\(arguments): \(outcome.errors)")
    }
    try Data().write(to: URL(fileURLWithPath: output))
    let exists = try CommandRunner.convert(input, output, "--q4", "--calibrate", text)
    #expect(exists.status == 73, "\(exists.errors)")
    #expect(
      try FileManager.default.contentsOfDirectory(atPath: folder.url.path).sorted()
        == ["m.vlmz", "text.txt"])
  }
}
