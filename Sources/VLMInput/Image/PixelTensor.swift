/// A preprocessed picture: what the image encoder takes.
package struct PixelTensor: Sendable, Equatable {
  package let height: Int
  package let width: Int
  /// Channels last: `[height, width, 3]`.
  package let values: [Float]

  package init(height: Int, width: Int, values: [Float]) {
    precondition(values.count == height * width * 3, "values fill the size")
    self.height = height
    self.width = width
    self.values = values
  }

  /// The values as PyTorch's `pixel_values` orders them: `[3, height, width]`.
  package func channelsFirst() -> [Float] {
    let area = height * width
    return [Float](unsafeUninitializedCapacity: values.count) { out, count in
      values.withUnsafeBufferPointer { values in
        for pixel in 0..<area {
          for channel in 0..<3 { out[channel * area + pixel] = values[pixel * 3 + channel] }
        }
      }
      count = values.count
    }
  }
}
