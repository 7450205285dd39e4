import Foundation
import Testing
import VLMFoundation
import VLMTestSupport

@testable import VLMImages

/// Images resized while they are being decoded.
@Suite("Streamed pictures")
struct StreamedImageTests {
  /// An image whose rows have an orientation.
  private struct Stored: PixelSource {
    let picture: ImageAndAlpha
    let orientation: Orientation
    private let seen: Image

    init(_ picture: ImageAndAlpha, _ orientation: Orientation) {
      self.picture = picture
      self.orientation = orientation
      seen = picture.color.turned(orientation)
    }

    var width: Int { seen.width }
    var height: Int { seen.height }
    var storedSize: (width: Int, height: Int) { (picture.width, picture.height) }

    func readRows(
      alpha: Bool,
      _ body: (UnsafePointer<UInt8>, UnsafePointer<UInt8>?, Int) throws(ImageError) -> Void
    ) throws(ImageError) { try picture.readRows(alpha: alpha, body) }
  }

  static let sizes: [(Int, Int)] = [(1, 1), (7, 5), (9, 64), (70, 11), (40, 200)]

  private func steps(_ size: (Int, Int), _ filter: Resampling) -> [Preprocessing] {
    let exact = Preprocessing.Resize.exact(width: size.0, height: size.1)
    return [
      Preprocessing(resize: exact, filter: filter, normalization: nil),
      Preprocessing(
        resize: .shortestEdge(23), filter: filter,
        crop: .init(width: 12, height: 19, rounding: .floor), normalization: nil),
      Preprocessing(
        resize: nil, filter: filter, crop: .init(width: 12, height: 19, rounding: .halfEven),
        normalization: nil),
    ]
  }

  @Test(
    "a picture that is stored turned becomes what it would when it were turned first",
    arguments: Resampling.allCases, Orientation.allCases)
  func turned(_ filter: Resampling, _ orientation: Orientation) throws {
    for (seed, size) in Self.sizes.enumerated() {
      let stored = Image.random(width: size.0, height: size.1, seed: UInt64(seed))
      for target in [(30, 21), (3, 90), (5, 5)] {
        for steps in steps(target, filter) {
          let seen = stored.turned(orientation)
          let expected = try steps.shape(seen, name: "seen")
          let found = try steps.shape(Stored(ImageAndAlpha(stored), orientation), name: "stored")
          #expect(found == expected, "\(size) to \(target)")
        }
      }
    }
  }

  @Test(
    "a padded picture becomes what it would when the square were made",
    arguments: Resampling.allCases, Orientation.allCases)
  func padded(_ filter: Resampling, _ orientation: Orientation) throws {
    for (seed, size) in Self.sizes.enumerated() {
      let stored = Image.random(width: size.0, height: size.1, seed: UInt64(seed))
      let seen = stored.turned(orientation)
      let side = max(seen.width, seen.height)
      let color = RGB(122, 7, 251)
      let square = seen.placed(
        onWidth: side, height: side, x: (side - seen.width) / 2, y: (side - seen.height) / 2,
        over: color)
      for target in [(30, 30), (64, 64), (150, 11)] {
        for plain in steps(target, filter) {
          var steps = plain
          steps.padding = color
          let expected = try plain.shape(square, name: "square")
          let found = try steps.shape(Stored(ImageAndAlpha(stored), orientation), name: "stored")
          #expect(found == expected, "\(size) to \(target)")
        }
      }
    }
  }

  @Test("gray and opacity are as of a picture that is upright", arguments: Orientation.allCases)
  func colorModes(_ orientation: Orientation) throws {
    let color = Image.random(width: 31, height: 50, seed: 1)
    let alpha = Image.random(width: 31, height: 50, seed: 2)
    for mode in [ColorMode.gray, .rgba] {
      for filter in [Resampling.nearest, .bicubic] {
        let steps = Preprocessing(
          resize: .exact(width: 17, height: 13), filter: filter, normalization: .half
        ).inColor(mode)
        let seen = ImageAndAlpha(color.turned(orientation), alpha: alpha.turned(orientation))
        let stored = Stored(ImageAndAlpha(color, alpha: alpha), orientation)
        let expected = try steps.apply(seen, name: "seen")
        let found = try steps.apply(stored, name: "stored")
        #expect(found == expected, "\(mode)")
      }
    }
  }

  @Test("a panorama is padded within the limits of its own pixels, and not made as a square")
  func panorama() throws {
    let bytes = FlatPicture.jpeg(width: 16_382, height: 600)
    let steps = Preprocessing(
      padding: RGB(1, 2, 3), resize: .shortestEdge(64),
      crop: .init(width: 64, height: 64, rounding: .floor), normalization: nil)
    let limits = ImageLimits(maximumPixels: 16_382 * 600, memory: .bytes(8 << 20))
    let picture = try ImageDecoder.open(bytes: bytes, name: "panorama", limits: limits)
    let result = try steps.shape(picture, name: "panorama", limits: limits)
    #expect(result.pixel(0, 0) == [1, 2, 3])
    #expect(result.pixel(63, 63) == [1, 2, 3])
    #expect(result.pixel(32, 32)[0] > 100)
    let larger = ImageLimits(maximumPixels: 16_382 * 600 - 1)
    #expect(
      throws: ImageError(
        name: "panorama",
        problem: .tooManyPixels(width: 16_382, height: 600, limit: 16_382 * 600 - 1))
    ) { try ImageDecoder.open(bytes: bytes, name: "panorama", limits: larger) }
  }

  // MARK: - Work

  @Test("additions are skipped to the place that they lead to")
  func skipped() {
    var generator = SplitMix64(seed: 5)
    var steps: [Double] = [1, 0.5, 0.75, 1 / 3, 1e-7, 3e5 + 0.1, 0.1]
    for _ in 0..<50 { steps.append(1 / Double(Int.random(in: 1...4000, using: &generator))) }
    for step in steps {
      var position = step * 0.5
      for count in 0...3000 {
        #expect(Resampling.skip(count, from: step * 0.5, by: step).position == position)
        position += step
      }
    }
    // Beyond where an addition changes anything.
    let long = Resampling.skip(1 << 50, from: 0.5 / 3, by: 1.0 / 3)
    #expect(long.work < 500)
    // The steps are rounded on the way.
    #expect(abs(long.position * 3 / 0x1p50 - 1) < 0.1)
  }

  @Test("a hostile resize takes work for what the crop keeps", arguments: Resampling.allCases)
  func work(_ filter: Resampling) throws {
    let (width, height) = (1, 1_000_000)
    for (side, kept) in [(16_384, 32), (224, 32), (16_384, 224)] {
      let full = side * height
      let (left, top) = ((side - kept) / 2, (full - kept) / 2)
      let across = ResampleAxis(
        picture: 0..<width, in: width, to: side, window: left..<left + kept, filter: filter,
        isMirrored: false)
      let down = ResampleAxis(
        picture: 0..<height, in: height, to: full, window: top..<top + kept, filter: filter,
        isMirrored: false)
      let resampler = try RowResampler(
        across: across, down: down, isDownFirst: false, rowPixels: width, fill: .black, name: "f")
      let rows = [UInt8](repeating: 7, count: 3000)
      for _ in 0..<1000 { try resampler.add(rows, count: 1000) }
      let result = try resampler.finish()
      #expect(result == Image(width: kept, height: kept, filledWith: RGB(7, 7, 7)))
      #expect(resampler.products <= 3 * kept * kept * 20, "\(filter) \(side) \(kept)")
    }
  }

  @Test("rows of a square that one column is padded to take no work beside it")
  func paddedWork() throws {
    let side = 100_000
    let across = ResampleAxis(
      picture: side / 2..<side / 2 + 1, in: side, to: 224, window: 0..<224, filter: .bicubic,
      isMirrored: false)
    #expect(across.touched.count <= 5)
    #expect(across.products <= 5)
    #expect(across.sourceRange == 0..<1)
  }

  // MARK: - Memory

  private func problem(
    _ bytes: [UInt8], memory: Int, isFast: Bool = false
  ) -> ImageError.Problem? {
    let limits = ImageLimits(memory: .bytes(memory))
    let steps = Preprocessing(resize: .exact(width: 32, height: 24), normalization: nil)
    do throws(ImageError) {
      let picture = try ImageDecoder.open(
        bytes: bytes, name: "picture", limits: limits, isFast: isFast)
      _ = try steps.apply(picture, name: "picture", limits: limits)
      return nil
    } catch {
      return error.problem
    }
  }

  private func png(_ width: Int, _ height: Int, interlace: UInt8) -> [UInt8] {
    var file = PNGBuilder()
    file.add(
      "IHDR",
      PNGBuilder.header(
        UInt32(width), UInt32(height), depth: 16, color: 6, interlace: interlace))
    // Each pass has a filter byte a row; what is beyond is not read.
    file.add("IDAT", FlatPicture.zeros(height * (8 * width + 1) + 2 * height))
    file.add("IEND")
    return file.bytes
  }

  @Test("what must be held whole is refused by an estimate, and what need not is not")
  func estimates() throws {
    #expect(problem(FlatPicture.jpeg(width: 1600, height: 1200), memory: 4 << 20) == nil)
    let progressive = FlatPicture.jpeg(width: 1600, height: 1200, isProgressive: true)
    #expect(problem(progressive, memory: 40 << 20) == nil)
    guard
      case .tooMuchMemory(let bytes, 4_194_304, .saveAgain("as a baseline JPEG"))? =
        problem(progressive, memory: 4 << 20)
    else {
      Issue.record("not refused")
      return
    }
    // Two bytes a coefficient.
    let least = 1600 * 1200 * 6
    #expect(bytes > least && bytes < least * 3 / 2)
    #expect(problem(png(500, 400, interlace: 0), memory: 4 << 20) == nil)
    #expect(problem(png(500, 400, interlace: 1), memory: 8 << 20) == nil)
    guard
      case .tooMuchMemory(_, 1_048_576, .saveAgain("without interlacing"))? =
        problem(png(500, 400, interlace: 1), memory: 1 << 20)
    else {
      Issue.record("not refused")
      return
    }
    let error = ImageError(
      name: "a.jpg",
      problem: .tooMuchMemory(bytes: 1, limit: 96_999_999, .saveAgain("as a baseline JPEG")))
    #expect(
      error.description
        == "a.jpg: the image takes 1 MB of memory, found 96 MB left within the limits; "
        + "saved again as a baseline JPEG it takes less")
    #expect(error.exitStatus == .osError)
  }

  @Test("fast decoding leaves at least twice the size that is wanted")
  func fast() throws {
    let bytes = FlatPicture.jpeg(width: 801, height: 603)
    for (share, size) in [
      (1, (801, 603)), (0.51, (801, 603)), (0.5, (401, 302)), (0.25, (201, 151)), (0.1, (101, 76)),
    ] as [(Double, (Int, Int))] {
      let picture = try ImageDecoder.open(bytes: bytes, name: "fast", isFast: true)
      try picture.reduce(toShare: share)
      #expect(picture.storedSize == size)
      #expect(picture.width == 801)
      let exact = try ImageDecoder.open(bytes: bytes, name: "exact")
      try exact.reduce(toShare: share)
      #expect(exact.storedSize == (801, 603))
    }
    #expect(problem(bytes, memory: 4 << 20, isFast: true) == nil)
  }

  /// Memory for preprocessing an image, measured in a separate process, in bytes.
  private func peak(_ bytes: [UInt8]) throws -> Int {
    let path = NSTemporaryDirectory() + "vlmz-peak-\(UUID().uuidString)"
    defer { try? FileManager.default.removeItem(atPath: path) }
    try Data(bytes).write(to: URL(fileURLWithPath: path))
    let outcome = try Probe.run("picture", path)
    let words = outcome.output.split { $0 == " " || $0 == "\n" }
    try #require(words.count == 2 && words[0] == "64", "\(outcome)")
    return try #require(Int(words[1])) - bytes.count
  }

  @Test("the peak of memory is rows of what can be streamed, and once the file's rows of the rest")
  func peaks() throws {
    // 36 MB, 24 MB and 24 MB of samples.
    let some = 8 << 20
    let plain = try peak(FlatPicture.jpeg(width: 4000, height: 3000))
    #expect(plain < some)
    let flat = try peak(png(2000, 1500, interlace: 0))
    #expect(flat < some)
    let interlaced = try peak(png(2000, 1500, interlace: 1))
    #expect((24_000_000..<24_000_000 + some).contains(interlaced))
    let progressive = try peak(FlatPicture.jpeg(width: 2000, height: 1500, isProgressive: true))
    #expect((18_000_000..<18_000_000 + some).contains(progressive))
  }
}
