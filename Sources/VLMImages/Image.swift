/// An 8-bit RGB image, rows from top to bottom.
package struct Image: Sendable, Equatable {
  package let width: Int
  package let height: Int
  /// Interleaved samples, `[height, width, 3]`.
  package let pixels: [UInt8]

  /// - Precondition: the sizes are positive and agree with `pixels`.
  package init(width: Int, height: Int, pixels: [UInt8]) {
    precondition(
      width > 0 && height > 0 && pixels.count == width * height * 3, "pixels fill the size")
    self.width = width
    self.height = height
    self.pixels = pixels
  }

  /// An image of one colour.
  package init(width: Int, height: Int, filledWith color: RGB) {
    var pixels = [UInt8](repeating: color.red, count: width * height * 3)
    if color.green != color.red || color.blue != color.red {
      pixels.withUnsafeMutableBufferPointer { buffer in
        for offset in stride(from: 0, to: buffer.count, by: 3) {
          buffer[offset + 1] = color.green
          buffer[offset + 2] = color.blue
        }
      }
    }
    self.init(width: width, height: height, pixels: pixels)
  }

  /// This image pasted onto a canvas of one colour, with its top left corner at (`x`, `y`). Parts
  /// outside of the canvas are dropped.
  package func placed(
    onWidth canvasWidth: Int, height canvasHeight: Int, x: Int, y: Int, over color: RGB
  ) -> Image {
    let canvas = Image(width: canvasWidth, height: canvasHeight, filledWith: color)
    let firstColumn = max(x, 0)
    let endColumn = min(x + width, canvasWidth)
    let firstRow = max(y, 0)
    let endRow = min(y + height, canvasHeight)
    guard firstColumn < endColumn, firstRow < endRow else { return canvas }
    var out = canvas.pixels
    let count = (endColumn - firstColumn) * 3
    pixels.withUnsafeBufferPointer { source in
      out.withUnsafeMutableBufferPointer { destination in
        for row in firstRow..<endRow {
          let from = ((row - y) * width + firstColumn - x) * 3
          let to = (row * canvasWidth + firstColumn) * 3
          for index in 0..<count { destination[to + index] = source[from + index] }
        }
      }
    }
    return Image(width: canvasWidth, height: canvasHeight, pixels: out)
  }

  /// The crop of `width` by `height` pixels with its top left corner at (`x`, `y`); black outside
  /// of the image.
  package func cropped(x: Int, y: Int, width: Int, height: Int) -> Image {
    if x == 0, y == 0, width == self.width, height == self.height { return self }
    return placed(onWidth: width, height: height, x: -x, y: -y, over: .black)
  }
}

/// A colour with 8 bits per channel.
package struct RGB: Sendable, Hashable {
  package let red: UInt8
  package let green: UInt8
  package let blue: UInt8

  package init(_ red: UInt8, _ green: UInt8, _ blue: UInt8) {
    self.red = red
    self.green = green
    self.blue = blue
  }

  package static let white = RGB(255, 255, 255)
  package static let black = RGB(0, 0, 0)

  /// Reads `white`, `black`, `#rrggbb` or `rrggbb`.
  package init?(_ text: String) {
    switch text {
    case "white": self = .white
    case "black": self = .black
    default:
      let digits = Array((text.hasPrefix("#") ? text.dropFirst() : text[...]).utf8)
      guard digits.count == 6, digits.allSatisfy({ $0 != UInt8(ascii: "+") }),
        let value = UInt32(String(decoding: digits, as: UTF8.self), radix: 16)
      else { return nil }
      self.init(UInt8(value >> 16), UInt8(value >> 8 & 255), UInt8(value & 255))
    }
  }
}
