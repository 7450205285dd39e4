/// The transformation from the stored image to its upright display: EXIF tag 0x0112.
package enum Orientation: UInt8, Sendable, CaseIterable {
  case upright = 1
  case mirrored = 2
  case halfTurn = 3
  case flipped = 4
  case transposed = 5
  /// A quarter turn clockwise.
  case clockwise = 6
  case transversed = 7
  /// A quarter turn counter-clockwise.
  case counterclockwise = 8

  package var swapsSides: Bool { rawValue >= 5 }

  /// Whether the displayed horizontal and vertical axes run opposite to the stored ones.
  var mirrorsAcross: Bool { [.mirrored, .halfTurn, .clockwise, .transversed].contains(self) }
  var mirrorsDown: Bool { [.halfTurn, .flipped, .transversed, .counterclockwise].contains(self) }
}

extension Image {
  /// The image with the orientation applied.
  package func turned(_ orientation: Orientation) -> Image {
    if orientation == .upright { return self }
    // Source offset of the output's pixel (0, 0), and source strides of a step right and a step
    // down.
    let right = width - 1
    let bottom = height - 1
    let (origin, across, down): ((x: Int, y: Int), (x: Int, y: Int), (x: Int, y: Int)) =
      switch orientation {
      case .upright: ((0, 0), (1, 0), (0, 1))
      case .mirrored: ((right, 0), (-1, 0), (0, 1))
      case .halfTurn: ((right, bottom), (-1, 0), (0, -1))
      case .flipped: ((0, bottom), (1, 0), (0, -1))
      case .transposed: ((0, 0), (0, 1), (1, 0))
      case .clockwise: ((0, bottom), (0, -1), (1, 0))
      case .transversed: ((right, bottom), (0, -1), (-1, 0))
      case .counterclockwise: ((right, 0), (0, 1), (-1, 0))
      }
    let outWidth = orientation.swapsSides ? height : width
    let outHeight = orientation.swapsSides ? width : height
    let start = (origin.y * width + origin.x) * 3
    let columnStep = (across.y * width + across.x) * 3
    let rowStep = (down.y * width + down.x) * 3
    let out = [UInt8](unsafeUninitializedCapacity: pixels.count) { destination, count in
      pixels.withUnsafeBufferPointer { source in
        var to = 0
        for row in 0..<outHeight {
          var from = start + row * rowStep
          for _ in 0..<outWidth {
            destination[to] = source[from]
            destination[to + 1] = source[from + 1]
            destination[to + 2] = source[from + 2]
            to += 3
            from += columnStep
          }
        }
      }
      count = pixels.count
    }
    return Image(width: outWidth, height: outHeight, pixels: out)
  }
}

/// Finds the orientation in EXIF, a TIFF structure. Nothing else is parsed, and malformed EXIF
/// never makes decoding fail: it means upright.
enum EXIF {
  private static let orientationTag = 0x0112
  /// Size of each integer type: BYTE, SHORT, LONG, SSHORT, SLONG.
  private static let widths = [1: 1, 3: 2, 4: 4, 8: 2, 9: 4]

  /// - Parameter bytes: starting at the byte-order mark `II` or `MM`, or at the signature that
  ///   precedes it in a JPEG.
  static func orientation(_ bytes: UnsafeRawBufferPointer) -> Orientation {
    statedOrientation(bytes) ?? .upright
  }

  /// The same; nil if there is no such entry.
  static func statedOrientation(_ stored: UnsafeRawBufferPointer) -> Orientation? {
    var bytes = stored
    while bytes.starts(with: [0x45, 0x78, 0x69, 0x66, 0, 0]) {
      bytes = UnsafeRawBufferPointer(rebasing: bytes.dropFirst(6))
    }
    guard bytes.count >= 8 else { return nil }
    let isLittle: Bool
    switch (bytes[0], bytes[1]) {
    case (UInt8(ascii: "I"), UInt8(ascii: "I")): isLittle = true
    case (UInt8(ascii: "M"), UInt8(ascii: "M")): isLittle = false
    default: return nil
    }
    func number(_ offset: Int, _ width: Int) -> Int {
      (0..<width).reduce(0) { value, index in
        value << 8 | Int(bytes[offset + (isLittle ? width - 1 - index : index)])
      }
    }
    let directory = number(4, 4)
    guard number(2, 2) == 42, directory <= bytes.count - 2 else { return nil }
    let entries = min(number(directory, 2), (bytes.count - directory - 2) / 12)
    for index in 0..<entries {
      let entry = directory + 2 + index * 12
      guard number(entry, 2) == orientationTag else { continue }
      guard let width = widths[number(entry + 2, 2)], number(entry + 4, 4) == 1 else {
        return .upright
      }
      return Orientation(number: number(entry + 8, width))
    }
    return nil
  }
}
