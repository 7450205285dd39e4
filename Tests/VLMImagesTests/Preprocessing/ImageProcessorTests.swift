import Testing
import VLMFoundation
import VLMTestSupport

@testable import VLMImages

/// The image processors of transformers, compared with their own results on photographs
/// (`scripts/make-image-goldens.py`).
@Suite("Image processors")
struct ImageProcessorTests {
  struct Case: Sendable, CustomTestStringConvertible {
    let config: JSONValue
    let image: String
    let height: Int
    let width: Int
    let digest: String
    var testDescription: String { config.serialized() }
  }

  static let cases = read("processors.json")
  static let timmCases = read("timm.json")

  private static func read(_ name: String) -> [Case] {
    let path = TestFiles.fixture("preprocess/" + name)
    let list = (try? TestFiles.json(path))?["cases"]?.arrayValue ?? []
    return list.compactMap { $0.arrayValue }.map { fields in
      Case(
        config: fields[0], image: fields[1].stringValue ?? "", height: fields[2].intValue ?? 0,
        width: fields[3].intValue ?? 0, digest: fields[4].stringValue ?? "")
    }
  }

  private static let photos: [String: Image] = {
    let names = ["chelsea.png", "rocket.jpg", "horse.png"].map { "docs/images/" + $0 }
    let decoded = names.compactMap { name in
      try? (name, ImageDecoder.decode(path: TestFiles.root.path + "/" + name, policy: .pillow))
    }
    return Dictionary(uniqueKeysWithValues: decoded)
  }()

  private static func photo(_ name: String) throws -> Image { try #require(photos[name]) }

  @Test("the goldens are there")
  func complete() { #expect(Self.cases.count == 157 && Self.timmCases.count == 36) }

  @Test("pixel values are those of timm's transforms, to the bit", arguments: timmCases)
  func timm(_ item: Case) throws { try values(item) }

  @Test("pixel values are those of transformers on Pillow, to the bit", arguments: cases)
  func values(_ item: Case) throws {
    let steps = try Preprocessing(checkpointConfig: item.config, name: "preprocessor_config.json")
    let stored = try Preprocessing(
      json: try JSONValue.parse(steps.json().serialized()), name: "container")
    #expect(stored == steps)
    let pixels = try steps.apply(try Self.photo(item.image), name: item.image)
    #expect(pixels.height == item.height)
    #expect(pixels.width == item.width)
    let values = pixels.channelsFirst()
    let some = stride(from: 0, to: values.count, by: 7).map { values[$0] }
    #expect(sha256(some.withUnsafeBytes { Array($0) }) == item.digest)
  }

  @Test(
    "processors on torchvision are within one level of 255",
    arguments: [
      ("DINOv3ViTImageProcessorFast", false), ("ViTImageProcessorFast", false),
      ("CLIPImageProcessorFast", true), ("ConvNextImageProcessorFast", true),
    ])
  func torchvision(_ name: String, isShortest: Bool) throws {
    var config = JSONObject()
    config.set("image_processor_type", .string(name))
    config.set("image_mean", [0, 0, 0])
    config.set("image_std", [1, 1, 1])
    config.set("size", isShortest ? ["shortest_edge": 28] : ["height": 28, "width": 28])
    config.set("crop_size", 28)
    let steps = try Preprocessing(checkpointConfig: .object(config), name: name)
    let pixels = try steps.apply(try Self.photo("docs/images/chelsea.png"), name: name)
    let path = TestFiles.fixture("preprocess/torchvision.safetensors")
    let expected = try SafetensorsFloats(path: path)[name]
    #expect(maxAbsDifference(pixels.channelsFirst(), expected) <= 1.001 / 255)
  }

  private func problem(_ text: String, model: String? = nil) throws -> PreprocessingError? {
    let json = try JSONValue.parse(text)
    return thrownError(PreprocessingError.self) {
      try Preprocessing(checkpointConfig: json, name: "p.json", model: model)
    }
  }

  @Test(
    "a class whose steps are others is refused by its name, with the way out",
    arguments: [
      "MobileViTImageProcessor", "LlavaNextVideoImageProcessor",
      "VideoMAEFeatureExtractor", "ViT", "ImageProcessor", "ViTImageProcessorSlow",
    ])
  func refused(_ name: String) throws {
    let error = try problem(#"{"image_processor_type": "\#(name)", "size": 224}"#)
    #expect(error?.problem == .unknownProcessor(key: "image_processor_type", found: name))
    #expect(error?.description.hasSuffix("; name a file with the model's steps") ?? false)
  }

  @Test("what a class cannot do is refused by the key that asks for it")
  func impossible() throws {
    let cases: [(String, String)] = [
      (#""ConvNextImageProcessor", "size": {"height": 224, "width": 224}"#, "size"),
      (#""ViTImageProcessor", "size": {"longest_edge": 224}"#, "size"),
      (#""ViTImageProcessor", "size": {"max_height": 9, "max_width": 9}"#, "size"),
      (#""ViTImageProcessor", "do_center_crop": true"#, "crop_size"),
      (#""ViTImageProcessor", "size": [224]"#, "size"),
      (#""ViTImageProcessor", "do_pad": true, "pad_size": 256"#, "pad_size"),
      (
        #""ConvNextImageProcessor", "size": 224, "do_center_crop": true, "crop_size": 9"#,
        "crop_size"
      ),
      (#""PoolFormerImageProcessor", "crop_pct": 1e-9"#, "crop_pct"),
    ]
    for (text, key) in cases {
      guard
        case .value(let found, _, _)? = try problem(#"{"image_processor_type": \#(text)}"#)?
          .problem
      else {
        Issue.record("not refused: \(text)")
        continue
      }
      #expect(found == key, "\(text)")
    }
  }

  @Test("a configuration without a class is that of the model's own")
  func untyped() throws {
    let text = #"{"size": 48, "do_resize": true, "image_mean": [0.5, 0.5, 0.5]}"#
    func steps(_ model: String?) throws -> Preprocessing {
      try Preprocessing(checkpointConfig: JSONValue.parse(text), name: "p", model: model)
    }
    let convNeXt = try steps("convnextv2")
    #expect(convNeXt.resize == .shortestEdge(54))
    #expect(try steps("clip").resize == .shortestEdge(48))
    #expect(try steps("dinov3_convnext").resize == .exact(width: 48, height: 48))
    #expect(try problem(text, model: "resnet")?.problem == .unknownKind)
    #expect(try problem(text)?.problem == .unknownKind)
  }

  @Test("the image part of a processor_config.json is read too")
  func part() throws {
    let inner = #"{"image_processor_type": "ViTImageProcessorFast", "size": 30}"#
    let steps = try Preprocessing(
      checkpointConfig: JSONValue.parse(#"{"image_processor": \#(inner)}"#), name: "p")
    #expect(steps.resize == .exact(width: 30, height: 30))
  }

  @Test("torchvision's own steps are read from their attributes")
  func torchvisionPreset() throws {
    let text = #"""
      {"crop_size": [224], "resize_size": [236], "mean": [0.485, 0.456, 0.406],
       "std": [0.229, 0.224, 0.225], "interpolation": "InterpolationMode.BILINEAR"}
      """#
    let steps = try Preprocessing(checkpointConfig: JSONValue.parse(text), name: "p")
    #expect(steps == .torchvision(resize: 236))
    #expect(steps.crop?.rounding == .halfEven)
  }
}
