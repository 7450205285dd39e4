import Foundation
import Testing
import VLMFoundation
import VLMTensor
import VLMTestSupport

/// The commands as a person meets them, on the small trained model that the project carries.
@Suite(.serialized)
struct DemonstrationTests {
  static let checkpoint = TestFiles.fixture("convnext-cifar10")
  static let horse = TestFiles.root.appendingPathComponent("docs/images/horse.png").path

  /// Converts the sample model and returns the container's path.
  private func converted(_ folder: TemporaryFolder, _ flags: String...) throws -> String {
    let path = folder.path("model.vlmz")
    let outcome = try CommandRunner.run("vlm-convert", [Self.checkpoint, path] + flags)
    try #require(outcome.status == 0, "\(outcome.errors)")
    return path
  }

  @Test("the sample model at 4 bits sees a horse in a horse")
  func horse() throws {
    let folder = try TemporaryFolder()
    let model = try converted(folder, "--q4")
    let outcome = try CommandRunner.vlmRun(model, Self.horse, "--json", "--top", "3")
    #expect(outcome.status == 0)
    let json = try JSONValue.parse(Array(outcome.output.utf8))
    let result = try #require(json.arrayValue?.first)
    #expect(result["image"]?.stringValue == Self.horse)
    let top = try #require(result["top"]?.arrayValue)
    #expect(top.count == 3)
    #expect(top[0]["label"]?.stringValue == "horse")
    #expect(top[0]["index"]?.intValue == 7)
    let sum = top.reduce(0) { $0 + ($1["probability"]?.doubleValue ?? 0) }
    #expect(sum > 0.5 && sum <= 1.000001)
    #expect((result["milliseconds"]?.doubleValue ?? -1) > 0)
  }

  @Test("--jsonl prints one object per line, in the order of the images")
  func jsonLines() throws {
    let folder = try TemporaryFolder()
    let model = try converted(folder)
    let other = TestFiles.root.appendingPathComponent("docs/images/rocket.jpg").path
    let outcome = try CommandRunner.vlmRun(model, Self.horse, other, Self.horse, "--jsonl")
    let lines = outcome.output.split(separator: "\n")
    let names = try lines.map { line in
      try JSONValue.parse(Array(line.utf8))["image"]?.stringValue
    }
    #expect(names == [Self.horse, other, Self.horse])
    #expect(lines[0].drop { $0 != "t" }.prefix(40) == lines[2].drop { $0 != "t" }.prefix(40))
  }

  @Test("an image from standard input gives what the file gives")
  func standardInput() throws {
    let folder = try TemporaryFolder()
    let model = try converted(folder)
    let data = try Data(contentsOf: URL(fileURLWithPath: Self.horse))
    let piped = try CommandRunner.run("vlm-run", [model, "-", "--json"], input: data)
    let named = try CommandRunner.vlmRun(model, Self.horse, "--json")
    #expect(piped.status == 0)
    let parse = { (text: String) in try JSONValue.parse(Array(text.utf8)).arrayValue?[0]["top"] }
    #expect(try parse(piped.output) == parse(named.output))
  }

  @Test("conversion gives the same bytes twice, whatever the number of threads")
  func deterministic() throws {
    let folder = try TemporaryFolder()
    let first = folder.path("a.vlmz")
    let second = folder.path("b.vlmz")
    for (path, threads) in [(first, "1"), (second, "3")] {
      let outcome = try CommandRunner.convert(
        Self.checkpoint, path, "--q4", "--threads", threads)
      #expect(outcome.status == 0)
    }
    #expect(FileManager.default.contentsEqual(atPath: first, andPath: second))
  }

  @Test("--evaluate says how far the converted model is from f32")
  func evaluate() throws {
    let folder = try TemporaryFolder()
    let outcome = try CommandRunner.convert(
      Self.checkpoint, folder.path("model.vlmz"), "--q4", "--evaluate", Self.horse, "--json")
    #expect(outcome.status == 0, "\(outcome.errors)")
    let json = try JSONValue.parse(Array(outcome.output.utf8))
    let image = try #require(json["evaluation"]?.arrayValue?.first)
    #expect((image["cosine"]?.doubleValue ?? 0) > 0.99)
    #expect((image["kl"]?.doubleValue ?? 1) < 0.01)
    #expect(image["same_top"]?.boolValue == true)
    let left = try FileManager.default.contentsOfDirectory(atPath: folder.url.path)
    #expect(left == ["model.vlmz"])
  }

  @Test("an existing output is kept unless --force is given")
  func existingOutput() throws {
    let folder = try TemporaryFolder()
    let path = folder.path("model.vlmz")
    try Data("precious".utf8).write(to: URL(fileURLWithPath: path))
    let refused = try CommandRunner.convert(Self.checkpoint, path)
    #expect(refused.status == 73)
    #expect(refused.errorLine == "vlm-convert: \(path): already exists; use --force to replace it")
    #expect(try Data(contentsOf: URL(fileURLWithPath: path)) == Data("precious".utf8))
    #expect(try CommandRunner.convert(Self.checkpoint, path, "--force").status == 0)
    #expect(try CommandRunner.convert("verify", path).status == 0)
  }

  @Test("the output may not be the input")
  func outputIsInput() throws {
    let folder = try TemporaryFolder()
    let path = folder.path("model.safetensors")
    try FileManager.default.copyItem(
      atPath: Self.checkpoint + "/model.safetensors", toPath: path)
    let outcome = try CommandRunner.convert(path, path, "--force")
    #expect(outcome.status == 73)
    #expect(outcome.errors.contains("is the same file as the input"))
  }

  @Test("--dump writes the named intermediates, and --embed the embedding")
  func dump() throws {
    let folder = try TemporaryFolder()
    let model = try converted(folder, "--f32")
    let dump = folder.path("dump.safetensors")
    let embed = folder.path("embedding.npy")
    let outcome = try CommandRunner.vlmRun(
      model, Self.horse, "--dump", dump, "--embed", embed)
    #expect(outcome.status == 0, "\(outcome.errors)")
    let tensors = try Expected(dump)
    #expect(
      Set(tensors.names).isSuperset(of: [
        "pixel_values", "stem", "stage0", "stage1", "stage2", "stage3", "pooled", "head_norm",
        "logits",
      ]))
    #expect(tensors.tensor("pixel_values")?.shape == [1, 3, 64, 64])
    #expect(tensors.tensor("stage3")?.shape == [1, 256, 2, 2])
    #expect(
      try Data(contentsOf: URL(fileURLWithPath: embed)).prefix(6) == Data([0x93] + "NUMPY".utf8))
    // The dumped input, fed back, gives the dumped logits.
    let again = folder.path("again.safetensors")
    #expect(try CommandRunner.vlmRun(model, dump, "--dump", again).status == 0)
    #expect(try Expected(again).tensor("logits")?.values == tensors.tensor("logits")?.values)
  }

  @Test("a damaged image is named and the others are still done")
  func damagedImage() throws {
    let folder = try TemporaryFolder()
    let model = try converted(folder)
    let damaged = folder.path("damaged.png")
    let data = try Data(contentsOf: URL(fileURLWithPath: Self.horse))
    try data.prefix(data.count / 2).write(to: URL(fileURLWithPath: damaged))
    let outcome = try CommandRunner.vlmRun(model, damaged, Self.horse, "-q")
    #expect(outcome.status == 65)
    #expect(outcome.errors.split(separator: "\n").count == 1)
    #expect(outcome.errors.hasPrefix("vlm-run: \(damaged): "))
    #expect(outcome.output.contains("%  horse"))
  }

  @Test("an image too small for the model is named and the others are still done")
  func smallImage() throws {
    let folder = try TemporaryFolder()
    let model = try converted(folder)
    let small = TestFiles.fixture("pngsuite/s01n3p01.png")
    let named = [small, Self.horse, "--size", "native", "-q"]
    let outcome = try CommandRunner.run("vlm-run", [model] + named)
    #expect(outcome.status == 65)
    #expect(outcome.errorLine.hasPrefix("vlm-run: \(small): image: 1×1 pixels, expected at least"))
    #expect(outcome.output.hasPrefix(Self.horse))
    let alone = try CommandRunner.vlmRun(model, small, "--size", "native")
    #expect(alone.status == 65 && alone.errorLine == outcome.errorLine)
    // As an object it has the first's place.
    let lines = try CommandRunner.run("vlm-run", [model] + named + ["--jsonl"])
    #expect(lines.status == 65 && lines.errors == "")
    let objects = try lines.objects
    #expect(objects.map { $0["image"]?.stringValue } == [small, Self.horse])
    #expect(objects[0]["error"]?["status"]?.intValue == 65)
  }

  @Test("a flipped byte makes verify exit with 2 and name the place")
  func flippedByte() throws {
    let folder = try TemporaryFolder()
    let model = try converted(folder, "--q8")
    var data = try Data(contentsOf: URL(fileURLWithPath: model))
    data[data.count / 2] ^= 0x10
    try data.write(to: URL(fileURLWithPath: model))
    let outcome = try CommandRunner.convert("verify", model)
    #expect(outcome.status == 2)
    #expect(outcome.errors.contains("tensor '"))
  }
}
