import Testing
import VLMImages
import VLMModels
import VLMTestSupport
import VLMZ

/// Pictures of other sizes and shapes than the model's own.
struct PictureGeometryTests {
  static let checkpoint = TestFiles.golden("convllava-trained/hf-A-safetensors")

  struct Case: Sendable, CustomTestStringConvertible {
    let width: Int
    let height: Int
    let side: Int
    let step: Int
    let expected: [Int]
    var testDescription: String { "\(width)×\(height) at \(side)" }
  }

  static let cases = [
    Case(width: 1536, height: 2048, side: 1536, step: 64, expected: [1536, 2048]),
    Case(width: 2048, height: 1536, side: 768, step: 64, expected: [1024, 768]),
    Case(width: 600, height: 451, side: 1536, step: 64, expected: [1984, 1536]),
    Case(width: 100, height: 100, side: 1000, step: 64, expected: [960, 960]),
    Case(width: 10, height: 1000, side: 64, step: 64, expected: [64, 6400]),
    Case(width: 9, height: 8, side: 20, step: 32, expected: [32, 32]),
  ]

  @Test("the long side follows the short one, both whole steps", arguments: cases)
  func sizes(_ test: Case) throws {
    let steps = Preprocessing(
      padding: .black, resize: .shortestEdge(256),
      crop: .init(width: 256, height: 256, rounding: .floor), normalization: .clip)
    let native = steps.keepingAspect(
      ofWidth: test.width, height: test.height, side: test.side, step: test.step)
    #expect(native.padding == nil)
    #expect(native.crop == nil)
    #expect(native.resize == .exact(width: test.expected[0], height: test.expected[1]))
    #expect(native.normalization == steps.normalization)
  }

  @Test("a picture keeps its shape as a grid of tokens, and others take its place")
  func grids() throws {
    let folder = try TemporaryFolder()
    let session = try conversation(Self.checkpoint, .q8, in: folder)
    let image = try ConvLLaVAGolden("convllava-trained").image("cup.png")
    #expect(image.width != image.height)
    let side = try #require(session.preprocessing.resolution)
    func grid(_ geometry: PictureGeometry) throws -> [Int] {
      let tokens = try session.encode(
        session.pixels(of: image, name: "cup", geometry: geometry))
      #expect(tokens.count == tokens.gridHeight * tokens.gridWidth)
      return [tokens.gridHeight, tokens.gridWidth]
    }
    let own = try grid(PictureGeometry())
    #expect(own == [side / 32, side / 32])
    let larger = try grid(PictureGeometry(resolution: 320))
    #expect(larger == [10, 10])
    let native = try grid(PictureGeometry(keepsAspect: true))
    let long = side * max(image.width, image.height) / min(image.width, image.height)
    #expect(native.sorted() == [side / 32, long / 32].sorted())
    #expect((native[1] > native[0]) == (image.width > image.height))
    let odd = try grid(PictureGeometry(resolution: 200, keepsAspect: true))
    #expect(odd.min() == 6)
  }

  @Test("sizes that no tower takes are refused, naming what was set")
  func refused() throws {
    let folder = try TemporaryFolder()
    let session = try conversation(Self.checkpoint, .q8, in: folder)
    let image = try ConvLLaVAGolden("convllava-trained").image("cup.png")
    for side in [-1, 0, 31, 16_385, Int.max] {
      let error = thrownError(GenerationError.self) {
        try session.pixels(
          of: image, name: "cup", geometry: PictureGeometry(resolution: side, keepsAspect: true))
      }
      #expect(
        error?.problem == .setting(.resolution, found: "\(side)", expected: "32 to 16384"))
      #expect(error?.exitStatus == .usage)
    }
  }
}
