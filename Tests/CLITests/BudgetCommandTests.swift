import Foundation
import Testing
import VLMFoundation
import VLMTestSupport

/// `vlm-convert --size`, `--bits`, `--loss` and `--plan`.
@Suite("Budgets by the command")
struct BudgetCommandTests {
  let folder: TemporaryFolder
  private let input = TestFiles.fixture("convnext-cifar10")

  init() throws { folder = try TemporaryFolder() }

  @Test("a size is kept, told and drawn, and its plan can be replayed")
  func size() throws {
    let (output, curve) = (folder.path("m.vlmz"), folder.path("c.svg"))
    let plain = try CommandRunner.convert(input, folder.path("q8.vlmz"), "--q8", "-q")
    try #require(plain.status == 0)
    let bytes = try Data(contentsOf: URL(fileURLWithPath: folder.path("q8.vlmz"))).count * 7 / 10
    let outcome = try CommandRunner.convert(
      input, output, "--size", "\(bytes)B", "--curve", curve)
    try #require(outcome.status == 0, "\(outcome.errors)")
    #expect(try Data(contentsOf: URL(fileURLWithPath: output)).count <= bytes)
    #expect(outcome.errors.contains("without calibration"))
    #expect(outcome.output.contains("chosen by errors of weights"))
    #expect(!outcome.output.contains("divergence"))
    #expect(outcome.output.contains("stages.*.blocks.*.mlp.fc1.weight: "))
    let drawing = try String(contentsOfFile: curve, encoding: .utf8)
    #expect(drawing.hasPrefix("<svg ") && drawing.hasSuffix("</svg>\n"))
    let dry = try CommandRunner.convert(input, "--dry-run", "--json", "--size", "\(bytes)B")
    try #require(dry.status == 0, "\(dry.errors)")
    let plan = try JSONValue.parse(Array(dry.output.utf8))
    #expect(plan["budget"]?["kind"] == "size")
    try Data(dry.output.utf8).write(to: URL(fileURLWithPath: folder.path("plan.json")))
    let again = try CommandRunner.convert(
      input, folder.path("n.vlmz"), "--plan", folder.path("plan.json"), "--json")
    try #require(again.status == 0, "\(again.errors)")
    let report = try JSONValue.parse(Array(again.output.utf8))
    let planned = plan["tensors"]?.arrayValue?.filter { $0["scheme"] != "f32" }
    #expect(
      report["tensors"]?.arrayValue?.map { $0["scheme"] } == planned?.map { $0["scheme"] })
  }

  @Test("budgets that are none are refused in a line")
  func refusals() throws {
    let output = folder.path("m.vlmz")
    let cases: [([String], Int32, String)] = [
      (["--size", "4,5GB"], 64, "--size: found '4,5GB', expected a number and a unit"),
      (["--size", "-1"], 64, "--size"), (["--size", "1e400MB"], 64, "1e400MB"),
      (["--size", "NaN"], 64, "NaN"), (["--size", ""], 64, "--size"),
      (["--size", "5XB"], 64, "5XB"), (["--size", "0"], 64, "expected 1 byte or more"),
      (["--size", "99999999999TB"], 64, "expected less than 1000000TB"),
      (["--size", "1.2.3MB"], 64, "1.2.3MB"),
      (["--size", "1kB"], 64, "found '1kB', expected at least "),
      (["--size", "102.4KiB"], 64, "found '102.4KiB', expected at least "),
      (["--size", "0.0001MiB"], 64, "found '0.0001MiB', expected at least 0."),
      (["--size", "1.5"], 64, "found '1.5', expected a whole number of bytes, or"),
      (["--size", "-5"], 64, "found '-5', expected 1 byte or more"),
      (["--size", "3.5", "GB"], 64, "a size is one word, or in quotes: --size 3.5GB"),
      (["--bits", "4,25"], 64, "a number from 1 to 32, with a point, such as 4.25"),
      (["--bits", "NaN"], 64, "--bits: found 'NaN'"), (["--bits", "0.5"], 64, "1 to 32"),
      (["--loss", "0.02"], 64, "--loss needs --calibrate, or --statistics"),
      (["--bits", "1.5"], 64, "expected at least"), (["--loss", "0"], 64, "--loss"),
      (["--loss", "1e"], 64, "--loss"),
      (["--q4", "--size", "1MB"], 64, "found --q4 and --size, expected one of them"),
      (["--bits", "5", "--loss", "1"], 64, "found --bits and --loss, expected one of them"),
      (["--plan", folder.path("absent")], 66, "absent"),
      (["--plan", input + "/config.json"], 65, "no list 'tensors'"),
      (["--bits", "5", "--curve", "c.png"], 64, ".svg or .json"),
      (["--q4", "--curve", "c.svg"], 64, "found no budget"),
      (["--effort", "best"], 64, "--effort needs --calibrate"),
    ]
    for (arguments, status, message) in cases {
      let outcome = try CommandRunner.run("vlm-convert", [input, output] + arguments)
      #expect(outcome.status == status, "\(arguments): \(outcome.errors)")
      #expect(outcome.errors.contains(message), "\(arguments): \(outcome.errors)")
    }
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.url.path).isEmpty)
  }

  private static let language = TestFiles.fixture("stories260K")

  /// What calibration says in the report is reckoned with.
  @Test("with calibration too the least size that is told is one that works, in its unit")
  func calibrated() throws {
    let text = folder.path("text.txt")
    try Data(String(repeating: "One day, Lily met a shy little bird. ", count: 60).utf8).write(
      to: URL(fileURLWithPath: text))
    let output = folder.path("m.vlmz")
    let more = ["--calibrate", text, "--calibration-tokens", "512", "-q", "--force"]
    let refused = try CommandRunner.run(
      "vlm-convert", [Self.language, output, "--size", "20kB"] + more)
    let told = refused.errors.components(separatedBy: "at least ")
    try #require(refused.status == 64 && told.count == 2, "\(refused.errors)")
    let least = try #require(told[1].components(separatedBy: ",").first)
    #expect(least.hasSuffix(" kB"), "\(least)")
    let size = least.replacingOccurrences(of: " ", with: "")
    let kept = try CommandRunner.run("vlm-convert", [Self.language, output, "--size", size] + more)
    #expect(kept.status == 0, "\(kept.errors)")
  }

  @Test("a size that is too small is told with the least in the unit that was given")
  func unit() throws {
    let output = folder.path("m.vlmz")
    for (size, unit) in [
      ("300kB", " kB,"), ("300KiB", " KiB,"), ("1000B", " bytes,"), ("12345", " bytes,"),
      ("0.1MB", " MB,"), ("10.5k", " KiB,"),
    ] {
      let outcome = try CommandRunner.convert(input, output, "--size", size)
      let told = outcome.errors.components(separatedBy: "at least ")
      try #require(outcome.status == 64 && told.count == 2, "\(outcome.errors)")
      let least = try #require(told[1].components(separatedBy: ",").first)
      #expect((least + ",").hasSuffix(unit), "\(outcome.errors)")
      let enough = least.replacingOccurrences(of: " ", with: "")
        .replacingOccurrences(of: "bytes", with: "")
      let kept = try CommandRunner.convert(input, output, "--size", enough, "-q", "--force")
      #expect(kept.status == 0, "\(kept.errors)")
    }
  }
}
