import CCodecs

extension Orientation {
  /// The orientation for an EXIF value; `.upright` unless it is 1 to 8.
  init(number: Int) {
    self = UInt8(exactly: number).flatMap(Orientation.init(rawValue:)) ?? .upright
  }

  /// The orientation from EXIF if present, otherwise from XMP, as in Pillow's `exif_transpose`.
  init(exif: UnsafeRawBufferPointer, xmp: UnsafeRawBufferPointer) {
    self = EXIF.statedOrientation(exif) ?? XMP.orientation(xmp) ?? .upright
  }
}

/// The orientation in an XMP packet: the first `tiff:Orientation="N"` or
/// `<tiff:Orientation>N</tiff:Orientation>`. It is found by text search; no XML is parsed.
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

/// Collects the text chunks of a PNG that can hold an orientation: XMP, and EXIF profiles that
/// ImageMagick writes as hexadecimal digits. Only the last chunk of each keyword is decoded, so
/// many chunks cost no more than one.
struct PNGTexts {
  /// Maximum decompressed size of a text chunk; Pillow's limit.
  private static let largest = 1 << 20
  private static let exif = "Raw profile type exif"
  private static let profile = "Raw profile type APP1"
  private static let xmp = "XML:com.adobe.xmp"

  /// The chunk's type, and its content after the keyword.
  private var texts: [String: (type: String, rest: UnsafeRawBufferPointer)] = [:]

  var orientation: Orientation? {
    func stated(_ bytes: [UInt8]?, _ body: (UnsafeRawBufferPointer) -> Orientation?)
      -> Orientation?
    {
      bytes.flatMap { $0.withUnsafeBytes(body) }
    }
    let exif = text(Self.exif).flatMap(Self.rawProfile)
    let profile = text(Self.profile).flatMap(Self.rawProfile)
    return stated(exif, EXIF.statedOrientation) ?? stated(profile, EXIF.statedOrientation)
      ?? stated(text(Self.xmp), XMP.orientation) ?? stated(profile, XMP.orientation)
  }

  /// Keeps a `tEXt`, `zTXt` or `iTXt` chunk with one of these keywords.
  mutating func add(type: String, _ payload: UnsafeRawBufferPointer) {
    for name in [Self.exif, Self.profile, Self.xmp]
    where payload.starts(with: Array(name.utf8) + [0]) {
      texts[name] = (
        type, UnsafeRawBufferPointer(rebasing: payload.dropFirst(name.utf8.count + 1))
      )
    }
  }

  private func text(_ name: String) -> [UInt8]? {
    guard let (type, rest) = texts[name] else { return nil }
    switch type {
    case "zTXt": return Self.inflated(UnsafeRawBufferPointer(rebasing: rest.dropFirst()))
    case "iTXt":
      // Compression flag and method, then language tag and translated keyword, each terminated by
      // 0.
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
    // DEFLATE expands a byte to at most 1032.
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

  /// The text: a line break, the profile's name, a line with its length, and lines of hexadecimal
  /// digits.
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
