import Testing

@testable import VLMImages

@Suite("Decode policies")
struct DecodePolicyTests {
  private func image(
    _ model: DecodedImage.Model, _ samples: DecodedImage.Samples, isDeclared: Bool = false
  ) -> DecodedImage {
    let count =
      switch samples {
      case .eight(let bytes): bytes.count
      case .sixteen(let words): words.count
      }
    return DecodedImage(
      width: count / model.channels, height: 1, model: model, samples: samples,
      isAlphaDeclared: isDeclared)
  }

  @Test("alpha is composited over the background, rounded to nearest, for every value")
  func alpha() {
    for alpha in 0...255 {
      for color in stride(from: 0, through: 255, by: 5) {
        let decoded = image(.rgba, .eight([UInt8(color), 0, 255, UInt8(alpha)]))
        let seen = decoded.image(.seen(background: RGB(200, 10, 0)))
        let layers: [(front: Int, back: Int)] = [(color, 200), (0, 10), (255, 0)]
        let exact: [Double] = layers.map { layer -> Double in
          let sum: Int = layer.front * alpha + layer.back * (255 - alpha)
          return (Double(sum) / 255).rounded()
        }
        #expect(seen.pixels.map(Double.init) == exact)
        #expect(decoded.image(.pillow).pixels == [UInt8(color), 0, 255])
      }
    }
  }

  @Test("gray with alpha is composited over a coloured background")
  func grayAlpha() {
    let decoded = image(.grayAlpha, .eight([100, 0, 100, 255, 100, 51]))
    #expect(
      decoded.image(.seen(background: RGB(255, 0, 5))).pixels
        == [255, 0, 5, 100, 100, 100, 224, 20, 24])
    #expect(decoded.image(.pillow).pixels == [UInt8](repeating: 100, count: 9))
  }

  @Test("16 bits are scaled to nearest for every value")
  func sixteen() {
    for value in UInt16.min ... .max {
      let exact = (Double(value) * 255 / 65_535).rounded()
      #expect(Double(DecodedImage.scaledToEight(value)) == exact)
    }
  }

  @Test("Pillow clips 16-bit gray and cuts 16-bit colour; what is seen is scaled")
  func depths() {
    let words: [UInt16] = [0, 255, 256, 0x1234, 0xFFFF, 0x80FF]
    let gray = image(.gray, .sixteen(words))
    #expect(gray.image(.pillow).pixels == [0, 255, 255, 255, 255, 255].flatMap { [$0, $0, $0] })
    #expect(gray.image(.seen).pixels == [0, 1, 1, 18, 255, 128].flatMap { [$0, $0, $0] })
    let color = image(.rgb, .sixteen(words))
    #expect(color.image(.pillow).pixels == [0, 0, 1, 0x12, 0xFF, 0x80])
    #expect(color.image(.seen).pixels == [0, 1, 1, 18, 255, 128])
    let alpha = image(.grayAlpha, .sixteen([0x1234, 0xFFFF]))
    #expect(alpha.image(.pillow).pixels == [0x12, 0x12, 0x12])
    let declared = image(.grayAlpha, .sixteen([0x1234, 0xFFFF]), isDeclared: true)
    #expect(declared.image(.pillow).pixels == [255, 255, 255])
  }

  @Test("a transparent palette entry shows the background")
  func palette() throws {
    let file = PNGBuilder.file(
      PNGBuilder.header(2, 1, color: 3), rows: [0, 0, 1],
      before: [("PLTE", [10, 20, 30, 40, 50, 60]), ("tRNS", [0])])
    let seen = try ImageDecoder.decode(
      bytes: file, name: "p", policy: .seen(background: RGB(1, 2, 3)))
    #expect(seen.pixels == [1, 2, 3, 40, 50, 60])
    #expect(
      try ImageDecoder.decode(bytes: file, name: "p", policy: .pillow).pixels
        == [10, 20, 30, 40, 50, 60])
  }

  @Test("a transparent colour is compared at the file's own depth")
  func key() throws {
    let file = PNGBuilder.file(
      PNGBuilder.header(2, 1, depth: 16, color: 0), rows: [0, 0x12, 0x34, 0x12, 0x35],
      before: [("tRNS", [0x12, 0x34])])
    #expect(
      try ImageDecoder.decode(bytes: file, name: "k").pixels == [255, 255, 255, 18, 18, 18])
  }

  @Test("turning moves the corners where the EXIF standard says")
  func turning() {
    // a b c
    // d e f
    let letters = Array("abcdef".utf8)
    let image = Image(width: 3, height: 2, pixels: letters.flatMap { [$0, $0, $0] })
    let expected: [(Orientation, Int, String)] = [
      (.upright, 3, "abcdef"), (.mirrored, 3, "cbafed"), (.halfTurn, 3, "fedcba"),
      (.flipped, 3, "defabc"), (.transposed, 2, "adbecf"), (.clockwise, 2, "daebfc"),
      (.transversed, 2, "fcebda"), (.counterclockwise, 2, "cfbead"),
    ]
    for (orientation, width, text) in expected {
      let turned = image.turned(orientation)
      #expect(turned.width == width && turned.height == 6 / width)
      #expect(turned.pixels == Array(text.utf8).flatMap { [$0, $0, $0] }, "\(orientation)")
    }
  }

  @Test("backgrounds are read by name or as six hexadecimal digits")
  func backgrounds() {
    #expect(RGB("white") == RGB(255, 255, 255))
    #expect(RGB("#10fF00") == RGB(16, 255, 0))
    #expect(RGB("0000ff") == RGB(0, 0, 255))
    for text in ["", "#", "#12345", "#1234567", "+12345", "-12345", "#gg0000", "red"] {
      #expect(RGB(text) == nil)
    }
  }
}
