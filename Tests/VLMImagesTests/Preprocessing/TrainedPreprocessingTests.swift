import Testing
import VLMFoundation

@testable import VLMImages

/// Settings of training scripts. The steps are those of timm 1.0's `resolve_data_config` and
/// `create_transform`, and of torchvision's `references/classification/presets.py`.
struct TrainedPreprocessingTests {
  private func read(
    _ text: String, over base: Preprocessing = .timmDefault, color: ColorMode = .rgb
  ) throws -> Preprocessing {
    try Preprocessing.trained(JSONValue.parse(text), name: "'args'", over: base, color: color)
  }

  static let timm: [(String, Preprocessing.Resize, Int, Resampling)] = [
    (
      #"{"mean": [0.5, 0.5, 0.5], "img_size": 160, "crop_pct": 1.0, "interpolation": "bilinear"}"#,
      .shortestEdge(160), 160, .bilinear
    ),
    (#"{"img_size": 160}"#, .shortestEdge(182), 160, .bicubic),
    (#"{"img_size": 192, "crop_pct": 0.95}"#, .shortestEdge(202), 192, .bicubic),
    (
      #"{"input_size": [3, 288, 288], "img_size": 99, "crop_pct": 0.9}"#, .shortestEdge(320), 288,
      .bicubic
    ),
    (#"{"crop_pct": 0.95}"#, .shortestEdge(235), 224, .bicubic),
    (
      #"{"img_size": 288, "crop_pct": 0.95, "crop_mode": "squash"}"#,
      .exact(width: 303, height: 303), 288, .bicubic
    ),
    (
      #"{"img_size": 288, "crop_pct": 0.95, "crop_mode": "border", "mean": [0, 0, 0]}"#,
      .within(width: 303, height: 303), 288, .bicubic
    ),
  ]

  @Test("timm's settings give timm's transform", arguments: timm)
  func likeTimm(
    _ text: String, _ resize: Preprocessing.Resize, _ crop: Int, _ filter: Resampling
  ) throws {
    let steps = try read(text)
    #expect(steps.resize == resize)
    #expect(steps.crop == .init(width: crop, height: crop, rounding: .halfEven))
    #expect(steps.filter == filter)
    #expect(steps.rescale == .dividedBy255)
  }

  @Test("a border has the mean's colour, and what is no square keeps its proportions")
  func sizes() throws {
    let border = try read(
      #"{"input_size": [3, 192, 256], "crop_pct": 1, "crop_mode": "border", "mean": [0, 0.5, 1]}"#)
    #expect(border.resize == .within(width: 256, height: 192))
    #expect(border.crop?.fill == RGB(0, 128, 255))
    let wide = try read(#"{"input_size": [3, 192, 256], "crop_pct": 0.9}"#)
    #expect(wide.resize == .covering(width: 284, height: 213))
    #expect(wide.crop == .init(width: 256, height: 192, rounding: .halfEven))
  }

  @Test("mean and deviation are taken, each alone too, and one number in a list is for all")
  func numbers() throws {
    let mean = try read(#"{"mean": [0.5, 0.4, 0.3]}"#).normalization
    #expect(mean?.mean == [0.5, 0.4, 0.3])
    #expect(mean?.deviation == [0.229, 0.224, 0.225])
    #expect(
      try read(#"{"mean": [0.1], "std": [0.2]}"#).normalization?.deviation == [0.2, 0.2, 0.2])
    #expect(try read(#"{"mean": 0.1, "std": 0.2}"#, color: .gray).normalization?.mean == [0.1])
  }

  @Test("torchvision's reference has defaults of its own")
  func likeTorchvision() throws {
    let base = Preprocessing.torchvision(resize: 236)
    #expect(
      try read(#"{"val_resize_size": 320, "val_crop_size": 288, "interpolation": "bicubic"}"#)
        == .torchvision(resize: 320, crop: 288, filter: .bicubic))
    #expect(
      try read(#"{"val_crop_size": 192}"#, over: base) == .torchvision(resize: 256, crop: 192))
    #expect(try read("{}", over: base) == base)
    #expect(try read(#"{"img_size": 160}"#, over: base).resize == .shortestEdge(168))
  }

  @Test(
    "what cannot be followed is an error that names the key",
    arguments: [
      (#"{"mean": [123.7, 116.3, 103.5]}"#, "mean"), (#"{"mean": 0.3}"#, "mean"),
      (#"{"std": [0.2, 0]}"#, "std"), (#"{"interpolation": "random"}"#, "interpolation"),
      (#"{"img_size": 0}"#, "img_size"), (#"{"img_size": 16384}"#, "img_size"),
      (#"{"input_size": [224, 224, 3]}"#, "input_size"), (#"{"crop_pct": 1e-9}"#, "crop_pct"),
      (#"{"crop_mode": "stretch"}"#, "crop_mode"), (#"{"val_crop_size": -1}"#, "val_crop_size"),
    ])
  func refused(_ text: String, _ key: String) throws {
    let json = try JSONValue.parse(text)
    do throws(PreprocessingError) {
      let steps = try Preprocessing.trained(
        json, name: "'args'", over: .timmDefault, color: .rgb)
      Issue.record("\(steps)")
    } catch {
      guard case .value(let found, _, _) = error.problem else {
        Issue.record("\(error)")
        return
      }
      #expect(found == key)
    }
  }
}
