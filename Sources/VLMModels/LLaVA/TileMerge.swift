import VLMFoundation
import VLMTensor

/// How the visual tokens of a picture's tiles become one sequence.
package enum TileMerge: Sendable, Equatable {
  /// Those of each tile from the top left, row by row, one tile after the other.
  case inOrder
  /// LLaVA-NeXT's `spatial_unpad`: the overview; then the grid's tiles as one map without what was
  /// padded, and behind each of its rows a learned one, `image_newline`. A picture that is one input has
  /// one at its end.
  ///
  /// `maximumTiles` is LLaVA-OneVision's `anyres_max_N`: a map of more tokens than so many tiles have
  /// is made smaller; nil for no maximum.
  case unpadded(maximumTiles: Int?)

  /// Whether there is an `image_newline`.
  package var hasNewline: Bool { self != .inOrder }

  package func validate() throws(ModelError) {
    guard case .unpadded(let maximum?) = self, !(1...1024).contains(maximum) else { return }
    throw ModelError(
      .configuration(field: "merge.maximum_tiles", found: "\(maximum)", expected: "1 to 1024"))
  }

  package var json: JSONValue {
    switch self {
    case .inOrder: .null
    case .unpadded(let maximum):
      ["kind": "unpadded", "maximum_tiles": maximum.map { .int($0) } ?? .null]
    }
  }

  /// Reads what `json` wrote. Files from before there were tiles have no such member.
  package init(json: JSONValue?) throws(ModelError) {
    guard let json, !json.isNull else {
      self = .inOrder
      return
    }
    let fields = ConfigFields(json, path: "merge")
    let kind = try fields.string("kind")
    guard kind == "unpadded" else {
      throw fields.refusal("kind", found: "'\(kind)'", expected: "'unpadded'")
    }
    self = .unpadded(
      maximumTiles: fields.has("maximum_tiles") ? try fields.int("maximum_tiles") : nil)
    try validate()
  }
}
