import Foundation
import Testing
import VLMFoundation
import VLMTestSupport

@testable import VLMImages

/// Files of every format, compared with Pillow's results (`scripts/make-picture-fixtures`).
enum PictureFixtures {
  static let folder = ImageFixtures.root + "/pictures"

  struct Case: Sendable, CustomTestStringConvertible {
    let file: String
    let facts: JSONValue
    var testDescription: String { file }
    var bytes: [UInt8] { get throws { try ImageFixtures.bytes(folder + "/" + file) } }
    func digest(_ key: String) -> String? { facts[key]?.stringValue }
    var isLossy: Bool { facts["lossy"]?.boolValue == true }
    var isDamaged: Bool { facts["accepted"] != nil || facts["refused"] != nil }

    /// Whether the format's decoder is installed.
    var isReadable: Bool {
      guard let bytes = try? bytes else { return true }
      do throws(ImageError) {
        _ = try ImageDecoder.decode(bytes: bytes, name: file)
        return true
      } catch {
        if case .missingLibrary = error.problem { return false }
        return true
      }
    }
  }

  static let all: [Case] = {
    guard let facts = try? ImageFixtures.json(folder + "/pillow.json"),
      let files = facts["files"]?.objectValue
    else { return [] }
    return files.members.map { Case(file: $0.key, facts: $0.value) }
  }()
  static let cases = all.filter(\.isReadable)
  static let isComplete = cases.count == all.count
  static let sound = cases.filter { !$0.isDamaged && !$0.isLossy }
  static let lossy = cases.filter(\.isLossy)
  static let damaged = cases.filter(\.isDamaged)
}

@Suite("Picture formats")
struct ImageFormatTests {
  private func decoded(
    _ bytes: [UInt8], _ policy: DecodePolicy, accepts: Bool = false
  ) throws(ImageError) -> (image: Image, notes: [DecodingNote]) {
    var notes: [DecodingNote] = []
    let image = try ImageDecoder.decode(
      bytes: bytes, name: "case", policy: policy, limits: ImageLimits(acceptsDamage: accepts)
    ) { notes.append($0) }
    return (image, notes)
  }

  @Test("the list has files of every format")
  func list() {
    #expect(PictureFixtures.all.count > 110)
    for start in ["bmp", "pnm", "gif", "tiff", "webp", "avif", "heic", "png", "jpeg"] {
      #expect(PictureFixtures.all.contains { $0.file.hasPrefix(start) })
    }
  }

  @Test(
    "files that need libtiff or libheif are among those that follow",
    .enabled(
      if: PictureFixtures.isComplete,
      "needs libtiff6 and libheif1 with decoders of HEVC and AV1, which are not all here"))
  func libraries() {
    #expect(PictureFixtures.cases.count == PictureFixtures.all.count)
  }

  @Test(
    "rows that are read a few at a time are those of the whole", arguments: PictureFixtures.sound)
  func pieces(_ item: PictureFixtures.Case) throws {
    let bytes = try item.bytes
    func rows(_ step: Int) throws -> [UInt8] {
      let file = try PixelBuffer(byteCount: bytes.count, for: "case")
      file.bytes.copyBytes(from: bytes)
      let reader = try RowReaders.open(file, name: "case", limits: ImageLimits())
      var found: [UInt8] = []
      var rest = reader.header.height
      while rest > 0 {
        let rows = min(step, rest)
        let buffer = try PixelBuffer(byteCount: rows * reader.header.rowBytes, for: "case")
        try reader.read(rows: rows, into: buffer.bytes)
        found += buffer.bytes
        rest -= rows
      }
      try reader.finish()
      return found
    }
    #expect(try rows(3) == (try rows(1000)))
  }

  @Test("every file is as Pillow has it, to the sample", arguments: PictureFixtures.sound)
  func exact(_ item: PictureFixtures.Case) throws {
    let bytes = try item.bytes
    let pillow = try decoded(bytes, .pillow).image
    let size = item.facts["size"]?.arrayValue?.compactMap(\.intValue)
    #expect(size == [pillow.width, pillow.height])
    if !item.file.hasPrefix("jpeg") {
      #expect(sha256(pillow.pixels) == item.digest("pillow"))
      #expect(sha256(try decoded(bytes, .seen).image.pixels) == item.digest("seen"))
    }
  }

  /// libjpeg-turbo's releases differ by a level; what counts is how the picture is turned.
  @Test(
    "the orientation of JPEGs is found where Pillow finds it",
    arguments: [
      ("jpeg-exif-short.jpg", Orientation.clockwise), ("jpeg-exif-long.jpg", .clockwise),
      ("jpeg-xmp.jpg", .clockwise), ("jpeg-xmp-element.jpg", .counterclockwise),
      ("jpeg-exif-before-xmp.jpg", .halfTurn), ("jpeg-no-end.jpg", .upright),
    ])
  func orientations(_ file: String, _ orientation: Orientation) throws {
    let bytes = try ImageFixtures.bytes(PictureFixtures.folder + "/" + file)
    let decoded = try ImageDecoder.decodeSamples(bytes: bytes, name: file)
    #expect(decoded.orientation == orientation)
  }

  @Test("the orientation may be a number of any width, in either byte order, else it is upright")
  func widths() {
    for (type, width) in [(1, 1), (3, 2), (4, 4), (8, 2), (9, 4), (5, 0), (7, 0)] {
      for isLittle in [true, false] {
        func number(_ value: Int, _ width: Int) -> [UInt8] {
          let bytes = (0..<width).map { UInt8(value >> (8 * $0) & 255) }
          return isLittle ? bytes : bytes.reversed()
        }
        let value = number(6, width == 0 ? 4 : width)
        let entry = number(0x112, 2) + number(type, 2) + number(1, 4) + value
        let exif: [UInt8] =
          Array((isLittle ? "II" : "MM").utf8) + number(42, 2) + number(8, 4) + number(1, 2)
          + entry + [0, 0, 0, 0, 0, 0, 0, 0]
        let found = exif.withUnsafeBytes { EXIF.statedOrientation($0) }
        #expect(found == (width == 0 ? .upright : .clockwise), "type \(type)")
      }
    }
    let xmp = Array("<a tiff:Orientation=''/><b tiff:Orientation=\"3\"/>".utf8)
    #expect(xmp.withUnsafeBytes { XMP.orientation($0) } == .halfTurn)
    #expect(Array("tiff:Orientation=".utf8).withUnsafeBytes { XMP.orientation($0) } == nil)
  }

  /// Levels by which a sample may differ: other releases of the libraries, and for HEIC what was
  /// encoded.
  @Test("lossy files are within a bound of what Pillow has", arguments: PictureFixtures.lossy)
  func close(_ item: PictureFixtures.Case) throws {
    let seen = try decoded(try item.bytes, .seen).image
    let expected = try ImageFixtures.bytes(PictureFixtures.folder + "/" + item.file + ".rgb")
    try #require(seen.pixels.count == expected.count)
    let differences = zip(seen.pixels, expected).map { abs(Int($0) - Int($1)) }
    let isCoded = item.file.hasPrefix("heic")
    let mean = Double(differences.reduce(0, +)) / Double(differences.count)
    print("\(item.file): largest \(differences.max() ?? 0), mean \(mean)")
    #expect(differences.max() ?? 0 <= (isCoded ? 48 : 3))
    #expect(mean < (isCoded ? 4 : 0.6))
  }

  @Test(
    "what is damaged is refused, and accepted as Pillow does", arguments: PictureFixtures.damaged)
  func damaged(_ item: PictureFixtures.Case) throws {
    let bytes = try item.bytes
    var problem: ImageError.Problem?
    do throws(ImageError) { _ = try decoded(bytes, .pillow) } catch { problem = error.problem }
    guard case .damaged? = problem else {
      Issue.record("\(String(describing: problem))")
      return
    }
    let (image, notes) = try decoded(bytes, .pillow, accepts: true)
    #expect(notes.count == 1)
    if item.file == "png-bad-checksum.png" {
      #expect(notes == [.unchecked(.png, "IDAT: CRC error")])
    } else {
      guard case .lostRows(_, let rows, let height, _)? = notes.first else {
        Issue.record("\(notes)")
        return
      }
      #expect(height == image.height && (1..<height).contains(rows) || item.file.contains("prog"))
    }
    if let digest = item.digest("accepted"), !item.file.hasPrefix("jpeg") {
      #expect(sha256(image.pixels) == digest)
    }
  }

  @Test("a file without its end marker alone loses nothing, and that is said")
  func noEnd() throws {
    for (file, format) in [("png-no-end.png", ImageFormat.png), ("jpeg-no-end.jpg", .jpeg)] {
      let bytes = try ImageFixtures.bytes(PictureFixtures.folder + "/" + file)
      let found = try decoded(bytes, .pillow)
      #expect(found.notes == [.noEndMarker(format)])
      let end: [UInt8] =
        format == .jpeg ? [0xFF, 0xD9] : [0, 0, 0, 0] + "IEND".utf8 + [0xAE, 0x42, 0x60, 0x82]
      let whole = try decoded(bytes + end, .pillow)
      #expect(whole.notes.isEmpty)
      #expect(found.image == whole.image)
    }
  }

  @Test("a lost restart interval loses its rows alone")
  func lostInterval() throws {
    let bytes = try ImageFixtures.bytes(PictureFixtures.folder + "/jpeg-lost-interval.jpg")
    let (_, notes) = try decoded(bytes, .pillow, accepts: true)
    guard case .lostRows(.jpeg, let rows, of: 64, _)? = notes.first else {
      Issue.record("\(notes)")
      return
    }
    #expect((8...32).contains(rows))
  }

  /// PNG and JPEG have tests of their own for this.
  static let otherCases = PictureFixtures.cases.filter { item in
    !item.file.hasPrefix("png") && !item.file.hasPrefix("jp")
  }

  @Test(
    "a file cut anywhere, or with a byte changed, is an image or an error", arguments: otherCases)
  func hostile(_ item: PictureFixtures.Case) throws {
    let whole = try item.bytes
    let limits = ImageLimits(maximumPixels: 1 << 16)
    func attempt(_ bytes: [UInt8]) {
      for accepts in [false, true] {
        var limits = limits
        limits.acceptsDamage = accepts
        if let image = try? ImageDecoder.decode(bytes: bytes, name: "case", limits: limits) {
          #expect(image.pixels.count == image.width * image.height * 3)
        }
      }
    }
    let step = max(1, whole.count / 60)
    for length in stride(from: 0, to: whole.count, by: step) {
      attempt(Array(whole.prefix(length)))
    }
    let seed = UInt64.random(in: 0 ... .max)
    print("seed \(seed)")
    var generator = SplitMix64(seed: seed)
    for offset in whole.indices where offset < 64 || offset % (4 * step) == 0 {
      var copy = whole
      copy[offset] ^= UInt8.random(in: 1 ... .max, using: &generator)
      attempt(copy)
    }
  }

  @Test("sizes are refused by the header, of every format", arguments: PictureFixtures.sound)
  func limits(_ item: PictureFixtures.Case) throws {
    let bytes = try item.bytes
    var problem: ImageError.Problem?
    do throws(ImageError) {
      _ = try ImageDecoder.decode(bytes: bytes, name: "case", limits: ImageLimits(maximumPixels: 9))
    } catch {
      problem = error.problem
    }
    guard case .tooManyPixels(_, _, 9)? = problem else {
      Issue.record("\(String(describing: problem))")
      return
    }
  }

  @Test("libraries that are not there are told by their packages")
  func missing() {
    let error = ImageError(
      name: "a.heic",
      problem: .missingLibrary(.heic, packages: ["libheif1", "libheif-plugin-libde265"], "no file"))
    #expect(
      error.description
        == "a.heic: HEIC cannot be read without libheif1 and libheif-plugin-libde265, "
        + "try apt-get install libheif1 libheif-plugin-libde265 (no file)")
    #expect(error.exitStatus == .unsupported)
  }

  @Test(
    "what is not decoded is called by its name",
    arguments: [
      ([0xFF, 0xD8, 0xFF, 0xF7, 0, 11, 8, 0, 1, 0, 1, 1, 1, 0x11, 0], "JPEG-LS (SOF55)"),
      ([0xFF, 0xD8, 0xFF, 0xC3, 0, 11, 8, 0, 1, 0, 1, 1, 1, 0x11, 0], "lossless JPEG (SOF3)"),
      ([0xFF, 0x0A, 0, 0], "JPEG XL"), (Array("qoif0000".utf8), "QOI"),
      ([0, 0, 0, 12] + Array("jP  \r\n".utf8), "JPEG 2000"),
      ([0x49, 0x49, 0x2A, 0, 16, 0, 0, 0] + Array("CR".utf8), "a camera's raw file (CR2)"),
      ([0, 0, 1, 0, 1, 0], "an icon (ICO)"), (Array("P7\nWIDTH".utf8), "PAM (P7)"),
      ([0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 4, 0, 24, 0, 0], "Targa (TGA)"),
    ] as [([UInt8], String)])
  func names(_ bytes: [UInt8], _ name: String) throws {
    do throws(ImageError) {
      _ = try ImageDecoder.decode(bytes: bytes, name: "case")
      Issue.record("was read")
    } catch {
      #expect(error.description.contains(name))
    }
  }

  private static let shared = TestFiles.shared.appendingPathComponent("cases/images").path

  @Test(
    "the cases of common formats and damaged files have their right values",
    .enabled(if: FileManager.default.fileExists(atPath: shared), "needs ../shared/cases/images"))
  func sharedCases() throws {
    func image(_ path: String, accepts: Bool = false) throws -> (
      image: Image, notes: [DecodingNote]
    ) {
      try decoded(
        try ImageFixtures.bytes(Self.shared + "/" + path), .seen, accepts: accepts)
    }
    let folder = "damaged-but-viewable/"
    let png = try image(folder + "base.png").image
    for file in ["ppm", "tif", "bmp", "gif", "webp"] {
      let found = try image("common-formats/pic." + file).image
      #expect((found.width, found.height) == (png.width, png.height))
      if file != "gif" { #expect(found == png) }
    }
    let whole = try image(folder + "base.jpg").image
    let noEnd = try image(folder + "trunc_eoi.jpg")
    #expect(noEnd.image == whole && noEnd.notes == [.noEndMarker(.jpeg)])
    let noIEND = try image(folder + "noiend.png")
    #expect(noIEND.image == png && noIEND.notes == [.noEndMarker(.png)])
    for file in ["badcrc_idat.png", "trunc_tail.jpg", "mj_lost.jpg"] {
      #expect(throws: ImageError.self) { try image(folder + file) }
    }
    let bad = try image(folder + "badcrc_idat.png", accepts: true)
    #expect(bad.image == png && bad.notes.count == 1)
    for file in ["trunc_tail.jpg", "mj_lost.jpg"] {
      #expect(try image(folder + file, accepts: true).notes.count == 1)
    }
    let turned = try ImageDecoder.decodeSamples(
      bytes: try ImageFixtures.bytes(Self.shared + "/exif-orientation-long/exif_MM_long.jpg"),
      name: "long")
    #expect(turned.orientation == .clockwise)
  }
}
