import VLMFoundation
import VLMTensor

/// Geometry of SigLIP's vision transformer; names and options follow transformers'
/// `SiglipVisionModel` and `Siglip2VisionModel`.
package struct SigLIPConfig: Sendable, Equatable {
  /// What is made of the last layer's tokens.
  package enum Feature: String, Sendable, Equatable, CaseIterable {
    /// A norm, and one vector for the picture by the attention pooling head.
    case attentionPooled = "attention_pooled"
    /// A norm, and the mean of the tokens.
    case patchMean = "patch_mean"
    /// The tokens, which no norm has seen: what a language model reads.
    case patches

    /// Whether it is one vector for the picture.
    var isVector: Bool { self != .patches }
  }

  /// How the file keeps the projections of attention, which is how they run.
  package enum Layout: String, Sendable, Equatable, CaseIterable {
    /// transformers': queries, keys and values apart in the layers, one matrix in the head.
    case huggingFace = "hugging-face"
    /// timm's: one matrix in the layers, keys and values in one in the head.
    case timm

    var layers: TransformerLayer.Projections { self == .timm ? .fused : .separate }
  }

  /// Side of the square picture that the position table is for, or the height of one that is none.
  package var imageSize: Int
  /// The width of such a picture, which timm's may have; nil for a square.
  package var imageWidth: Int?
  package var patchSize: Int
  /// The layers; the pooling head has as many heads, and an inner layer as wide as theirs.
  package var encoder: TransformerConfig
  package var feature: Feature
  package var featureLayers = FeatureLayers.last
  package var layout = Layout.huggingFace
  /// Whether patches come flattened, rows of them in pictures of any proportions, as in SigLIP 2's
  /// NaFlex models: the embedding is a linear layer, whose inputs are a patch's rows, columns and
  /// channels, the last running fastest.
  package var isFlattened = false
  /// Whether the vector has length 1, in a space that pictures share with texts.
  package var isJoint = false
  /// What becomes of the positions where a picture has another size.
  package var resampling = PositionTable.Resampling.bicubic
  /// From the vector to a logit per class; empty for none.
  package var classifier: [HeadLayer] = []

  package init(imageSize: Int, patchSize: Int, encoder: TransformerConfig, feature: Feature) {
    self.imageSize = imageSize
    self.patchSize = patchSize
    self.encoder = encoder
    self.feature = feature
  }

  /// Classes that the classifier tells apart; nil for none.
  package var classCount: Int? {
    classifier.isEmpty ? nil : classifier.outputs(inputs: encoder.width)
  }

  /// Refuses what no SigLIP has, so that later arithmetic on the numbers cannot overflow.
  package func validate(_ place: String = SigLIPFamily.name) throws(ModelError) {
    try validateSizes(place)
    try classifier.validate("\(place).classifier")
    guard classifier.isEmpty || feature.isVector else {
      throw ModelError(
        .configuration(
          field: "\(place).feature", found: "'\(feature.rawValue)'",
          expected: "'attention_pooled' or 'patch_mean', as there is a classifier"))
    }
    guard featureLayers == .last || !feature.isVector else {
      throw ModelError(
        .configuration(
          field: "\(place).feature", found: "'\(feature.rawValue)'",
          expected: "'patches', as there are feature_layers"))
    }
    guard !isJoint || feature.isVector && classifier.isEmpty else {
      throw ModelError(
        .configuration(
          field: "\(place).joint", found: "true",
          expected: "false for a tower without a vector, or with a classifier"))
    }
  }

  package var json: JSONValue {
    var object = sizesJSON
    object.set("feature", .string(feature.rawValue))
    object.set("layout", .string(layout.rawValue))
    object.set("position_resampling", .string(resampling.rawValue))
    // Files from before there were these have none of them.
    if isFlattened { object.set("flattened_patches", true) }
    if isJoint { object.set("joint", true) }
    if !classifier.isEmpty { object.set("classifier", ["layers": classifier.json]) }
    return .object(object)
  }

  /// Reads what `json` wrote; every field is checked, and only `image_width`, `feature_layers`,
  /// `flattened_patches`, `joint` and `classifier` may be missing.
  package init(json: JSONValue, path: String) throws(ModelError) {
    let fields = ConfigFields(json, path: path)
    (imageSize, patchSize, encoder) = try fields.patchSizes()
    imageWidth = try fields.imageWidth()
    feature = try fields.choice("feature")
    featureLayers = try fields.featureLayers()
    layout = try fields.choice("layout")
    resampling = try fields.choice("position_resampling")
    isFlattened = try fields.bool("flattened_patches", default: false)
    isJoint = try fields.bool("joint", default: false)
    if json["classifier"] != nil {
      classifier = try [HeadLayer](try fields.object("classifier"))
      guard !classifier.isEmpty else {
        throw ModelError(
          .configuration(
            field: "\(path).classifier.layers", found: "none", expected: "at least one layer"))
      }
    }
    try validate(path)
  }
}
