import Foundation
import Testing
import VLMFoundation

@testable import VLMImages

/// Pillow's, torchvision's and transformers' own results, bit for bit.
@Suite("Preprocessing goldens")
struct PreprocessGoldenTests {
  struct Case: Sendable, CustomTestStringConvertible {
    let name: String
    let json: JSONValue
    var testDescription: String { name }

    func text(_ key: String) throws -> String { try #require(json[key]?.stringValue) }
    func int(_ key: String) throws -> Int { try #require(json[key]?.intValue) }

    func image(_ path: String) throws -> Image {
      try ImageDecoder.decode(path: ImageFixtures.preprocess + "/" + path, policy: .pillow)
    }
  }

  private static let expected = try? ImageFixtures.json(
    ImageFixtures.preprocess + "/expected.json")

  private static func list(_ key: String, _ name: (JSONValue) -> String?) -> [Case] {
    (expected?[key]?.arrayValue ?? []).map { Case(name: name($0) ?? "", json: $0) }
  }

  static let fileCases: [Case] = (expected?["files"]?.objectValue?.members ?? [])
    .map { Case(name: $0.key, json: $0.value) }
  static let pipelineCases = list("pipelines") { json in
    "\(json["pipeline"]?.stringValue ?? "") of \(json["file"]?.stringValue ?? "")"
  }
  static let resizeCases = list("resizes") { $0["out"]?.stringValue }

  @Test("the goldens are there")
  func complete() {
    #expect(Self.fileCases.count == 27)
    #expect(Self.pipelineCases.count == 31)
    #expect(Self.resizeCases.count == 9)
  }

  @Test("decoding with the pillow policy gives Pillow's pixels", arguments: fileCases)
  func decodes(_ item: Case) throws {
    let image = try item.image("images/" + item.name)
    let size = (try item.int("width"), try item.int("height"))
    #expect((image.width, image.height) == size)
    let digest = try item.text("rgb_sha256")
    #expect(sha256(image.pixels) == digest)
  }

  @Test("resizing gives Pillow's pixels", arguments: resizeCases)
  func resizes(_ item: Case) throws {
    let filter = try #require(Resampling(rawValue: try item.text("filter").lowercased()))
    let result = try item.image(item.text("src")).resized(
      width: item.int("width"), height: item.int("height"), filter)
    let expected = try item.image(item.text("out"))
    #expect(result == expected)
  }

  @Test("every sound PngSuite file decodes to Pillow's pixels")
  func pillowSuite() throws {
    let json = try ImageFixtures.json(ImageFixtures.pngSuite + "/pillow.json")
    let files = try #require(json["files"]?.objectValue)
    #expect(files.count == 161)
    for file in files.members {
      let image = try ImageDecoder.decode(
        path: ImageFixtures.pngSuite + "/" + file.key, policy: .pillow)
      #expect(sha256(image.pixels) == file.value.stringValue, "\(file.key)")
    }
  }

  @Test("every filter resizes noise to Pillow's pixels, whichever pass it takes first")
  func pillowResizes() throws {
    let json = try ImageFixtures.json(ImageFixtures.preprocess + "/pillow.json")
    let cases = try #require(json["resizes"]?.arrayValue)
    #expect(cases.count == 90)
    for item in cases {
      let fields = try #require(item.arrayValue)
      let numbers = fields.compactMap { $0.intValue }
      let filter = try #require(fields[5].stringValue.flatMap(Resampling.init(rawValue:)))
      let image = try Image.random(width: numbers[1], height: numbers[2], seed: UInt64(numbers[0]))
        .resized(width: numbers[3], height: numbers[4], filter)
      #expect(sha256(image.pixels) == fields[6].stringValue, "\(numbers) \(filter)")
    }
  }

  @Test("each pipeline gives the processor's pixels and values", arguments: pipelineCases)
  func pipelines(_ item: Case) throws {
    let steps = try Self.steps(of: item)
    let source = try item.image(item.text("file"))
    var pictures: [Image] = []
    let tensors: [PixelTensor]
    if let pinpoints = item.json["image_grid_pinpoints"]?.arrayValue {
      let sizes = try pinpoints.map { point -> PictureExtent in
        let sides = (point.arrayValue ?? []).compactMap(\.intValue)
        try #require(sides.count == 2)
        return PictureExtent(height: sides[1], width: sides[0])
      }
      var tiled = steps
      tiled.resize = .exact(width: try item.int("size"), height: try item.int("size"))
      tiled.crop = nil
      tiled.tiling = .anyResolution(AnyResolution(sizes: sizes))
      tensors = try tiled.prepare(source, name: item.name).tiles
    } else {
      pictures = [try steps.shape(source, name: item.name)]
      tensors = pictures.map { steps.values(of: $0) }
    }
    if let expected = item.json["u8"]?.stringValue {
      let target = try item.image(expected)
      let isEqual = pictures == [target]
      #expect(isEqual)
    }
    let tensorName = try item.text("pixel_values")
    let expected = try SafetensorsFloats(
      path: ImageFixtures.preprocess + "/expected.safetensors")[tensorName]
    var actual: [Float] = []
    let step = tensorName.hasSuffix("stride3") ? 3 : 5
    for tensor in tensors {
      let values = tensor.channelsFirst()
      for row in stride(from: 0, to: 3 * tensor.height, by: 1)
      where row % tensor.height % step == 0 {
        for column in stride(from: 0, to: tensor.width, by: step) {
          actual.append(values[row * tensor.width + column])
        }
      }
    }
    let furthest = zip(actual, expected).map { abs($0 - $1) }.max()
    #expect(actual.count == expected.count)
    #expect(furthest == 0)
  }

  /// The processor configurations that the goldens were made with.
  private static func steps(of item: Case) throws -> Preprocessing {
    let size = try item.int("size")
    let clip: JSONValue = [
      "image_processor_type": "CLIPImageProcessor", "size": ["shortest_edge": .int(size)],
      "crop_size": ["height": .int(size), "width": .int(size)], "resample": 3,
      "image_mean": [0.48145466, 0.4578275, 0.40821073],
      "image_std": [0.26862954, 0.26130258, 0.27577711],
    ]
    let pipeline = try item.text("pipeline")
    switch pipeline {
    case "clip", "convllava-square", "convllava-anyres", "llavahr-square":
      return try Preprocessing(checkpointConfig: clip, name: pipeline)
    case "convllava-pad", "llavahr-pad":
      return try Preprocessing(checkpointConfig: clip, name: pipeline).paddedWithMean()
    case "hf-convnext-lt384", "hf-convnext-384":
      return try Preprocessing(
        checkpointConfig: [
          "image_processor_type": "ConvNextImageProcessor",
          "size": ["shortest_edge": .int(size)], "crop_pct": 0.875, "resample": 3,
          "image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225],
        ], name: pipeline)
    default:
      return try Preprocessing(
        checkpointConfig: [
          "pretrained_cfg": [
            "input_size": [3, .int(size), .int(size)],
            "crop_pct": try #require(item.json["crop_pct"]),
            "crop_mode": try #require(item.json["crop_mode"]),
            "interpolation": try #require(item.json["interpolation"]),
            "mean": try #require(item.json["mean"]), "std": try #require(item.json["std"]),
          ]
        ], name: pipeline)
    }
  }
}

/// Just enough of safetensors for well-formed F32 goldens.
struct SafetensorsFloats {
  private let bytes: [UInt8]
  private let header: JSONValue
  private let start: Int

  init(path: String) throws {
    bytes = try ImageFixtures.bytes(path)
    let length = bytes.withUnsafeBytes { Int($0.loadUnaligned(as: UInt64.self)) }
    start = 8 + length
    header = try JSONValue.parse(Array(bytes[8..<start]))
  }

  subscript(name: String) -> [Float] {
    get throws {
      let range = try #require(header[name]?["data_offsets"]?.arrayValue)
      let offsets = range.compactMap { $0.intValue }
      return bytes.withUnsafeBytes { buffer in
        stride(from: start + offsets[0], to: start + offsets[1], by: 4).map {
          buffer.loadUnaligned(fromByteOffset: $0, as: Float.self)
        }
      }
    }
  }
}
