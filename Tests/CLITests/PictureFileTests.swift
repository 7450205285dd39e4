import Foundation
import Testing
import VLMFoundation
import VLMTensor
import VLMTestSupport

/// Pictures of other formats than PNG and JPEG, and damaged ones, as `vlm-run` meets them.
@Suite("Picture files")
struct PictureFileTests {
  private let folder: TemporaryFolder
  private let model: String

  init() throws {
    folder = try TemporaryFolder()
    model = folder.path("model.vlmz")
    let converted = try CommandRunner.convert(
      TestFiles.fixture("convnext-cifar10"), model, "--q8", "-q")
    try #require(converted.status == 0, "\(converted.errors)")
  }

  private func picture(_ name: String) -> String { TestFiles.fixture("pictures/" + name) }

  @Test("one picture gives one answer, whatever it is stored as")
  func formats() throws {
    let files = [
      "bmp-24.bmp", "pnm-p6.ppm", "pnm-p3.ppm", "tiff-rgb-raw.tif", "tiff-tiles-deflate.tif",
      "tiff-planar.tif", "webp-lossless.webp",
    ]
    let outcome = try CommandRunner.run(
      "vlm-run", [model] + files.map(picture) + ["--json", "--top", "10"])
    try #require(outcome.status == 0, "\(outcome.errors)")
    let answers = try #require(try JSONValue.parse(Array(outcome.output.utf8)).arrayValue)
    #expect(answers.count == files.count)
    for answer in answers { #expect(answer["top"] == answers[0]["top"]) }
  }

  @Test("a model in the place of a picture is told as one, with the next step")
  func models() throws {
    let weights = TestFiles.fixture("upstream/timm-rgba/model.safetensors")
    let pickle = TestFiles.fixture("upstream/torchvision.pth")
    let gguf = TestFiles.fixture("llava-gguf/model.gguf")
    let whole = TestFiles.fixture("upstream/clip")
    for (path, output) in [
      (weights, "model.vlmz"), (pickle, "torchvision.vlmz"), (gguf, "model.vlmz"),
      (whole, "clip.vlmz"),
    ] {
      let outcome = try CommandRunner.run("vlm-run", [model, path])
      #expect(outcome.status == 65, "\(outcome.errors)")
      #expect(
        outcome.errorLine.hasSuffix(
          "is a checkpoint, expected a picture, or a .safetensors file with pixel_values; if "
            + "vlm-convert reads its model, convert it first: vlm-convert '\(path)' \(output), and "
            + "give that as the model")
          || outcome.errorLine.hasSuffix(
            "convert it first: vlm-convert \(path) \(output), and give that as the model"),
        "\(outcome.errors)")
    }
    let container = try CommandRunner.run("vlm-run", [model, model])
    #expect(container.status == 65 && container.errorLine.contains("no image of a known kind"))
  }

  @Test("damage is refused with the option that accepts it, and accepted with a note")
  func damage() throws {
    let file = picture("jpeg-cut.jpg")
    let refused = try CommandRunner.run("vlm-run", [model, file])
    #expect(refused.status == 65)
    #expect(refused.errors.hasSuffix("--damaged accept shows what there is\n"))
    #expect(refused.errors.split(separator: "\n").count == 1)
    let accepted = try CommandRunner.run("vlm-run", [model, file, "--damaged", "accept"])
    #expect(accepted.status == 0)
    #expect(accepted.errors.contains("of 64 rows are lost"))
    let whole = try CommandRunner.run("vlm-run", [model, picture("jpeg-no-end.jpg")])
    #expect(whole.status == 0)
    #expect(whole.errors.contains("the JPEG ends without its end marker; no row is lost"))
    let wrong = try CommandRunner.run("vlm-run", [model, file, "--damaged", "perhaps"])
    #expect(wrong.status == 64)
  }

  @Test(
    "a library that cannot be loaded is told by its package",
    arguments: [
      ("libtiff.so.6", "tiff-gray.tif", "TIFF", "libtiff6"),
      ("libheif.so.1", "heic.heic", "HEIC", "libheif1"),
      ("libheif.so.1", "avif.avif", "AVIF", "libheif1"),
    ])
  func missing(_ library: String, _ file: String, _ format: String, _ packages: String) throws {
    try folder.write(library, [])
    let outcome = try CommandRunner.run(
      "vlm-run", [model, picture(file)], environment: ["LD_LIBRARY_PATH": folder.path("")])
    #expect(outcome.status == 69)
    #expect(outcome.errors.contains("\(format) cannot be read without "))
    #expect(outcome.errors.contains("apt-get install \(packages) ("))
    #expect(outcome.errors.split(separator: "\n").count == 1)
  }
}
