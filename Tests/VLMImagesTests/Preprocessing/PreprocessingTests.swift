import Testing
import VLMFoundation
import VLMTestSupport

@testable import VLMImages

@Suite("Preprocessing")
struct PreprocessingTests {
  private func read(_ text: String) throws -> Preprocessing {
    try Preprocessing(checkpointConfig: JSONValue.parse(text), name: "config.json")
  }

  private func problem(_ text: String) throws -> PreprocessingError? {
    let json = try JSONValue.parse(text)
    do throws(PreprocessingError) {
      _ = try Preprocessing(checkpointConfig: json, name: "config.json")
      return nil
    } catch {
      return error
    }
  }

  @Test("an empty ConvNeXt configuration has the class's defaults")
  func convNeXtDefaults() throws {
    let steps = try read(#"{"image_processor_type": "ConvNextImageProcessor"}"#)
    #expect(
      steps
        == Preprocessing(
          resize: .exact(width: 384, height: 384), filter: .bicubic, normalization: .half))
  }

  @Test("an older ConvNeXt configuration has a plain size")
  func convNeXtOld() throws {
    let steps = try read(
      #"{"feature_extractor_type": "ConvNextFeatureExtractor", "size": 224, "#
        + #""crop_pct": 0.95, "resample": 3}"#
    )
    #expect(steps.resize == .shortestEdge(235))
    #expect(steps.crop == .init(width: 224, height: 224, rounding: .floor))
    #expect(steps.filter == .bicubic)
  }

  @Test("an empty CLIP configuration has the class's defaults")
  func clipDefaults() throws {
    let steps = try read(#"{"image_processor_type": "CLIPImageProcessor"}"#)
    #expect(
      steps
        == Preprocessing(
          resize: .shortestEdge(224), crop: .init(width: 224, height: 224, rounding: .floor),
          normalization: .clip))
    #expect(steps.paddedWithMean().padding == RGB(122, 116, 104))
    #expect(steps.fixedSize.map { [$0.width, $0.height] } == [224, 224])
  }

  @Test("the forms of size, and steps that are switched off")
  func clipForms() throws {
    let squash = try read(
      #"{"image_processor_type": "CLIPImageProcessor", "size": {"height": 5, "#
        + #""width": 6}, "do_center_crop": false, "do_normalize": false, "#
        + #""do_rescale": false, "crop_size": 9}"#
    )
    #expect(
      squash
        == Preprocessing(
          resize: .exact(width: 6, height: 5), rescale: .none, normalization: nil))
    let old = try read(#"{"size": 336, "crop_size": 336, "do_resize": true, "resample": 1}"#)
    #expect(old.resize == .shortestEdge(336) && old.filter == .lanczos)
    #expect(old.crop == .init(width: 336, height: 336, rounding: .floor))
  }

  @Test("timm's configuration, bare or within a model's")
  func timm() throws {
    let inner =
      #"{"input_size": [3, 288, 288], "interpolation": "bicubic", "#
      + #""crop_pct": 0.95, "mean": [0.1, 0.2, 0.3], "std": [0.4, 0.5, 0.6]}"#
    for text in [inner, #"{"architecture": "x", "pretrained_cfg": \#(inner)}"#] {
      #expect(
        try read(text)
          == Preprocessing(
            resize: .shortestEdge(303), crop: .init(width: 288, height: 288, rounding: .halfEven),
            rescale: .dividedBy255,
            normalization: .init(mean: [0.1, 0.2, 0.3], deviation: [0.4, 0.5, 0.6])))
    }
    let squash = try read(
      #"{"input_size": [3, 384, 384], "crop_pct": 1.0, "crop_mode": "squash"}"#)
    #expect(squash.resize == .exact(width: 384, height: 384))
    #expect(squash.normalization == .imageNet)
  }

  @Test("other sizes and shares keep what timm's modes do")
  func modes() throws {
    let border = try read(
      #"{"input_size": [3, 192, 256], "crop_pct": 0.9, "crop_mode": "border"}"#)
    let fill = RGB(124, 116, 104)
    #expect(border.resize == .within(width: 284, height: 213) && border.crop?.fill == fill)
    let other = border.resized(toSide: 90)
    #expect(other.resize == .within(width: 100, height: 100))
    #expect(other.crop == .init(width: 90, height: 90, rounding: .halfEven, fill: fill))
    #expect(border.cropping(share: 0.5).resize == .within(width: 512, height: 384))
    let wide = try read(#"{"input_size": [3, 192, 256], "crop_pct": 0.9}"#)
    #expect(wide.resized(toSide: 90).resize == .shortestEdge(100))
    #expect(wide.cropping(share: 0.5).resize == .covering(width: 512, height: 384))
    #expect(wide.fixedSize?.width == 256 && wide.fixedSize?.height == 192)
    #expect(throws: PreprocessingError.self) {
      try Preprocessing(
        checkpointConfig: JSONValue.parse(#"{"input_size": [1, 9, 9], "crop_mode": "border"}"#),
        name: "gray", color: .gray)
    }
  }

  @Test("open_clip's configuration")
  func openCLIP() throws {
    let steps = try read(
      #"{"model_cfg": {"vision_cfg": {"image_size": 320}}, "#
        + #""preprocess_cfg": {"mean": [0.1, 0.2, 0.3], "std": [1, 1, 1]}}"#
    )
    #expect(steps.resize == .shortestEdge(320))
    #expect(steps.normalization == .init(mean: [0.1, 0.2, 0.3], deviation: [1, 1, 1]))
  }

  @Test(
    "values that make no sense are refused, naming the key",
    arguments: [
      (#"{"image_processor_type": "CLIPImageProcessor", "size": {"shortest_edge": 0}}"#, "size"),
      (#"{"image_processor_type": "CLIPImageProcessor", "size": {"longest_edge": 9}}"#, "size"),
      (#"{"image_processor_type": "CLIPImageProcessor", "size": 1e9}"#, "size"),
      (#"{"image_processor_type": "CLIPImageProcessor", "resample": 6}"#, "resample"),
      (#"{"image_processor_type": "CLIPImageProcessor", "image_std": [1, 0, 1]}"#, "image_std"),
      (#"{"image_processor_type": "CLIPImageProcessor", "image_std": [1, 1]}"#, "image_std"),
      (#"{"image_processor_type": "CLIPImageProcessor", "image_mean": [1, "a", 1]}"#, "image_mean"),
      (
        #"{"image_processor_type": "CLIPImageProcessor", "image_mean": [1, 1e300, 1]}"#,
        "image_mean"
      ),
      (#"{"image_processor_type": "CLIPImageProcessor", "do_resize": 1}"#, "do_resize"),
      (#"{"image_processor_type": "CLIPImageProcessor", "rescale_factor": 0}"#, "rescale_factor"),
      (#"{"crop_pct": 1e-9, "size": 100}"#, "crop_pct"),
      (#"{"crop_pct": 95, "size": 100}"#, "crop_pct"),
      (#"{"input_size": [3, 64, 64], "crop_pct": 87.5}"#, "crop_pct"),
      (#"{"input_size": [1, 28, 28]}"#, "input_size"),
      (#"{"input_size": [20, 30]}"#, "input_size"),
      (#"{"input_size": [3, 28, 28], "crop_mode": "stretch"}"#, "crop_mode"),
      (#"{"input_size": [3, 28, 28], "interpolation": "random"}"#, "interpolation"),
    ])
  func refused(text: String, key: String) throws {
    guard case .value(let found, _, _)? = try problem(text)?.problem else {
      Issue.record("not refused")
      return
    }
    #expect(found == key)
  }

  @Test("a configuration of nothing known is refused, and errors render on one line")
  func rendering() throws {
    #expect(try problem(#"{"hidden_size": 1}"#)?.problem == .unknownKind)
    #expect(
      try problem(#"{"crop_size": 224, "resample": 6}"#)?.description
        == "config.json: 'resample': found 6, expected a Pillow filter, 0 to 5 or by name")
  }

  @Test("the container's form reads back and is always the same text")
  func json() throws {
    let all = [
      Preprocessing(resize: nil, rescale: .none, normalization: nil),
      Preprocessing(
        padding: RGB(122, 116, 104), resize: .shortestEdge(768), filter: .bicubic,
        crop: .init(width: 768, height: 768, rounding: .floor), normalization: .clip),
      Preprocessing(
        resize: .exact(width: 5, height: 6), filter: .lanczos,
        crop: .init(width: 3, height: 4, rounding: .halfEven), rescale: .dividedBy255,
        normalization: .imageNet),
    ]
    for steps in all {
      let text = steps.json().serialized()
      let back = try Preprocessing(json: JSONValue.parse(text), name: "container")
      #expect(back == steps)
      #expect(back.json().serialized() == text)
    }
    #expect(
      all[2].json().serialized()
        == #"{"pad":null,"resize":{"width":5,"height":6},"filter":"lanczos","#
        + #""crop":{"width":3,"height":4,"rounding":"half_even"},"rescale":"divide_by_255","#
        + #""normalize":{"mean":[0.485,0.456,0.406],"std":[0.229,0.224,0.225]}}"#)
  }

  @Test(
    "a damaged container form is refused",
    arguments: ["pad", "resize", "filter", "crop", "rescale", "normalize"])
  func damagedJSON(_ key: String) throws {
    let sound = Preprocessing(
      padding: .white, resize: .shortestEdge(8), crop: .init(width: 8, height: 8, rounding: .floor),
      normalization: .clip
    ).json()
    for value in [nil, [:], [300, 0, 0], -1, "x", ["width": 0]] as [JSONValue?] {
      var object = JSONObject()
      for member in sound.objectValue?.members ?? [] where member.key != key {
        object.set(member.key, member.value)
      }
      if let value { object.set(key, value) }
      #expect(throws: PreprocessingError.self, "\(key) \(String(describing: value))") {
        try Preprocessing(json: .object(object), name: "container")
      }
    }
  }

  @Test("crops start where Hugging Face and torchvision start them")
  func crops() {
    let floor = Preprocessing.Crop(width: 4, height: 4, rounding: .floor)
    let even = Preprocessing.Crop(width: 4, height: 4, rounding: .halfEven)
    // Margins 0…4: 0, 0.5, 1, 1.5, 2; then smaller pictures.
    #expect((4...8).map { floor.offset(of: 4, in: $0) } == [0, 0, 1, 1, 2])
    #expect((4...8).map { even.offset(of: 4, in: $0) } == [0, 0, 1, 2, 2])
    #expect((1...3).map { floor.offset(of: 4, in: $0) } == [-2, -1, -1])
    #expect((1...3).map { even.offset(of: 4, in: $0) } == [-1, -1, 0])
  }

  @Test("P55 a crop larger than the picture is filled with black")
  func largeCrop() throws {
    let steps = Preprocessing(
      resize: nil, crop: .init(width: 4, height: 4, rounding: .floor), normalization: nil)
    let shaped = try steps.shape(Image(width: 2, height: 6, filledWith: .white), name: "small")
    #expect((0..<4).map { shaped.pixel($0, 0)[0] } == [0, 255, 255, 0])
    #expect(shaped.width == 4 && shaped.height == 4)
  }

  @Test("P56 black, white and constant pictures have finite values")
  func constant() throws {
    let steps = Preprocessing(
      resize: .shortestEdge(32), crop: .init(width: 32, height: 32, rounding: .floor),
      normalization: .clip)
    for color in [RGB.black, .white, RGB(7, 7, 7)] {
      let tensor = try steps.apply(Image(width: 50, height: 40, filledWith: color), name: "flat")
      #expect(tensor.values.allSatisfy { $0.isFinite })
      #expect(
        Set(tensor.values.indices.filter { $0 % 3 == 0 }.map { tensor.values[$0] }).count == 1)
    }
  }

  @Test("channels first and last hold the same values")
  func orders() {
    let tensor = PixelTensor(height: 1, width: 2, values: [1, 2, 3, 4, 5, 6])
    #expect(tensor.channelsFirst() == [1, 4, 2, 5, 3, 6])
  }

  @Test("more pixels than allowed are refused before they are made")
  func limits() {
    let steps = Preprocessing(padding: .black, resize: nil, normalization: nil)
    let wide = Image(width: 100, height: 1, filledWith: .white)
    #expect(
      throws: ImageError(
        name: "wide",
        problem: .preparedTooLarge(width: 100, height: 100, pixels: 9999, side: 1_000_000))
    ) { try steps.apply(wide, name: "wide", limits: ImageLimits(maximumPixels: 9999)) }
  }

  @Test("a picture that only resizing makes too large is not said to be too large itself")
  func resizedTooLarge() throws {
    let small = Image(width: 10, height: 10, filledWith: .white)
    func line(_ steps: Preprocessing, _ limits: ImageLimits = ImageLimits()) -> String? {
      thrownError(ImageError.self) { try steps.apply(small, name: "small", limits: limits) }?
        .description
    }
    let large = Preprocessing(resize: .exact(width: 16_384, height: 16_384), normalization: nil)
    #expect(
      line(large)
        == "small: the image would be resized to 16384 x 16384 pixels, the limit is 178956970 in all"
    )
    let long = Preprocessing(resize: .exact(width: 101, height: 1), normalization: nil)
    #expect(
      line(long, ImageLimits(maximumSide: 100))
        == "small: the image would be resized to 101 x 1 pixels, the limit is 100 for a side")
  }

  @Test("a resolution keeps the crop's share as timm's crop_pct would, rounded down")
  func resolutions() {
    func side(_ resolution: Int, kept: Int, of short: Int) -> Preprocessing.Resize? {
      Preprocessing(
        resize: .shortestEdge(short), crop: .init(width: kept, height: kept, rounding: .halfEven),
        normalization: nil
      ).resized(toSide: resolution).resize
    }
    // floor(side / 0.95), / 0.9, / 0.875, / 0.965 and / 1.
    #expect(side(288, kept: 224, of: 235) == .shortestEdge(303))
    #expect(side(384, kept: 224, of: 248) == .shortestEdge(426))
    #expect(side(320, kept: 224, of: 256) == .shortestEdge(365))
    #expect(side(336, kept: 288, of: 298) == .shortestEdge(348))
    #expect(side(336, kept: 224, of: 224) == .shortestEdge(336))
    for kept in 1...400 {
      for short in [kept, kept + 1, kept * 8 / 7, kept * 3] {
        #expect(side(kept, kept: kept, of: short) == .shortestEdge(short), "\(kept) of \(short)")
      }
    }
    #expect(side(16_384, kept: 1, of: 16_384) == .shortestEdge(16_384 * 16_384))
    #expect(side(65_536, kept: 1, of: 1 << 20) == .shortestEdge(1 << 30))
  }

  @Test("a sixteen-thousandth of a picture can be kept")
  func smallestShare() throws {
    let steps = Preprocessing(
      resize: .shortestEdge(16_384), crop: .init(width: 1, height: 1, rounding: .halfEven),
      normalization: nil)
    for (side, image) in [
      (64, Image(width: 40, height: 30, filledWith: .white)),
      (16_384, Image(width: 1, height: 3, filledWith: .white)),
    ] {
      let resized = steps.resized(toSide: side)
      let limits = ImageLimits(maximumPixels: 64 * 64)
      guard side == 64 else {
        #expect(throws: ImageError.self) {
          try resized.shape(image, name: "small", limits: limits)
        }
        continue
      }
      let shaped = try resized.shape(image, name: "small", limits: limits)
      #expect(shaped == Image(width: 64, height: 64, filledWith: .white))
    }
    #expect(steps.cropping(share: 1 / 16_384).resize == .shortestEdge(16_384))
  }
}
