import VLMContainer
import VLMFoundation
import VLMImages

/// What a page of keys and values was computed from: all positions up to its end, by their SHA-256.
///
/// Whoever can choose prompts must not be able to make two that collide: the second would read the
/// first one's keys and values.
struct PageKey: Hashable, Sendable {
  private let digest: [UInt8]

  /// What stands before the first page.
  ///
  /// - Parameter scope: those who share pages; others never find them.
  init(scope: String) { digest = SHA256.hash(Array(scope.utf8)) }

  /// The page behind `previous`, of these positions.
  init(after previous: PageKey, _ positions: ArraySlice<PromptPosition>) {
    var bytes = previous.digest
    bytes.reserveCapacity(bytes.count + positions.count * 9)
    var picture: PictureDigest?
    for position in positions {
      switch position {
      case .token(let id): Self.append(0, id, to: &bytes)
      case .picture(let digest, let row):
        if digest != picture { bytes += [2] + digest.bytes }
        picture = digest
        Self.append(1, row, to: &bytes)
      }
    }
    digest = SHA256.hash(bytes)
  }

  private static func append(_ kind: UInt8, _ value: Int, to bytes: inout [UInt8]) {
    bytes.append(kind)
    withUnsafeBytes(of: Int64(value).littleEndian) { bytes.append(contentsOf: $0) }
  }
}

/// What stands at a position of a prompt or an answer.
enum PromptPosition: Hashable, Sendable {
  case token(Int)
  case picture(PictureDigest, row: Int)
}

/// The SHA-256 of what the tower sees of a picture, or of its visual tokens.
struct PictureDigest: Hashable, Sendable {
  let bytes: [UInt8]

  /// - Parameters:
  ///   - kind: what the values are.
  ///   - shape: of the values.
  init(_ kind: String, shape: [Int], _ update: (inout SHA256) -> Void) {
    var hash = SHA256()
    Array("\(kind) \(shape);".utf8).withUnsafeBytes { hash.update($0) }
    update(&hash)
    bytes = hash.digest
  }
}

extension PictureDigest {
  /// Of what the tower sees of a picture, and of which part of the picture each input is.
  init(_ picture: PreparedPicture) {
    let layout = picture.layout
    var shape = picture.tiles.flatMap { [$0.height, $0.width] }
    // Of a picture that is one input its own size has no effect.
    if !layout.isWhole {
      shape += [layout.picture.height, layout.picture.width, layout.rows, layout.columns]
      shape.append(layout.overview ?? -1)
      shape += layout.valid.flatMap { [$0.height, $0.width] }
    }
    self.init("pixels", shape: shape) { hash in
      for tile in picture.tiles { tile.values.withUnsafeBytes { hash.update($0) } }
    }
  }
}
