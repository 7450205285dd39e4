import VLMFoundation
import VLMTensor

/// Sizes of which a picture takes the best, to be cut into tiles: what a model's description says to
/// its preprocessing.
package struct TileSizes: Sendable, Equatable {
  /// In the model's order.
  package let sizes: [PictureExtent]
  /// Whether each of several pictures in a prompt is one padded square instead.
  package let padsSeveral: Bool
}

/// What a LLaVA's `config.json` says of tiles, in the words of LLaVA's own code: `image_aspect_ratio`,
/// `mm_patch_merge_type` and `image_grid_pinpoints`, of whose pairs the width is the first.
struct LLaVATiles {
  let merge: TileMerge
  /// Nil for pictures that are one input.
  let sizes: TileSizes?

  /// - Parameter side: of the pictures that the tower sees, where it is known.
  /// - Throws: `ModelError` for tiles that are put together in another way than by `spatial_unpad`.
  init(_ fields: ConfigFields, side: Int?) throws(ModelError) {
    let ratioKey = "image_aspect_ratio"
    let mergeKey = "mm_patch_merge_type"
    let ratio = try fields.statedString(ratioKey) ?? "square"
    let merge = try fields.statedString(mergeKey) ?? "flat"
    guard ratio.hasPrefix("anyres") else {
      guard merge == "flat" else {
        throw fields.refusal(
          mergeKey, found: "'\(merge)'",
          expected: "'flat', as \(ratioKey) is '\(ratio)' and asks for no tiles")
      }
      (self.merge, sizes) = (.inOrder, nil)
      return
    }
    guard merge == "spatial_unpad" else {
      throw fields.refusal(
        mergeKey, found: "'\(merge)'",
        expected: "'spatial_unpad', as \(ratioKey) is '\(ratio)'")
    }
    var maximum: Int?
    if ratio != "anyres" {
      guard let count = ratio.dropping("anyres_max_").flatMap({ Int($0) }), count > 0 else {
        throw fields.refusal(
          ratioKey, found: "'\(ratio)'", expected: "'anyres', 'anyres_max_N', 'pad' or 'square'")
      }
      maximum = count
    }
    self.merge = .unpadded(maximumTiles: maximum)
    try self.merge.validate()
    sizes = TileSizes(sizes: try Self.sizes(fields, side: side), padsSeveral: maximum != nil)
  }

  private static let key = "image_grid_pinpoints"
  /// More than any model has.
  private static let maximumCount = 1024

  private static func sizes(
    _ fields: ConfigFields, side: Int?
  ) throws(ModelError) -> [PictureExtent] {
    if let text = fields.value[key]?.stringValue { return try range(text, fields, side: side) }
    var sizes: [PictureExtent] = []
    for pair in fields.value[key]?.arrayValue ?? [] {
      guard let sides = pair.arrayValue, sides.count == 2, let width = sides[0].wholeValue,
        let height = sides[1].wholeValue, (1...16_384).contains(width),
        (1...16_384).contains(height), sizes.count < maximumCount
      else {
        throw fields.refusal(
          key, found: pair.serialized(), expected: "pairs of sides, at most \(maximumCount)")
      }
      sizes.append(PictureExtent(height: height, width: width))
    }
    guard !sizes.isEmpty else {
      throw fields.refusal(
        key, found: fields.value[key]?.serialized() ?? "none",
        expected: "the sizes of which a picture takes the best")
    }
    return sizes
  }

  /// "(1x1),...,(6x6)": all numbers of tiles from the first pair to the last, as LLaVA-OneVision's
  /// training wrote it.
  private static func range(
    _ text: String, _ fields: ConfigFields, side: Int?
  ) throws(ModelError) -> [PictureExtent] {
    let pairs = text.split { $0 == "(" || $0 == ")" }.map { part in
      part.split(separator: "x", omittingEmptySubsequences: false).map { Int($0) }
    }.filter { $0.count == 2 }
    guard let side, let first = pairs.first, let last = pairs.last, let a = first[0],
      let b = first[1], let c = last[0], let d = last[1], a > 0, b > 0, c >= a, d >= b, c <= 32,
      d <= 32
    else {
      throw fields.refusal(
        key, found: "'\(text.prefix(60))'", expected: "pairs of sides, or '(1x1),...,(6x6)'")
    }
    var sizes: [PictureExtent] = []
    for columns in a...c {
      for rows in b...d { sizes.append(PictureExtent(height: rows * side, width: columns * side)) }
    }
    return sizes
  }
}
