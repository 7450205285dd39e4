import VLMFoundation
import VLMTensor

/// Geometry of CLIP's vision transformer.
///
/// Radford et al., "Learning Transferable Visual Models From Natural Language Supervision"; names
/// and options follow transformers' `CLIPVisionModel`.
package struct ViTConfig: Sendable, Equatable {
  /// What is made of the last layer's tokens.
  package enum Feature: String, Sendable, Equatable, CaseIterable {
    /// A norm over the class token: one vector for the image.
    case pooled
    /// The tokens of the patches, as LLaVA takes them.
    case patches
    /// All tokens, that of the class first.
    case tokens
    /// The mean of the patches' tokens, which no norm has seen: what transformers'
    /// `CLIPForImageClassification` classifies.
    case patchMean = "patch_mean"

    /// Whether it is one vector for the image.
    var isVector: Bool { self == .pooled || self == .patchMean }
  }

  /// Side of the square image that the position table is for.
  package var imageSize: Int
  package var patchSize: Int
  package var encoder: TransformerConfig
  package var feature: Feature
  package var featureLayers = FeatureLayers.last
  /// Whether a class token goes through the layers. LLaVA-HR drops it before the first.
  package var usesClassToken: Bool
  /// Whether the class token's vector is in the file of a tower that does not use it, to be shown.
  package var showsClassToken = false
  package var layout = CLIPLayout.huggingFace
  /// Width of the joint embedding that the pooled feature is projected to.
  package var projection: Int?
  /// From the vector, projected where it is, to a logit per class; empty for none.
  package var classifier: [HeadLayer] = []

  package init(
    imageSize: Int, patchSize: Int, encoder: TransformerConfig, feature: Feature,
    usesClassToken: Bool = true
  ) {
    self.imageSize = imageSize
    self.patchSize = patchSize
    self.encoder = encoder
    self.feature = feature
    self.usesClassToken = usesClassToken
  }

  /// Rows of the position table: the class token's, then row by row the patches'.
  package var tableRows: Int { 1 + tableSide * tableSide }
  /// Classes that the classifier tells apart; nil for none.
  package var classCount: Int? {
    classifier.isEmpty ? nil : classifier.outputs(inputs: projection ?? encoder.width)
  }

  package func validate(_ place: String = ViTFamily.name) throws(ModelError) {
    try validateSizes(place)
    if let projection {
      try ModelError.check("\(place).projection", projection, 1...TensorFormat.maximumInputs)
      guard feature == .pooled else {
        throw ModelError(
          .configuration(
            field: "\(place).feature", found: "'\(feature.rawValue)'",
            expected: "'pooled', as there is a projection"))
      }
    }
    try classifier.validate("\(place).classifier")
    guard classifier.isEmpty || feature.isVector else {
      throw ModelError(
        .configuration(
          field: "\(place).feature", found: "'\(feature.rawValue)'",
          expected: "'pooled' or 'patch_mean', as there is a classifier"))
    }
    guard featureLayers == .last || !feature.isVector else {
      throw ModelError(
        .configuration(
          field: "\(place).feature", found: "'\(feature.rawValue)'",
          expected: "'patches' or 'tokens', as there are feature_layers"))
    }
    if feature != .patches, !usesClassToken {
      throw ModelError(
        .configuration(
          field: "\(place).feature", found: "'\(feature.rawValue)'",
          expected: "'patches', as there is no class token"))
    }
  }

  package var json: JSONValue {
    var object = sizesJSON
    object.set("feature", .string(feature.rawValue))
    object.set("class_token", .bool(usesClassToken))
    // Files from before there were these have none of them.
    if showsClassToken { object.set("class_token_shown", true) }
    if layout != .huggingFace { object.set("layout", .string(layout.rawValue)) }
    if let projection { object.set("projection", .int(projection)) }
    if !classifier.isEmpty { object.set("classifier", ["layers": classifier.json]) }
    return .object(object)
  }

  /// Reads what `json` wrote; every field is checked, and `feature_layers` and those from
  /// `class_token_shown` on may be missing.
  package init(json: JSONValue, path: String) throws(ModelError) {
    let fields = ConfigFields(json, path: path)
    (imageSize, patchSize, encoder) = try fields.patchSizes()
    let name = try fields.string("feature")
    guard let feature = Feature(rawValue: name) else {
      throw fields.unexpected(
        "feature", name, expected: Feature.allCases.map(\.rawValue).joined(separator: ", "))
    }
    self.feature = feature
    featureLayers = try fields.featureLayers()
    usesClassToken = try fields.bool("class_token")
    showsClassToken = try fields.bool("class_token_shown", default: false)
    layout = try fields.layout(default: .huggingFace)
    if fields.has("projection") { projection = try fields.int("projection") }
    if fields.has("classifier") { classifier = try [HeadLayer](try fields.object("classifier")) }
    try validate(path)
  }
}
