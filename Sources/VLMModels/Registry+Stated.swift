import VLMFoundation
import VLMTensor

// What transformers' `config.json` says that a model is, before anything is read from its tensors.

extension Registry {
  /// The supported classes as messages list them.
  ///
  /// - Parameter found: a class or a type that is none of them. Patterns that it would fit are spelled
  ///   out: "Qwen2…" is no help to who has a Qwen2_5_VLForConditionalGeneration.
  package static func statedPatterns(besides found: String) -> String {
    let patterns = families.flatMap { family in
      family.stated.patterns.flatMap { pattern in
        let start = pattern.hasSuffix("…") ? String(pattern.dropLast()) : pattern
        let own = family.stated.classes.filter { $0.hasPrefix(start) }.sorted()
        return found.lowercased().hasPrefix(start.lowercased()) && !own.isEmpty ? own : [pattern]
      }
    }
    return patterns.dropLast().joined(separator: ", ") + " and " + (patterns.last ?? "")
  }

  /// The stated class, or else the stated type, if it is not supported; nil if it is, or none is
  /// stated.
  package static func unknownClass(in description: JSONValue?) -> String? {
    let names = (description?["architectures"]?.arrayValue ?? []).compactMap(\.stringValue)
    if let first = names.first {
      let isRun = names.contains { name in
        families.contains { $0.stated.classes.contains(name) }
      }
      return isRun ? nil : first
    }
    guard let type = description?["model_type"]?.stringValue else { return nil }
    return families.contains { $0.stated.types.contains(type) } ? nil : type
  }

  /// The `model_type`s of towers that a language model sees with, each once.
  static var towerTypes: [String] {
    towers.flatMap { $0.stated.towerTypes.sorted() }.reduce(into: []) { types, type in
      if !types.contains(type) { types.append(type) }
    }
  }

  /// Words in the names of classes that contain a known model but have another output than an
  /// embedding, classes or text.
  private static let otherTasks = [
    "Segmentation", "Detection", "DepthEstimation", "Matting", "ImageModeling", "SuperResolution",
    "KeypointMatching", "PoseEstimation", "ImageTextRetrieval",
  ]
  /// The same by `model_type`, of files that name no class.
  private static let otherTaskTypes: Set<String> = [
    "upernet", "maskformer", "mask2former", "oneformer", "clipseg", "vitmatte", "dpt", "detr",
    "conditional_detr", "deformable_detr", "deta", "rt_detr", "grounding-dino", "omdet-turbo",
  ]

  /// Refuses models for another task that contain a known model.
  ///
  /// - Throws: `ModelError` naming the class, or else the type, that `config.json` states.
  static func refuseOtherTasks(_ description: JSONValue?) throws(ModelError) {
    let classes = description?["architectures"]?.arrayValue?.compactMap(\.stringValue) ?? []
    let expected =
      "a model that classifies or embeds images, or talks about them; segmentation, detection and "
      + "their kin are not supported"
    for name in classes
    where otherTasks.contains(where: { name.contains("For") && name.contains($0) }) {
      throw ModelError(
        .configuration(field: "architectures", found: "'\(name)'", expected: expected))
    }
    if let type = description?["model_type"]?.stringValue, otherTaskTypes.contains(type) {
      let name = classes.first ?? type
      throw ModelError(
        .configuration(
          field: classes.isEmpty ? "model_type" : "architectures", found: "'\(name)'",
          expected: expected))
    }
  }
}

extension StatedClasses {
  /// Refuses what is no description, and classes and types that are no names.
  ///
  /// - Parameter place: what the description is called in messages.
  static func check(
    _ description: JSONValue?, _ place: String = "config.json"
  ) throws(ModelError) {
    let fields = try ConfigFields(stated: description, path: place)
    _ = try fields.statedStrings("architectures")
    _ = try fields.statedString("model_type")
  }
}
