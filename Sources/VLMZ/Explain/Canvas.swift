/// An RGB picture to draw on.
package struct Canvas: Sendable {
  package struct Colour: Sendable, Equatable {
    package let red, green, blue: UInt8

    package init(_ red: UInt8, _ green: UInt8, _ blue: UInt8) {
      (self.red, self.green, self.blue) = (red, green, blue)
    }

    static let white = Colour(255, 255, 255)
    static let ink = Colour(32, 36, 44)
    static let faint = Colour(112, 118, 128)
    static let rule = Colour(196, 200, 208)
    static let positive = Colour(42, 120, 184)
    static let negative = Colour(200, 84, 48)
  }

  package let width: Int
  package let height: Int
  /// `[height, width, 3]`.
  package private(set) var pixels: [UInt8]

  package init(width: Int, height: Int, colour: Colour = .white) {
    precondition(width > 0 && height > 0, "a picture has pixels")
    self.width = width
    self.height = height
    pixels = [UInt8](repeating: 0, count: width * height * 3)
    fill(x: 0, y: 0, width: width, height: height, colour)
  }

  package subscript(x: Int, y: Int) -> Colour {
    get {
      let place = (y * width + x) * 3
      return Colour(pixels[place], pixels[place + 1], pixels[place + 2])
    }
    set {
      guard x >= 0, x < width, y >= 0, y < height else { return }
      let place = (y * width + x) * 3
      pixels[place] = newValue.red
      pixels[place + 1] = newValue.green
      pixels[place + 2] = newValue.blue
    }
  }

  /// What lies outside is not drawn.
  package mutating func fill(x: Int, y: Int, width: Int, height: Int, _ colour: Colour) {
    for line in y..<y + max(0, height) {
      for column in x..<x + max(0, width) { self[column, line] = colour }
    }
  }

  /// Draws `source` stretched to `width` by `height`, each pixel of the canvas the mean of those it
  /// covers, or the one that covers it.
  package mutating func draw(_ source: Canvas, x: Int, y: Int, width: Int, height: Int) {
    for line in 0..<height {
      let rows = Self.covered(line, of: height, by: source.height)
      for column in 0..<width {
        let columns = Self.covered(column, of: width, by: source.width)
        var sums = (0, 0, 0)
        for row in rows {
          for place in columns {
            let colour = source[place, row]
            sums.0 += Int(colour.red)
            sums.1 += Int(colour.green)
            sums.2 += Int(colour.blue)
          }
        }
        let count = rows.count * columns.count
        self[x + column, y + line] = Colour(
          UInt8(sums.0 / count), UInt8(sums.1 / count), UInt8(sums.2 / count))
      }
    }
  }

  /// The samples of `source` that sample `index` of `count` stands for; one at least.
  private static func covered(_ index: Int, of count: Int, by source: Int) -> Range<Int> {
    let first = index * source / count
    return first..<max(first + 1, (index + 1) * source / count)
  }

  /// Writes a line in capitals, seven pixels high times `scale`, and returns where it ends.
  @discardableResult
  package mutating func write(
    _ text: String, x: Int, y: Int, scale: Int = 2, _ colour: Colour = .ink
  ) -> Int {
    var left = x
    for character in text.uppercased() {
      let rows = Glyphs.rows(character)
      for (row, bits) in rows.enumerated() {
        for column in 0..<Glyphs.width where bits & (1 << (Glyphs.width - 1 - column)) != 0 {
          fill(
            x: left + column * scale, y: y + row * scale, width: scale, height: scale, colour)
        }
      }
      left += (Glyphs.width + 1) * scale
    }
    return left
  }

  package static func textWidth(_ text: String, scale: Int = 2) -> Int {
    text.count * (Glyphs.width + 1) * scale
  }
}
