import VLMFoundation
import VLMImages
import VLMModels
import VLMTensor

/// An intermediate of a model, as PyTorch orders it.
public struct Feature: Sendable, Equatable {
  /// What `vlm-run --dump` calls it, such as "stage2", "hidden.11", "projector".
  public let name: String
  /// Extents, outermost first: maps `[1, channels, height, width]`, tokens `[1, tokens, channels]`,
  /// vectors `[1, channels]`.
  public let shape: [Int]
  /// f32, the last extent running fastest.
  public let values: [Float]
}

extension Session {
  /// What a model makes of a picture on the way to its answer.
  ///
  /// - Parameters:
  ///   - image: any picture; how it is prepared is the model's own.
  ///   - names: of the features that are wanted; none for all, which takes much memory.
  /// - Returns: the features in the order in which they come to be; the last of a model that embeds
  ///   pictures is "embedding", of one that answers questions "projector" or "visual_tokens".
  /// - Throws: `VLMZError`: `.notCapable` for a model that sees no pictures, `.invalidArgument` for a
  ///   name that it does not have; else as `classify(_:top:)`.
  public func features(
    of image: Image, named names: [String] = []
  ) throws(VLMZError) -> [Feature] {
    try gate.enter { flag in
      var seen: [String] = []
      var features: [Feature] = []
      let renamed = featureNames
      func add(_ name: String, _ make: () -> (shape: [Int], values: [Float])) {
        let name = renamed[name] ?? name
        seen.append(name)
        guard names.isEmpty || names.contains(name) else { return }
        let (shape, values) = make()
        features.append(Feature(name: name, shape: shape, values: values))
      }
      let observe: TowerObserver = { value in add(value.name) { value.planar } }
      if model.capabilities.contains(.seesPictures) {
        _ = try model.encode(image, EncodingOptions(), pool: pool, flag, observe: observe)
      } else {
        guard let vision = model.vision else {
          throw VLMZError(
            .notCapable,
            "\(model.path.escapedForDisplay()): found '\(model.architecture)', expected a model that "
              + "sees pictures")
        }
        let pixels = [try pixels(of: image, vision)]
        try flag.check()
        let vector = try ModelError.inFile(image.name) {
          try runEach(pixels, cancelled: flag, observe: observe)[0].get()
        }
        try flag.check()
        add("embedding") { ([1, vector.embedding.count], vector.embedding) }
      }
      if let missing = names.first(where: { !seen.contains($0) }) {
        throw VLMZError(
          .invalidArgument,
          "feature: found '\(missing.escapedForDisplay(limit: 60))', expected one of "
            + seen.joined(separator: ", "))
      }
      return features
    }
  }

  /// Names of features that differ from those of the towers, by those: what open_clip calls the parts
  /// of its image tower. A classifier's outputs are always called logits.
  package var featureNames: [String: String] {
    guard model.vision?.isJoint ?? false else { return [:] }
    let isClassifier = description.classCount != nil
    return Self.openCLIPNames.filter { !isClassifier || $0.key != "logits" }
  }

  private static let openCLIPNames = [
    "features": "trunk_features", "head_norm": "trunk_out", "logits": "image_embedding_raw",
    "embedding": "image_embedding",
  ]
}
