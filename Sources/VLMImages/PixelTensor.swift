/// A preprocessed picture: what the image encoder takes.
package struct PixelTensor: Sendable, Equatable {
  package let height: Int
  package let width: Int
  package let channels: Int
  /// Channels last: `[height, width, channels]`.
  package let values: [Float]

  package init(height: Int, width: Int, channels: Int = 3, values: [Float]) {
    precondition(values.count == height * width * channels, "values fill the size")
    self.height = height
    self.width = width
    self.channels = channels
    self.values = values
  }

  /// The values as PyTorch's `pixel_values` orders them: `[channels, height, width]`.
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
