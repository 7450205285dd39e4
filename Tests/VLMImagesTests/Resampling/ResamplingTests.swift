import Testing

@testable import VLMImages

@Suite("Resampling")
struct ResamplingTests {
  static let sizes = [(1, 1), (2, 3), (7, 5), (16, 33), (64, 20), (20, 64)]

  /// Pillow's algorithm pixel by pixel: the readable reference of the passes.
  private func reference(_ image: Image, width: Int, height: Int, _ filter: Resampling) -> Image {
    func pass(_ image: Image, to result: Int, isAcross: Bool) -> Image {
      let source = isAcross ? image.width : image.height
      if source == result { return image }
      let scale = Double(source) / Double(result)
      let reach = filter.support * max(scale, 1)
      let newWidth = isAcross ? result : image.width
      let newHeight = isAcross ? image.height : result
      var out: [UInt8] = []
      for y in 0..<newHeight {
        for x in 0..<newWidth {
          let center = (Double(isAcross ? x : y) + 0.5) * scale
          let taps = max(Int(center - reach + 0.5), 0)..<min(Int(center + reach + 0.5), source)
          let weights = taps.map {
            filter.weight((Double($0) - center + 0.5) * (1 / max(scale, 1)))
          }
          let total = weights.reduce(0, +)
          for channel in 0..<3 {
            var sum = 1 << 21
            for (tap, weight) in zip(taps, weights) {
              let fixed = (weight / total * 4_194_304).rounded(.toNearestOrAwayFromZero)
              sum += Int(image.pixel(isAcross ? tap : x, isAcross ? y : tap)[channel]) * Int(fixed)
            }
            out.append(UInt8(max(0, min(255, sum >> 22))))
          }
        }
      }
      return Image(width: newWidth, height: newHeight, pixels: out)
    }
    if height < image.height, image.height - height > 2 * (image.width - width) {
      return pass(pass(image, to: height, isAcross: false), to: width, isAcross: true)
    }
    return pass(pass(image, to: width, isAcross: true), to: height, isAcross: false)
  }

  private static let smoothFilters = Resampling.allCases.filter { $0 != .nearest }

  @Test(
    "the passes equal the reference for every filter and awkward sizes",
    arguments: smoothFilters, sizes)
  func equalsReference(_ filter: Resampling, _ size: (Int, Int)) throws {
    for (seed, target) in [(1, 1), (3, 2), (5, 9), (40, 11), (13, 70)].enumerated() {
      let image = Image.random(width: size.0, height: size.1, seed: UInt64(seed))
      let resized = try image.resized(width: target.0, height: target.1, filter)
      #expect(resized == reference(image, width: target.0, height: target.1, filter))
    }
  }

  @Test(
    "a window of a resized picture equals the same part of the whole",
    arguments: Resampling.allCases)
  func window(_ filter: Resampling) throws {
    for (width, height) in [(31, 77), (77, 31), (200, 90)] as [(Int, Int)] {
      let image = Image.random(width: 60, height: 80, seed: 7)
      let whole = try image.resized(width: width, height: height, filter)
      let part = try image.resized(
        width: width, height: height, columns: 5..<23, rows: 11..<30, filter)
      #expect(part == whole.cropped(x: 5, y: 11, width: 18, height: 19))
    }
  }

  @Test("the vertical pass is first when the height loses more than twice the width's pixels")
  func order() {
    #expect(Image.resamplesDownFirst(from: (212, 283), to: (160, 160)))
    #expect(!Image.resamplesDownFirst(from: (200, 300), to: (150, 200)))
    #expect(Image.resamplesDownFirst(from: (200, 300), to: (150, 199)))
    #expect(!Image.resamplesDownFirst(from: (200, 300), to: (400, 301)))
    #expect(Image.resamplesDownFirst(from: (200, 300), to: (400, 299)))
  }

  @Test("constant colours stay what they are", arguments: Resampling.allCases)
  func constant(_ filter: Resampling) throws {
    for color in [RGB.black, .white, RGB(1, 127, 254)] {
      let image = Image(width: 37, height: 23, filledWith: color)
      for (width, height) in [(224, 224), (5, 3), (1, 100)] as [(Int, Int)] {
        let resized = try image.resized(width: width, height: height, filter)
        #expect(resized == Image(width: width, height: height, filledWith: color))
      }
    }
  }

  @Test("the same size gives the same picture", arguments: Resampling.allCases)
  func identity(_ filter: Resampling) throws {
    let image = Image.random(width: 9, height: 14, seed: 3)
    let same = try image.resized(width: 9, height: 14, filter)
    #expect(same == image)
  }

  @Test("Pillow's numbers name the filters")
  func codes() {
    #expect(
      (0...5).compactMap(Resampling.init(code:)) == [
        .nearest, .lanczos, .bilinear, .bicubic, .box, .hamming,
      ])
    #expect(Resampling(code: 6) == nil && Resampling(code: -1) == nil)
  }
}
