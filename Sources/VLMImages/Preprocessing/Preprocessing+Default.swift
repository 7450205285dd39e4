extension Preprocessing {
  /// timm's default evaluation transform: 224 pixels out of 256, bicubic, ImageNet's mean and
  /// deviation.
  package static let timmDefault = Preprocessing(
    resize: .shortestEdge(256), crop: Crop(width: 224, height: 224, rounding: .halfEven),
    rescale: .dividedBy255, normalization: .imageNet)

  /// The same of a model whose `crop_pct` is 1.
  package static func timmWhole(side: Int) -> Preprocessing {
    Preprocessing(
      resize: .shortestEdge(side), crop: Crop(width: side, height: side, rounding: .halfEven),
      rescale: .dividedBy255, normalization: .imageNet)
  }

  /// torchvision's `ImageClassification` on a Pillow image, as published with the weights of its
  /// models.
  package static func torchvision(
    resize: Int, crop: Int = 224, filter: Resampling = .bilinear,
    normalization: Normalization = .imageNet
  ) -> Preprocessing {
    Preprocessing(
      resize: .shortestEdge(resize), filter: filter,
      crop: Crop(width: crop, height: crop, rounding: .halfEven), rescale: .dividedBy255,
      normalization: normalization)
  }
}

extension PixelTensor {
  /// Creates a tensor from values in the order of PyTorch's `pixel_values`, `[channels, height,
  /// width]`.
  package init(height: Int, width: Int, channels: Int = 3, channelsFirst: [Float]) {
    let area = height * width
    precondition(channelsFirst.count == channels * area, "values fill the size")
    let values = [Float](unsafeUninitializedCapacity: channels * area) { out, count in
      for channel in 0..<channels {
        for pixel in 0..<area {
          out[pixel * channels + channel] = channelsFirst[channel * area + pixel]
        }
      }
      count = channels * area
    }
    self.init(height: height, width: width, channels: channels, values: values)
  }
}
