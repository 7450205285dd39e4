import CCodecs
import VLMImages
import VLMTensor
import VLMText

enum ImageTarget {
  /// Small, so that a header alone cannot make an execution slow.
  private static let limits = ImageLimits(
    maximumPixels: 1 << 18, maximumSide: 1 << 14, maximumFileBytes: 1 << 20)

  private static let steps = Preprocessing(
    padding: RGB(1, 2, 3), resize: .shortestEdge(9),
    crop: .init(width: 8, height: 8, rounding: .floor), normalization: nil)

  /// Decodes a picture under both policies, damage refused and accepted; a PNG also with its
  /// checksums put right, which a mutated one needs to get further. HEIC and AVIF are left out: all
  /// of their reading is libheif's and its codecs', which are not built with the sanitizer.
  /// Resized while it is read a picture is the same as afterwards.
  static func run(_ bytes: UnsafeRawBufferPointer) {
    if bytes.dropFirst(4).starts(with: "ftyp".utf8) { return }
    decode(Array(bytes))
    if let repaired = withChecksums(Array(bytes)) { decode(repaired) }
  }

  private static func decode(_ bytes: [UInt8]) {
    for (policy, accepts) in [(DecodePolicy.seen, false), (.pillow, true)] {
      var limits = limits
      limits.acceptsDamage = accepts
      do throws(ImageError) {
        let image = try ImageDecoder.decode(
          bytes: bytes, name: "fuzzed", policy: policy, limits: limits)
        precondition(image.pixels.count == image.width * image.height * 3, "three bytes a pixel")
        precondition(image.width * image.height <= limits.maximumPixels, "within the limits")
        let picture = try ImageDecoder.open(
          bytes: bytes, name: "fuzzed", policy: policy, limits: limits)
        let small = try steps.shape(picture, name: "fuzzed", limits: limits)
        let expected = try steps.shape(image, name: "fuzzed", limits: limits)
        precondition(small == expected, "resized while it is read as afterwards")
      } catch {
        report(error)
      }
    }
  }

  /// A PNG whose chunks have the checksums that belong to them; nil when they do already.
  private static func withChecksums(_ bytes: [UInt8]) -> [UInt8]? {
    guard bytes.starts(with: [0x89, 0x50, 0x4e, 0x47]) else { return nil }
    var repaired = bytes
    var offset = 8
    while offset + 12 <= bytes.count {
      let length = bytes[offset..<offset + 4].reduce(0) { $0 << 8 | Int($1) }
      guard length <= bytes.count - offset - 12 else { break }
      let end = offset + 8 + length
      let checksum = bytes[offset + 4..<end].withUnsafeBufferPointer {
        crc32(0, $0.baseAddress, UInt32($0.count))
      }
      for position in 0..<4 {
        repaired[end + position] = UInt8(truncatingIfNeeded: checksum >> (24 - 8 * position))
      }
      offset = end + 4
    }
    return repaired == bytes ? nil : repaired
  }
}
