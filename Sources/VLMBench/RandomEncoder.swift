import VLMImages
import VLMModels
import VLMTensor
import VLMText

/// What makes visual tokens of a picture: a tower, and a LLaVA's projector where it has one.
package struct RandomEncoder: Sendable {
  package var tower: any VisionTowerConfig
  package var projector: ProjectorConfig?

  package static let names =
    [
      "llava_hr", "llava_hr_x", "llava-1.5-7b", "llava-1.5-13b", "llava-hr-7b", "llava-hr-x-13b",
      "convllava-7b",
    ] + smallNames

  package init(tower: any VisionTowerConfig, projector: ProjectorConfig? = nil) {
    self.tower = tower
    self.projector = projector
  }

  /// The published encoder of that name: a tower alone, or with its projector when the name is a
  /// whole model's. Nil for a name that is not among `names`.
  package init?(named name: String) throws {
    switch name {
    case "llava_hr": tower = try Self.multiResolution(slow: "convnext_large")
    case "llava_hr_x": tower = try Self.multiResolution(slow: "convnext_xxlarge")
    case "llava-hr-7b": tower = try Self.multiResolution(slow: "convnext_large")
    case "llava-hr-x-13b": tower = try Self.multiResolution(slow: "convnext_xxlarge")
    case "llava-1.5-7b", "llava-1.5-13b":
      // The layer before the last one is read, so the last one is not there.
      tower = Self.clipViT(layers: 23, feature: .patches, usesClassToken: true)
    case "convllava-7b": tower = try RandomModel.config(named: "convllava")
    case "fastvithd", "fastvlm-0.5b": tower = Self.fastViTHD
    case "smolvlm-256m": tower = Self.smolVLM
    default: return nil
    }
    if name == "fastvlm-0.5b" {
      projector = ProjectorConfig(layers: 2, inputs: tower.geometry.channels, outputs: 896)
    }
    guard name.contains("-"), !Self.smallNames.contains(name) else { return }
    let width = name.hasSuffix("13b") ? 5120 : 4096
    projector = ProjectorConfig(layers: 2, inputs: tower.geometry.channels, outputs: width)
  }

  /// CLIP ViT-L/14 for 336 pixels.
  package static func clipViT(
    layers: Int, feature: ViTConfig.Feature, usesClassToken: Bool
  ) -> ViTConfig {
    ViTConfig(
      imageSize: 336, patchSize: 14,
      encoder: TransformerConfig(
        width: 1024, layers: layers, heads: 16, hidden: 4096, activation: .quickGELU),
      feature: feature, usesClassToken: usesClassToken)
  }

  /// CLIP ViT-B/16 for 224 pixels.
  static let smallCLIP = ViTConfig(
    imageSize: 224, patchSize: 16,
    encoder: TransformerConfig(
      width: 768, layers: 12, heads: 12, hidden: 3072, activation: .quickGELU),
    feature: .pooled, usesClassToken: true)

  /// SigLIP SO400M/14 for 384 pixels.
  static func sigLIP(layers: Int, feature: SigLIPConfig.Feature) -> SigLIPConfig {
    SigLIPConfig(
      imageSize: 384, patchSize: 14,
      encoder: TransformerConfig(
        width: 1152, layers: layers, heads: 16, hidden: 4304, activation: .geluTanh,
        epsilon: 1e-6),
      feature: feature)
  }

  private static func multiResolution(slow: String) throws -> MultiResolutionConfig {
    MultiResolutionConfig(
      imageSize: 1024, fast: clipViT(layers: 24, feature: .patches, usesClassToken: false),
      slow: try RandomModel.config(named: slow, classes: nil), usesAdapters: true)
  }

  /// Every tensor of tower and projector.
  func manifest(kernels: KernelSet) throws(ModelError) -> [TensorSpec] {
    let recorder = ManifestRecorder()
    let weights = Weights(recorder, kernels: kernels)
    _ = try tower.tower(weights["tower"])
    if let projector { _ = try Projector(weights["projector"], projector) }
    return recorder.specs
  }

  /// Products and additions for one square picture, counted as `ConvNeXtConfig.operations` does.
  package func operations(side: Int) throws(ModelError) -> Double {
    let tokens = try tower.grid(height: side, width: side).count
    let inTower = try tower.operations(side: side)
    guard let projector else { return inTower }
    let (inputs, width) = (projector.inputs, projector.outputs)
    let perToken = inputs * width + (projector.layers - 1) * width * width
    return inTower + 2 * Double(tokens) * Double(perToken)
  }
}

extension VisionTowerConfig {
  /// Products and additions for one square picture; 0 for a tower of which nobody counted them.
  func operations(side: Int) throws(ModelError) -> Double {
    try (self as? any CountedTower)?.count(side: side) ?? 0
  }
}

/// A tower whose products and additions are counted.
private protocol CountedTower {
  func count(side: Int) throws(ModelError) -> Double
}

extension ConvNeXtConfig: CountedTower {
  fileprivate func count(side: Int) -> Double { operations(height: side, width: side) }
}

/// The same of a transformer, by its patches.
private protocol CountedTransformer: CountedTower, PatchTransformerConfig {
  func operations(patches: Int) -> Double
}

extension CountedTransformer {
  fileprivate func count(side: Int) -> Double {
    operations(patches: patches(height: side, width: side).count)
  }
}

extension ViTConfig: CountedTransformer {}
extension SigLIPConfig: CountedTransformer {}
extension PlainViTConfig: CountedTransformer {}
extension SmolVLMVisionConfig: CountedTransformer {}

extension MultiResolutionConfig: CountedTower {
  fileprivate func count(side: Int) throws(ModelError) -> Double {
    var config = self
    config.imageSize = side
    return config.operations(tokens: try config.tokenCount())
  }
}

extension FastViTConfig: CountedTower {
  fileprivate func count(side: Int) -> Double { operations(side: side) }
}

extension MobileNetConfig: CountedTower {
  fileprivate func count(side: Int) -> Double { operations(height: side, width: side) }
}

extension PatchTransformerConfig {
  /// Products and additions in matrices for one image of so many patches, those of attention too.
  ///
  /// - Parameters:
  ///   - others: tokens that are no patches.
  ///   - inner: matrices of an MLP.
  func operations(patches: Int, others: Int, inner: Int = 2) -> Double {
    let (width, tokens) = (encoder.width, Double(patches + others))
    let layer = tokens * Double(4 * width * width + inner * width * encoder.hidden)
    let pairs = 2 * tokens * tokens * Double(width)
    return 2 * (Double(patches * patchInputs * width) + Double(encoder.layers) * (layer + pairs))
  }
}

extension ViTConfig {
  package func operations(patches: Int) -> Double {
    operations(patches: patches, others: usesClassToken ? 1 : 0)
  }
}

extension SigLIPConfig {
  /// The pooling head's one query with them.
  package func operations(patches: Int) -> Double {
    let (width, tokens) = (encoder.width, Double(patches))
    let layers = operations(patches: patches, others: 0)
    guard feature == .attentionPooled else { return layers }
    let head = (2 * tokens + 2) * Double(width * width) + 2 * tokens * Double(width)
    return layers + 2 * (head + Double(2 * width * encoder.hidden))
  }
}

extension MultiResolutionConfig {
  /// Products and additions for one image of `imageSize`, of which the fast path makes `tokens`.
  fileprivate func operations(tokens: Int) -> Double {
    let channels = slow.featureChannels
    let slowTokens = Double((imageSize / slow.stride) * (imageSize / slow.stride))
    let (fastTokens, perFast) = (Double(tokens), Double(width * width + 49 * width))
    let adapter = slowTokens * Double(channels * (channels + width)) + fastTokens * perFast
    let gate = Double(width * width + width / 2)
    let adapters = usesAdapters ? Double(Self.adapterCount) * (adapter + gate) : 0
    let final = fastTokens * Double(width * (width + channels))
    return slow.operations(height: imageSize, width: imageSize)
      + fast.operations(patches: tokens) + 2 * (adapters + final)
  }
}
