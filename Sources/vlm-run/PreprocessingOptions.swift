import ArgumentParser
import VLMCommandLine
import VLMFoundation
import VLMImages
import VLMModels
import VLMText

/// How files become the model's input, where the container's own word is not wanted.
struct PreprocessingOptions: ParsableArguments {
  @Option(
    name: [.customLong("size"), .customLong("resolution")],
    help: ArgumentHelp(
      "Side of the square input; default: the model's. 'native' leaves the image's own size.",
      valueName: "pixels"))
  var size: String?

  @Option(
    help: ArgumentHelp(
      "Share of the resized image that the crop keeps; default: the model's.", valueName: "share"))
  var cropPct: Double?

  @Option(
    help: """
      'seen': what a person sees - alpha over the background, 16 bits scaled, turned upright. \
      'pillow': as Pillow's convert("RGB") - alpha dropped, 16-bit grey clipped, orientation ignored. \
      'fast': as seen, JPEGs decoded at a half, a quarter or an eighth where that leaves twice the \
      size that is wanted. Default: seen.
      """)
  var decode: String?

  @Option(
    help: """
      'refuse' a picture that lost rows or whose checksums are wrong; 'accept': read what there is \
      of it, and say what is lost. Default: refuse.
      """)
  var damaged: String?

  @Option(
    help: ArgumentHelp(
      "What shines through transparent pixels; default: white.", valueName: "colour"))
  var background: String?

  @Option(help: "Refuse images with more pixels.")
  var maxPixels: Int?

  func validate() throws {
    if let size, size != "native" {
      guard let side = Int(size), (1...65_536).contains(side) else {
        throw ValidationError("--size: found '\(size)', expected 1 to 65536 or native")
      }
    }
    // With less, the resized picture could be larger than any number of pixels that is counted.
    if let cropPct, !(cropPct >= 0.001 && cropPct <= 1) {
      throw ValidationError("--crop-pct: found \(cropPct), expected 0.001 to 1")
    }
    if let maxPixels, maxPixels < 1 {
      throw ValidationError("--max-pixels: found \(maxPixels), expected 1 or more")
    }
    if let damaged, !["refuse", "accept"].contains(damaged) {
      throw ValidationError("--damaged: found '\(damaged)', expected refuse or accept")
    }
    _ = try policy()
  }

  /// Those that were given.
  var given: [String] {
    let options: [(String, Bool)] = [
      ("--size", size != nil), ("--crop-pct", cropPct != nil), ("--decode", decode != nil),
      ("--background", background != nil), ("--max-pixels", maxPixels != nil),
      ("--damaged", damaged != nil),
    ]
    return options.filter(\.1).map(\.0)
  }

  var limits: ImageLimits {
    var limits = ImageLimits(acceptsDamage: damaged == "accept")
    if let maxPixels { limits.maximumPixels = maxPixels }
    return limits
  }

  var decodesFast: Bool { decode == "fast" }

  func policy() throws -> DecodePolicy {
    switch decode ?? "seen" {
    case "seen", "fast":
      guard let background else { return .seen }
      guard let colour = RGB(background) else {
        throw ValidationError(
          "--background: found '\(background.escapedForDisplay(limit: 60))', expected white, black or "
            + "RRGGBB")
      }
      return .seen(background: colour)
    case "pillow":
      guard background == nil else {
        throw ValidationError(
          "--background: no effect with --decode pillow, which drops what is transparent")
      }
      return .pillow
    case let other:
      throw ValidationError(
        "--decode: found '\(other.escapedForDisplay(limit: 60))', expected seen, pillow or fast")
    }
  }

  /// Says what a side costs that is far beyond the one that a transformer over patches was trained on:
  /// every patch looks at all of them.
  func noteCost(of tower: (any VisionTowerConfig)?) {
    guard let side = size.flatMap({ Int($0) }), let tower = tower as? any PatchTransformerConfig
    else { return }
    let grid = tower.patches(height: side, width: side)
    let times = grid.count / max(1, tower.tableGrid.count)
    guard times >= 16 else { return }
    Report.warning(
      "--size \(side): \(grid.count) patches, \(times) times as many as at \(tower.trainedSize), each of "
        + "which looks at all: about \(times * times) times the attention", program: "vlm-run")
  }

  func applied(to preprocessing: Preprocessing) throws -> Preprocessing {
    var result = preprocessing
    if size == "native" {
      result = result.withoutGeometry()
    } else if let side = size.flatMap({ Int($0) }) {
      result = result.resized(toSide: side)
    }
    if let cropPct {
      guard result.crop != nil else {
        throw ValidationError(
          "--crop-pct: no effect"
            + (size == "native" ? " with --size native" : ": the model sees pictures whole"))
      }
      result = result.cropping(share: cropPct)
    }
    return result
  }
}

extension Preprocessing {
  /// The picture at its own size: no padding, no resize, no crop.
  fileprivate func withoutGeometry() -> Preprocessing {
    var result = self
    result.padding = nil
    result.resize = nil
    result.crop = nil
    return result
  }
}
