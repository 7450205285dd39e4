/// Preprocessing applied to an image to obtain the encoder's input: pad, resize, crop, rescale,
/// normalise; each step is optional, in this order.
///
/// The images are bit-identical to the upstream processors up to the crop. The values follow their
/// order of operations and equal Hugging Face's and torchvision's `float32` results.
package struct Preprocessing: Sendable, Equatable {
  package enum Resize: Sendable, Equatable {
    /// The short side becomes this many pixels; the long one follows, rounded down.
    case shortestEdge(Int)
    /// The same, but the long side is at most `long`.
    case bounded(short: Int, long: Int)
    /// Both sides, ignoring the aspect ratio.
    case exact(width: Int, height: Int)
    /// The smallest size of the image's proportions that covers this one, rounded half to even: timm's
    /// `ResizeKeepRatio`.
    case covering(width: Int, height: Int)
    /// The largest size of the image's proportions that lies within this one, rounded alike: the same
    /// with `longest` 1.
    case within(width: Int, height: Int)
    /// As many squares of `side` pixels as fit the aspect ratio, at most `count`; see `PatchFitting`.
    case patches(side: Int, count: Int)
  }

  /// Which of the two centre positions a crop takes if the margin is odd.
  package enum CropRounding: String, Sendable, CaseIterable {
    /// The upper left one, as in Hugging Face.
    case floor
    /// Python's `round`, half to even, as in torchvision and timm.
    case halfEven = "half_even"
  }

  /// The central `width` by `height` pixels, padded if the image is smaller.
  package struct Crop: Sendable, Equatable {
    package let width: Int
    package let height: Int
    package let rounding: CropRounding
    /// What is around a smaller image; another colour than black is only defined for RGB.
    package let fill: RGB

    package init(width: Int, height: Int, rounding: CropRounding, fill: RGB = .black) {
      self.width = width
      self.height = height
      self.rounding = rounding
      self.fill = fill
    }
  }

  /// How samples 0…255 become floats.
  package enum Rescale: Sendable, Equatable {
    /// `Float(x) / 255`, as in torchvision.
    case dividedBy255
    /// `Float(Double(x) * factor)`, as in Hugging Face; the default factor is 1/255.
    case multiplied(Double)
    /// Unchanged, 0…255.
    case none
  }

  /// Mean and standard deviation per channel of the colour mode.
  package struct Normalization: Sendable, Equatable {
    package let mean: [Double]
    package let deviation: [Double]

    /// - Precondition: one to four values each, equally many, finite, deviations positive.
    package init(mean: [Double], deviation: [Double]) {
      precondition((1...4).contains(mean.count), "one to four channels")
      precondition(mean.count == deviation.count, "as many deviations as means")
      precondition(mean.allSatisfy { $0.isFinite }, "finite means")
      precondition(deviation.allSatisfy { $0 > 0 && $0.isFinite }, "positive, finite deviations")
      self.mean = mean
      self.deviation = deviation
    }

    package static let clip = Normalization(
      mean: [0.48145466, 0.4578275, 0.40821073], deviation: [0.26862954, 0.26130258, 0.27577711])
    package static let imageNet = Normalization(
      mean: [0.485, 0.456, 0.406], deviation: [0.229, 0.224, 0.225])
    /// Hugging Face's `IMAGENET_STANDARD`.
    package static let half = Normalization(
      mean: [0.5, 0.5, 0.5], deviation: [0.5, 0.5, 0.5])
  }

  /// Colour for padding to a square, with the image centred; nil for no padding.
  package var padding: RGB?
  package var resize: Resize?
  package var filter: Resampling
  package var crop: Crop?
  package var rescale: Rescale
  package var normalization: Normalization?
  /// The model's input channels. Padding is only defined for RGB.
  package private(set) var color = ColorMode.rgb
  /// How the picture becomes several inputs, each of them as the steps make it; nil for one. With
  /// tiles there is neither padding nor a crop, the resize is to a square, and the colours are RGB.
  package var tiling: Tiling?

  package init(
    padding: RGB? = nil, resize: Resize?, filter: Resampling = .bicubic, crop: Crop? = nil,
    rescale: Rescale = .multiplied(1 / 255), normalization: Normalization?
  ) {
    self.padding = padding
    self.resize = resize
    self.filter = filter
    self.crop = crop
    self.rescale = rescale
    self.normalization = normalization
  }

  /// The same steps for other input channels; means and deviations are converted.
  package func inColor(_ color: ColorMode) -> Preprocessing {
    var result = self
    result.color = color
    result.normalization = normalization.map {
      Normalization(mean: color.numbers($0.mean), deviation: color.numbers($0.deviation))
    }
    return result
  }

  /// The same with padding to a square in the mean colour, `int(255 * mean)`, as LLaVA's
  /// `image_aspect_ratio` "pad".
  package func paddedWithMean() -> Preprocessing {
    var result = self
    let mean = normalization?.mean ?? [0, 0, 0]
    let fill = mean.map { UInt8(max(0, min(255, $0 * 255))) }
    result.padding = RGB(fill[0], fill[1], fill[2])
    return result
  }

  /// The size of the result of `apply`, if it does not depend on the image.
  package var fixedSize: (width: Int, height: Int)? {
    if let crop { return (crop.width, crop.height) }
    switch resize {
    case .exact(let width, let height): return (width, height)
    case .shortestEdge(let side): return padding == nil ? nil : (side, side)
    case .bounded(let short, let long):
      return padding == nil ? nil : (min(short, long), min(short, long))
    case .covering, .within, .patches, nil: return nil
    }
  }
}

extension Preprocessing {
  /// Rescales and normalises.
  ///
  /// - Parameter alpha: the fourth channel, for models that take alpha.
  package func values(of image: Image, alpha: Image? = nil) -> PixelTensor {
    // A channel has 256 possible values, so a lookup table is computed first.
    let tables = (0..<color.channels).map { channel in
      (0...255).map { value($0, channel: channel) }
    }
    guard color == .rgb else { return values(of: image, alpha: alpha, tables) }
    let (red, green, blue) = (tables[0], tables[1], tables[2])
    let size = image.pixels.count
    let values = [Float](unsafeUninitializedCapacity: size) { out, count in
      image.pixels.withUnsafeBufferPointer { pixels in
        for offset in stride(from: 0, to: size, by: 3) {
          out[offset] = red[Int(pixels[offset])]
          out[offset + 1] = green[Int(pixels[offset + 1])]
          out[offset + 2] = blue[Int(pixels[offset + 2])]
        }
      }
      count = size
    }
    return PixelTensor(height: image.height, width: image.width, values: values)
  }

  private func values(of image: Image, alpha: Image?, _ tables: [[Float]]) -> PixelTensor {
    let channels = tables.count
    var values: [Float] = []
    values.reserveCapacity(image.width * image.height * channels)
    for offset in stride(from: 0, to: image.pixels.count, by: 3) {
      for channel in 0..<min(3, channels) {
        values.append(tables[channel][Int(image.pixels[offset + channel])])
      }
      if channels == 4 { values.append(tables[3][Int(alpha?.pixels[offset] ?? 255)]) }
    }
    return PixelTensor(
      height: image.height, width: image.width, channels: channels, values: values)
  }

  private func value(_ sample: Int, channel: Int) -> Float {
    let scaled: Float =
      switch rescale {
      case .dividedBy255: Float(sample) / 255
      case .multiplied(let factor): Float(Double(sample) * factor)
      case .none: Float(sample)
      }
    guard let normalization else { return scaled }
    return (scaled - Float(normalization.mean[channel])) / Float(normalization.deviation[channel])
  }
}

extension Preprocessing.Crop {
  /// Start of a crop of `size` within `side`; negative if the image is smaller.
  func offset(of size: Int, in side: Int) -> Int {
    let margin = side - size
    switch rounding {
    case .floor: return margin >> 1
    case .halfEven:
      // A smaller image is padded first; an odd row or column goes to the bottom or right.
      if margin < 0 { return -(-margin / 2) }
      return margin / 2 + (margin % 4 == 3 ? 1 : 0)
    }
  }
}
