import VLMFoundation
import VLMTensor

extension TransformersLLaVA {
  /// Which of transformers' classes a description is of.
  enum Kind: String {
    case plain = "llava"
    /// LLaVA-NeXT, also called 1.6.
    case next = "llava_next"
    case oneVision = "llava_onevision"
    case fastVLM = "fast_vlm"

    /// - Throws: `ModelError` for another `model_type`, or for a class that it is not of.
    init(_ fields: ConfigFields) throws(ModelError) {
      let types = LLaVAFamily.transformersClasses
      let classes = try fields.statedStrings("architectures") ?? []
      let named = classes.compactMap { types[$0] }.first
      let type = try fields.statedString("model_type") ?? named ?? Kind.plain.rawValue
      guard let kind = Kind(rawValue: type) else {
        throw fields.refusal(
          "model_type", found: fields.value["model_type"]?.serialized() ?? "none",
          expected: types.values.sorted().map { "\"\($0)\"" }.joined(separator: ", "))
      }
      if let named, named != type {
        throw fields.refusal(
          "model_type", found: "'\(type)'", expected: "'\(named)', as its architectures say")
      }
      self = kind
    }

    private var hasTiles: Bool { self == .next || self == .oneVision }

    var keys: ConfigKeys { hasTiles ? .llavaTiles : .llava }

    /// What its class takes for `vision_feature_layer`.
    var layer: Int { self == .oneVision || self == .fastVLM ? -1 : -2 }

    /// What its class takes for `vision_feature_select_strategy`.
    var strategy: String { self == .oneVision || self == .fastVLM ? "full" : "default" }

    /// Refuses parts of a tower's features that it does not have: a FastVLM's gives one map, whole.
    func checkFeatures(_ fields: ConfigFields) throws(ModelError) {
      guard self == .fastVLM else { return }
      try TransformersLLaVA.check(fields, "vision_feature_select_strategy", ["full"])
      try fields.check("vision_feature_layer", is: -1)
    }

    /// Says in upstream's words how pictures are cut up.
    func addTiles(
      to description: inout JSONObject, _ fields: ConfigFields
    ) throws(ModelError) {
      guard hasTiles else { return }
      let ratio =
        self == .next
        ? "anyres" : try fields.statedString("vision_aspect_ratio") ?? "anyres_max_9"
      description.set("image_aspect_ratio", .string(ratio))
      description.set("mm_patch_merge_type", "spatial_unpad")
      let key = "image_grid_pinpoints"
      guard let stated = fields.value[key], !stated.isNull else {
        return description.set(key, .array(defaultSizes))
      }
      // Of transformers' pairs the height is the first.
      let pairs = stated.arrayValue.map { $0.map { $0.arrayValue ?? [] } } ?? []
      guard !pairs.isEmpty, pairs.allSatisfy({ $0.count == 2 }) else {
        throw fields.refusal(
          key, found: stated.serialized(), expected: "pairs of a height and a width")
      }
      description.set(key, .array(pairs.map { .array([$0[1], $0[0]]) }))
    }

    /// What its class takes for `image_grid_pinpoints`, the width first.
    private var defaultSizes: [JSONValue] {
      let sizes =
        self == .next
        ? [(672, 336), (336, 672), (672, 672), (336, 1008), (1008, 336)]
        : (1...6).flatMap { rows in (1...6).map { (384 * $0, 384 * rows) } }
      return sizes.map { .array([.int($0.0), .int($0.1)]) }
    }
  }
}
