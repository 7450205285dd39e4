/// A preprocessed image, the input of an image encoder.
package struct PixelTensor: Sendable, Equatable {
  package let height: Int
  package let width: Int
  package let channels: Int
  /// Values, channels last: `[height, width, channels]`.
  package let values: [Float]

  package init(height: Int, width: Int, channels: Int = 3, values: [Float]) {
    precondition(values.count == height * width * channels, "values fill the size")
    self.height = height
    self.width = width
    self.channels = channels
    self.values = values
  }

  /// The values in the order of PyTorch's `pixel_values`: `[channels, height, width]`.
  package func channelsFirst() -> [Float] {
    let area = height * width
    return [Float](unsafeUninitializedCapacity: values.count) { out, count in
      values.withUnsafeBufferPointer { values in
        for pixel in 0..<area {
          for channel in 0..<channels {
            out[channel * area + pixel] = values[pixel * channels + channel]
          }
        }
      }
      count = values.count
    }
  }
}
