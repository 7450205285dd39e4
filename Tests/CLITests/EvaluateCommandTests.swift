import Foundation
import Testing
import VLMFoundation
import VLMTestSupport

/// `vlm-convert evaluate`.
@Suite("Evaluation by the command")
struct EvaluateCommandTests {
  let folder: TemporaryFolder
  private let source = TestFiles.fixture("convnext-cifar10")
  private let pictures = TestFiles.root.appendingPathComponent("docs/images").path

  init() throws { folder = try TemporaryFolder() }

  private func model() throws -> String {
    let path = folder.path("m.vlmz")
    let outcome = try CommandRunner.convert(source, path, "--q4", "-q")
    try #require(outcome.status == 0, "\(outcome.errors)")
    return path
  }

  private func evaluate(_ arguments: String...) throws -> CommandRunner.Outcome {
    try CommandRunner.run("vlm-convert", ["evaluate"] + arguments)
  }

  @Test("a table for people, an object for programs, and a plot")
  func outputs() throws {
    let model = try model()
    let plot = folder.path("p.svg")
    let table = try evaluate(
      model, "--reference", source, "--data", pictures, "--plot", plot)
    try #require(table.status == 0, "\(table.errors)")
    #expect(table.output.hasPrefix("\(model) (convnext) against \(source)"))
    #expect(table.output.contains("same class"))
    #expect(table.output.contains(" nats"))
    #expect(table.errors.isEmpty)
    let svg = try String(contentsOf: URL(fileURLWithPath: plot), encoding: .utf8)
    #expect(svg.hasPrefix("<svg ") && svg.hasSuffix("</svg>\n"))
    let again = try evaluate(model, "--reference", source, "--data", pictures, "--plot", plot)
    #expect(again.status == 73)
    let object = try evaluate(model, "--reference", source, "--data", pictures, "--json")
    let json = try JSONValue.parse(Array(object.output.utf8))
    #expect(json["schema"]?.intValue == 1)
    #expect(json["classes"]?["divergence"]?["mean"]?.doubleValue == json["loss"]?.doubleValue)
    #expect(json["classes"]?["pictures"]?.intValue ?? 0 >= 4)
    #expect(
      try FileManager.default.contentsOfDirectory(atPath: folder.url.path).sorted()
        == ["m.vlmz", "p.svg"])
  }

  @Test("in a folder for all a model does not get in the way of another of its name")
  func namesakes() throws {
    let model = try model()
    let all = folder.path("all")
    try FileManager.default.createDirectory(atPath: all, withIntermediateDirectories: false)
    let others = "\(all)/m.vlmz.for-evaluation"
    try Data("another's".utf8).write(to: URL(fileURLWithPath: others))
    let outcome = try evaluate(
      model, "--reference", source, "--data", pictures, "--temporary-folder", all, "-q")
    #expect(outcome.status == 0, "\(outcome.errors)")
    #expect(
      try FileManager.default.contentsOfDirectory(atPath: all) == ["m.vlmz.for-evaluation"])
  }

  @Test("a loss above the bound is status 2, and one below it is not")
  func bound() throws {
    let model = try model()
    let above = try evaluate(
      model, "--reference", source, "--data", pictures, "--fail-above", "0.0000001", "-q")
    #expect(above.status == 2, "\(above.errors)")
    #expect(above.output.isEmpty && above.errors.isEmpty)
    let below = try evaluate(
      model, "--reference", source, "--data", pictures, "--fail-above", "10")
    #expect(below.status == 0, "\(below.errors)")
  }

  @Test("mistakes are told before the work")
  func mistakes() throws {
    let model = try model()
    let language = TestFiles.fixture("stories260K")
    let cases: [([String], Int32, String)] = [
      ([model], 64, "expected --data"),
      ([model, "--data", pictures, "--fail-above", "1"], 64, "--reference"),
      ([model, "--data", pictures, "--tokens", "1"], 64, "--tokens"),
      ([model, "--data", folder.path("none")], 66, "none"),
      ([model, "--data", pictures, "--reference", language], 65, "architecture"),
      ([model, "--data", pictures, "--reference", folder.path("none")], 66, "none"),
      ([source + "/model.safetensors", "--data", pictures], 65, "safetensors"),
      ([model, "--data", pictures, "--plot", folder.path("p.png")], 64, ".svg"),
      ([model, "--data", pictures, "--temporary-folder", folder.path("none")], 0, ""),
    ]
    for (arguments, status, message) in cases {
      let outcome = try CommandRunner.run("vlm-convert", ["evaluate"] + arguments)
      #expect(outcome.status == status, "\(arguments): \(outcome.errors)")
      if !message.isEmpty { #expect(outcome.errors.contains(message), "\(arguments)") }
    }
  }

  @Test("--evaluate of a conversion takes folders and texts too")
  func conversion() throws {
    let text = try folder.write(
      "text.txt",
      Array(String(repeating: "Once upon a time there was a little dog. ", count: 60).utf8))
    let language = try CommandRunner.convert(
      TestFiles.fixture("stories260K"), folder.path("s.vlmz"), "--q4", "--evaluate", text, "--json")
    try #require(language.status == 0, "\(language.errors)")
    let json = try JSONValue.parse(Array(language.output.utf8))["evaluation"]
    #expect(json?["text"]?["perplexity"]?["reference"]?.doubleValue ?? 0 > 1)
    let pictured = try CommandRunner.convert(
      source, folder.path("c.vlmz"), "--q4", "--evaluate", pictures)
    #expect(pictured.status == 0, "\(pictured.errors)")
    #expect(pictured.output.contains("same class"))
    #expect(
      try FileManager.default.contentsOfDirectory(atPath: folder.url.path).sorted()
        == ["c.vlmz", "s.vlmz", "text.txt"])
  }
}
