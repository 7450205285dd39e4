import Foundation
import Synchronization
import Testing
import VLMImages
import VLMTestSupport
import VLMZ

/// Pictures from files, bytes and pixels are the same pictures.
@Suite("Pictures of the library")
struct LibraryImageTests {
  private static func file() throws -> [UInt8] {
    [UInt8](try Data(contentsOf: URL(fileURLWithPath: SchemeQualityTests.photo)))
  }

  /// Pixels of a photograph in another format, with `gap` bytes behind each row.
  private static func pixels(
    _ source: VLMImages.Image, _ format: VLMZ.Image.PixelFormat, gap: Int
  ) -> [UInt8] {
    var bytes: [UInt8] = []
    for row in 0..<source.height {
      for column in 0..<source.width {
        let place = (row * source.width + column) * 3
        let (red, green, blue) = (
          source.pixels[place], source.pixels[place + 1], source.pixels[place + 2]
        )
        switch format {
        case .rgb8: bytes += [red, green, blue]
        case .rgba8: bytes += [red, green, blue, 255]
        case .bgr8: bytes += [blue, green, red]
        case .bgra8: bytes += [blue, green, red, 255]
        case .gray8: bytes += [green]
        }
      }
      bytes += [UInt8](repeating: 0x77, count: gap)
    }
    return bytes
  }

  @Test(
    "pixels give the embedding of the PNG that has them, in every format and with any stride",
    arguments: VLMZ.Image.PixelFormat.allCases, [0, 1, 64])
  func pixels(_ format: VLMZ.Image.PixelFormat, _ gap: Int) throws {
    let session = try Session(of: LibraryModels.classifier().open())
    var source = try ImageDecoder.decode(bytes: try Self.file(), name: "horse")
    if format == .gray8 {
      let gray = stride(from: 1, to: source.pixels.count, by: 3).flatMap { place in
        [UInt8](repeating: source.pixels[place], count: 3)
      }
      source = VLMImages.Image(width: source.width, height: source.height, pixels: gray)
    }
    let png = try #require(
      PNGEncoder.encode(source.pixels, width: source.width, height: source.height))
    let want = try session.embed(VLMZ.Image(encoded: png))
    let bytes = Self.pixels(source, format, gap: gap)
    let stride = source.width * format.bytesPerPixel + gap
    let shared = try VLMZ.Image(
      pixels: bytes, width: source.width, height: source.height, bytesPerRow: stride,
      format: format)
    #expect(try session.embed(shared) == want)
    // Twice: a picture is not used up.
    #expect(try session.embed(shared) == want)
    try bytes.withUnsafeBytes { memory in
      let borrowed = try VLMZ.Image(
        noCopy: memory.baseAddress, width: source.width, height: source.height,
        bytesPerRow: stride, format: format)
      #expect(try session.embed(borrowed) == want)
    }
  }

  @Test("a file, its bytes and its name give one picture")
  func files() throws {
    let session = try Session(of: LibraryModels.classifier().open())
    let fromPath = try LibraryModels.horse()
    let fromBytes = try VLMZ.Image(encoded: try Self.file())
    #expect(fromPath.width == fromBytes.width && fromPath.height == fromBytes.height)
    #expect(try session.embed(fromPath) == session.embed(fromBytes))
    #expect(try session.classify(fromPath, top: 1).candidates[0].label == "horse")
    let both = try session.embed([fromPath, fromBytes])
    #expect(both[0] == both[1])
    #expect(try both[0].similarity(to: both[1]) > 0.999999)
  }

  @Test("transparent pixels show the background that is asked for")
  func background() throws {
    let session = try Session(of: LibraryModels.classifier().open())
    func embedding(_ pixel: [UInt8], _ format: VLMZ.Image.PixelFormat, _ background: UInt32)
      throws -> Embedding
    {
      let pixels = (0..<32 * 32).flatMap { _ in pixel }
      return try session.embed(
        VLMZ.Image(
          pixels: pixels, width: 32, height: 32, format: format,
          options: .init(background: background)))
    }
    let red = try embedding([255, 0, 0], .rgb8, 0xff_ffff)
    #expect(try embedding([1, 2, 3, 0], .rgba8, 0xff_0000) == red)
    #expect(try embedding([1, 2, 3, 0], .bgra8, 0xff_0000) == red)
    #expect(try embedding([1, 2, 3, 0], .rgba8, 0xff_ffff) != red)
  }

  @Test("borrowed pixels are let go once, when the last copy of the picture is gone")
  func release() throws {
    final class Count: Sendable { let value = Atomic<Int>(0) }
    let count = Count()
    let memory = UnsafeMutableRawPointer.allocate(byteCount: 12, alignment: 1)
    memory.initializeMemory(as: UInt8.self, repeating: 9, count: 12)
    defer { memory.deallocate() }
    func make() throws -> [VLMZ.Image] {
      let image = try VLMZ.Image(
        noCopy: UnsafeRawPointer(memory), width: 2, height: 2, format: .rgb8,
        release: { count.value.add(1, ordering: .relaxed) })
      return [image, image]
    }
    var copies = try make()
    copies.removeLast()
    #expect(count.value.load(ordering: .relaxed) == 0)
    copies.removeLast()
    #expect(count.value.load(ordering: .relaxed) == 1)
    let refused = libraryError {
      _ = try VLMZ.Image(
        noCopy: UnsafeRawPointer(memory), width: 2, height: 2, bytesPerRow: 5, format: .rgb8,
        release: { count.value.add(1, ordering: .relaxed) })
    }
    #expect(refused?.code == .invalidArgument)
    #expect(count.value.load(ordering: .relaxed) == 1)
  }
}
