/// The way from a picture to the encoder's input: pad, resize, crop, scale, normalise; each step
/// optional, in this order.
///
/// The pictures are bit-exact with the upstream processors up to the crop. The values are computed
/// in their order of operations: equal to Hugging Face's and torchvision's `float32`.
package struct Preprocessing: Sendable, Equatable {
  package enum Resize: Sendable, Equatable {
    /// The short side to this many pixels; the long one follows, rounded down.
    case shortestEdge(Int)
    /// The same, unless the long side would pass `long`: then that is what it becomes.
    case bounded(short: Int, long: Int)
    /// Both sides, whatever that does to the ratio.
    case exact(width: Int, height: Int)
  }

  /// Which of the two middle positions a crop takes when the margin is odd.
  package enum CropRounding: String, Sendable, CaseIterable {
    /// The upper left one: Hugging Face.
    case floor
    /// Python's `round`, half to even: torchvision and timm.
    case halfEven = "half_even"
  }

  /// The middle `width` by `height` pixels, black where the picture is smaller.
  package struct Crop: Sendable, Equatable {
    package let width: Int
    package let height: Int
    package let rounding: CropRounding

    package init(width: Int, height: Int, rounding: CropRounding) {
      self.width = width
      self.height = height
      self.rounding = rounding
    }
  }

  /// From samples 0…255 to floats.
  package enum Rescale: Sendable, Equatable {
    /// `Float(x) / 255`: torchvision.
    case dividedBy255
    /// `Float(Double(x) * factor)`: Hugging Face, whose factor is 1/255 unless configured.
    case multiplied(Double)
    /// Left at 0…255.
    case none
  }

  /// Per channel of the colour mode.
  package struct Normalization: Sendable, Equatable {
    package let mean: [Double]
    package let deviation: [Double]

    /// - Precondition: one to four of each, as many of both, finite, the deviations positive.
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

  /// Pad to a square of the long side first, the picture in the middle, with this colour.
  package var padding: RGB?
  package var resize: Resize?
  package var filter: Resampling
  package var crop: Crop?
  package var rescale: Rescale
  package var normalization: Normalization?
  /// Where it is not RGB there is no padding.
  package private(set) var color = ColorMode.rgb

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

  /// The same steps for pictures in other channels; numbers for red, green and blue become as many
  /// as those have.
  package func inColor(_ color: ColorMode) -> Preprocessing {
    var result = self
    result.color = color
    result.normalization = normalization.map {
      Normalization(mean: color.numbers($0.mean), deviation: color.numbers($0.deviation))
    }
    return result
  }

  /// The same with the picture padded to a square in its mean colour, `int(255 * mean)`: what
  /// LLaVA's `image_aspect_ratio` "pad" does.
  package func paddedWithMean() -> Preprocessing {
    var result = self
    let mean = normalization?.mean ?? [0, 0, 0]
    let fill = mean.map { UInt8(max(0, min(255, $0 * 255))) }
    result.padding = RGB(fill[0], fill[1], fill[2])
    return result
  }

  /// The size of what `apply` gives, when it does not depend on the picture.
  package var fixedSize: (width: Int, height: Int)? {
    if let crop { return (crop.width, crop.height) }
    switch resize {
    case .exact(let width, let height): return (width, height)
    case .shortestEdge(let side): return padding == nil ? nil : (side, side)
    case .bounded(let short, let long):
      return padding == nil ? nil : (min(short, long), min(short, long))
    case nil: return nil
    }
  }
}

extension Preprocessing {
  /// Scales and normalises.
  ///
  /// - Parameter alpha: the fourth channel of a model that sees opacity.
  package func values(of image: Image, alpha: Image? = nil) -> PixelTensor {
    // A channel has 256 possible values, so all arithmetic is done once per value.
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
  /// Where a crop of `size` starts in `side`; negative when the picture is the smaller.
  func offset(of size: Int, in side: Int) -> Int {
    let margin = side - size
    switch rounding {
    case .floor: return margin >> 1
    case .halfEven:
      // A smaller picture is padded first, the odd row or column going below and right.
      if margin < 0 { return -(-margin / 2) }
      return margin / 2 + (margin % 4 == 3 ? 1 : 0)
    }
  }
}
