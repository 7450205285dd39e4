import CZlib

extension Orientation {
  /// What a number that stands for an orientation means: upright unless it is 1 to 8.
  init(number: Int) {
    self = UInt8(exactly: number).flatMap(Orientation.init(rawValue:)) ?? .upright
  }

  /// From EXIF where it says something, else from XMP, as Pillow's `exif_transpose` takes it.
  init(exif: UnsafeRawBufferPointer, xmp: UnsafeRawBufferPointer) {
    self = EXIF.statedOrientation(exif) ?? XMP.orientation(xmp) ?? .upright
  }
}

/// The orientation in a packet of XMP: the first `tiff:Orientation="N"` or
/// `<tiff:Orientation>N</tiff:Orientation>`, found as text, so that nothing is parsed.
enum XMP {
  static func orientation(_ bytes: UnsafeRawBufferPointer) -> Orientation? {
    let key = Array("tiff:Orientation".utf8)
    var offset = 0
    while offset + key.count < bytes.count {
      guard bytes[offset] == key[0],
        UnsafeRawBufferPointer(rebasing: bytes[offset..<offset + key.count]).elementsEqual(key)
      else {
        offset += 1
        continue
      }
      offset += key.count
      let value: Int
      if bytes[offset] == UInt8(ascii: ">") {
        value = offset + 1
      } else if bytes.count - offset > 2, bytes[offset] == UInt8(ascii: "="),
        bytes[offset + 1] == UInt8(ascii: "\"")
      {
        value = offset + 2
      } else {
        continue
      }
      if value < bytes.count, (0x30...0x39).contains(bytes[value]) {
        return Orientation(number: Int(bytes[value]) - 0x30)
      }
    }
    return nil
  }
}

/// The texts of a PNG that can hold an orientation: XMP, and the profiles that ImageMagick writes as
/// hexadecimal digits.
struct PNGTexts {
  /// What a text may be inflated to, Pillow's limit.
  private static let largest = 1 << 20

  private var exif: [UInt8]?
  private var profile: [UInt8]?
  private var xmp: [UInt8]?

  var orientation: Orientation? {
    func stated(_ bytes: [UInt8]?, _ body: (UnsafeRawBufferPointer) -> Orientation?)
      -> Orientation?
    {
      bytes.flatMap { $0.withUnsafeBytes(body) }
    }
    return stated(exif, EXIF.statedOrientation) ?? stated(profile, EXIF.statedOrientation)
      ?? stated(xmp, XMP.orientation) ?? stated(profile, XMP.orientation)
  }

  private static let names = [
    "XML:com.adobe.xmp", "Raw profile type exif", "Raw profile type APP1",
  ]

  /// Whether a chunk is worth its checksum.
  func wants(_ type: String, _ payload: UnsafeRawBufferPointer) -> Bool {
    type == "eXIf" || Self.names.contains { payload.starts(with: $0.utf8) }
  }

  /// Keeps what a chunk `tEXt`, `zTXt` or `iTXt` holds under a name of these.
  mutating func add(type: String, _ payload: UnsafeRawBufferPointer) {
    let name = payload.prefix(80).prefix { $0 != 0 }
    let rest = UnsafeRawBufferPointer(rebasing: payload.dropFirst(name.count + 1))
    switch String(decoding: name, as: UTF8.self) {
    case "XML:com.adobe.xmp": xmp = text(type, rest)
    case "Raw profile type exif": exif = text(type, rest).flatMap(Self.rawProfile)
    case "Raw profile type APP1": profile = text(type, rest).flatMap(Self.rawProfile)
    default: break
    }
  }

  private func text(_ type: String, _ rest: UnsafeRawBufferPointer) -> [UInt8]? {
    switch type {
    case "zTXt": return Self.inflated(UnsafeRawBufferPointer(rebasing: rest.dropFirst()))
    case "iTXt":
      // A flag and a method of compression, a language and a translated name, each ended by 0.
      guard rest.count > 2 else { return nil }
      var body = rest[2...]
      for _ in 0..<2 {
        guard let end = body.firstIndex(of: 0) else { return nil }
        body = body[(end + 1)...]
      }
      return rest[0] == 0
        ? Array(body.prefix(Self.largest)) : Self.inflated(UnsafeRawBufferPointer(rebasing: body))
    default: return Array(rest.prefix(Self.largest))
    }
  }

  private static func inflated(_ bytes: UnsafeRawBufferPointer) -> [UInt8]? {
    // Deflate makes at most 1032 bytes of one.
    var count = UInt(min(largest, bytes.count * 1032))
    var isWhole = false
    let result = [UInt8](unsafeUninitializedCapacity: Int(count)) { out, filled in
      isWhole =
        uncompress(
          out.baseAddress, &count, bytes.bindMemory(to: UInt8.self).baseAddress,
          UInt(bytes.count)) == Z_OK
      filled = isWhole ? Int(count) : 0
    }
    return isWhole ? result : nil
  }

  /// A line end, the profile's name, a line of its length, and lines of hexadecimal digits.
  private static func rawProfile(_ text: [UInt8]) -> [UInt8]? {
    let lines = text.split(separator: 10, maxSplits: 3, omittingEmptySubsequences: false)
    guard lines.count == 4 else { return nil }
    var result: [UInt8] = []
    var upper: UInt8?
    for byte in lines[3] {
      guard let digit = Character(UnicodeScalar(byte)).hexDigitValue else {
        if byte == 10 || byte == 13 || byte == 0x20 { continue }
        return nil
      }
      if let high = upper {
        result.append(high << 4 | UInt8(digit))
        upper = nil
      } else {
        upper = UInt8(digit)
      }
    }
    return result
  }
}
