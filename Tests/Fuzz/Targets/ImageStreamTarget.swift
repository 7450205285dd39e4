import VLMFoundation
import VLMImages
import VLMTensor
import VLMText

enum ImageStreamTarget {
  /// Splits a stream: no more comes out than went in, and pictures but the last end as they should.
  static func run(_ bytes: UnsafeRawBufferPointer) {
    let limits = ImageLimits(maximumFileBytes: 1 << 16)
    var stream = ImageStream(
      ByteStream(name: "fuzzed", bytes: Array(bytes)), limits: limits)
    var total = 0
    do {
      while let part = try stream.next(name: "fuzzed") {
        guard case .picture(let picture) = part else { continue }
        total += picture.count
        precondition(picture.count <= limits.maximumFileBytes, "within the limits")
        precondition(!picture.isEmpty || bytes.isEmpty, "a picture has bytes")
      }
    } catch let error as ImageError {
      report(error)
    } catch {
      preconditionFailure("an error of another kind")
    }
    precondition(total <= bytes.count, "each byte once")
    let again = try? stream.next(name: "fuzzed")
    precondition(again == nil, "an end is the end")
  }
}
