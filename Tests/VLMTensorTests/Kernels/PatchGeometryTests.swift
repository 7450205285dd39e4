import Testing

@testable import VLMTensor

/// Gathering windows against the definition of a convolution's input.
struct PatchGeometryTests {
  static let geometries = [
    PatchGeometry(kernel: 4, stride: 4), PatchGeometry(kernel: 2, stride: 2),
    PatchGeometry(kernel: 1, stride: 1),
    PatchGeometry(kernel: 3, stride: 2, padding: 1, trailingPadding: 1),
    PatchGeometry(kernel: 2, stride: 1, trailingPadding: 1),
    PatchGeometry(kernel: 2, stride: 1, dilation: 2, padding: 1, trailingPadding: 1),
    PatchGeometry(kernel: 5, stride: 3, dilation: 2, padding: 4, trailingPadding: 4),
  ]

  @Test(
    "each window holds the input elements it covers, zeros outside", arguments: geometries,
    [(8, 8), (7, 9), (5, 4), (13, 6)])
  func gather(_ geometry: PatchGeometry, _ size: (Int, Int)) {
    let (height, width, channels) = (size.0, size.1, 3)
    let (rows, columns) = (geometry.outputExtent(height), geometry.outputExtent(width))
    guard rows > 0, columns > 0 else { return }
    let input = Activations(count: height * width * channels)
    let image = input.matrix(rows: height * width, columns: channels)
    image.assign((0..<height * width * channels).map { Float($0 + 1) })
    let window = geometry.kernel * geometry.kernel * channels
    let output = Activations(count: rows * columns * window)
    let windows = output.matrix(rows: rows * columns, columns: window)
    windows.fill(-1)
    let half = rows / 2
    for lines in [0..<half, half..<rows] {
      geometry.gather(
        image, height: height, width: width, lines: lines,
        into: windows[lines.lowerBound * columns..<lines.upperBound * columns])
    }
    for row in 0..<rows * columns {
      for element in 0..<window {
        let (tap, channel) = (element / channels, element % channels)
        let (dy, dx) = (tap / geometry.kernel, tap % geometry.kernel)
        let y = row / columns * geometry.stride + dy * geometry.dilation - geometry.padding
        let x = row % columns * geometry.stride + dx * geometry.dilation - geometry.padding
        let isInside = y >= 0 && y < height && x >= 0 && x < width
        let expected: Float = isInside ? image[y * width + x, channel] : 0
        #expect(windows[row, element] == expected)
      }
    }
  }

  @Test("rows and columns that fill no window are dropped")
  func extents() {
    let patch = PatchGeometry(kernel: 4, stride: 4)
    #expect([0, 3, 4, 7, 8, 151, 203].map(patch.outputExtent) == [0, 0, 1, 1, 2, 37, 50])
    let overlapping = PatchGeometry(kernel: 3, stride: 2, padding: 1, trailingPadding: 1)
    #expect([1, 2, 96, 97].map(overlapping.outputExtent) == [1, 1, 48, 49])
  }
}
