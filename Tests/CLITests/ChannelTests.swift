import Foundation
import Testing
import VLMCheckpoint
import VLMFoundation
import VLMTensor
import VLMTestSupport

/// Models that see other channels than red, green and blue.
@Suite("Gray, opacity and other channels", .serialized)
struct ChannelTests {
  let folder: TemporaryFolder
  static let picture = TestFiles.fixture("upstream/rgba.png")

  init() throws { folder = try TemporaryFolder() }

  private func converted(_ fixture: String) throws -> (path: String, notes: String) {
    let path = folder.path("model.vlmz")
    let outcome = try CommandRunner.convert(
      TestFiles.fixture("upstream/" + fixture), path, "--f32", "--force")
    try #require(outcome.status == 0, "\(outcome.errors)")
    return (path, outcome.errors)
  }

  @Test("a picture is dumped as the model sees it, and drawn", arguments: ["gray", "rgba"])
  func pictures(_ name: String) throws {
    let model = try converted("timm-" + name).path
    let dump = folder.path("dump.safetensors")
    let outcome = try CommandRunner.vlmRun(
      model, Self.picture, "--decode", "pillow", "--dump", dump, "-q")
    try #require(outcome.status == 0, "\(outcome.errors)")
    let seen = try #require(try Expected(dump).tensor("pixel_values"))
    let expected = try Expected(TestFiles.fixture("upstream/expected-timm.safetensors"))
    let want = try #require(expected.tensor("timm-\(name).picture"))
    #expect(seen.shape == want.shape)
    #expect(maxAbsDifference(seen.values, want.values) <= 1e-6)
    let drawn = try CommandRunner.vlmRun(
      model, Self.picture, "--explain", folder.path("seen.png"), "-q")
    #expect(drawn.status == 0, "\(drawn.errors)")
  }

  @Test("five channels come from a file of tensors, and a picture is refused by its count")
  func five() throws {
    let (model, notes) = try converted("timm-five-channels")
    #expect(notes.contains("5 channels"))
    let calibrated = try CommandRunner.convert(
      TestFiles.fixture("upstream/timm-five-channels"), folder.path("c.vlmz"), "--q4",
      "--calibrate", "self")
    #expect(calibrated.status == 64)
    #expect(
      calibrated.errors.contains(
        "--calibrate: found a model that sees 5 channels, which no picture has, expected one that"))
    let refused = try CommandRunner.vlmRun(model, Self.picture)
    #expect(refused.status == 65)
    #expect(refused.errorLine.contains("rgba.png"))
    #expect(refused.errorLine.contains("5 channels"))
    let expected = try Expected(TestFiles.fixture("upstream/expected-timm.safetensors"))
    let pixels = try #require(expected.tensor("timm-five-channels.pixel_values"))
    func run(_ tensor: ExpectedTensor) throws -> CommandRunner.Outcome {
      let input = folder.path("input.safetensors")
      try SafetensorsWriter.write(
        path: input, overwrite: true,
        tensors: [.init(name: "pixel_values", shape: tensor.shape, floats: tensor.values)])
      return try CommandRunner.vlmRun(
        model, input, "--dump", folder.path("dump.safetensors"), "--force", "-q")
    }
    let outcome = try run(pixels)
    try #require(outcome.status == 0, "\(outcome.errors)")
    let logits = try Expected(folder.path("dump.safetensors")).tensor("logits")
    let want = try #require(expected.tensor("timm-five-channels.logits"))
    #expect(maxAbsDifference(try #require(logits).values, want.values) <= 1e-4 * want.scale)
    let three = ExpectedTensor(
      shape: [1, 3, 16, 16], values: [Float](repeating: 0, count: 3 * 16 * 16))
    #expect(try run(three).status == 65)
    var values = pixels.values
    values[3] = .nan
    let damaged = try run(ExpectedTensor(shape: pixels.shape, values: values))
    #expect(damaged.status == 65)
    #expect(damaged.errorLine.contains("1 of \(values.count) values of pixel_values are NaN"))
  }
}
