extension Preprocessing {
  /// timm's evaluation transform where a model states nothing: 224 pixels out of 256, bicubic,
  /// ImageNet's mean and deviation.
  package static let timmDefault = Preprocessing(
    resize: .shortestEdge(256), crop: Crop(width: 224, height: 224, rounding: .halfEven),
    rescale: .dividedBy255, normalization: .imageNet)
}

extension PixelTensor {
  /// Takes values as PyTorch's `pixel_values` orders them, `[3, height, width]`.
  package init(height: Int, width: Int, channelsFirst: [Float]) {
    let area = height * width
    precondition(channelsFirst.count == 3 * area, "values fill the size")
    let values = [Float](unsafeUninitializedCapacity: 3 * area) { out, count in
      for channel in 0..<3 {
        for pixel in 0..<area { out[pixel * 3 + channel] = channelsFirst[channel * area + pixel] }
      }
      count = 3 * area
    }
    self.init(height: height, width: width, values: values)
  }
}
