import VLMFoundation
import VLMTensor

/// Geometry of a CLIP or a SigLIP: a tower for images and one for texts, which meet in one space.
package struct CLIPConfig: Sendable, Equatable {
  package var imageTower: any VisionTowerConfig
  package var textTower: TextTowerConfig
  /// Whether a logit has a bias, as where each text holds or does not by itself.
  package var hasBias = false

  /// What is made of logits: a SigLIP is trained on each pair of a picture and a text alone.
  package var scores: Scores { hasBias ? .sigmoid : .softmax }

  package init(image: any VisionTowerConfig, text: TextTowerConfig) {
    imageTower = image
    textTower = text
  }

  package static func == (a: CLIPConfig, b: CLIPConfig) -> Bool {
    a.imageTower.isEqual(to: b.imageTower) && a.textTower == b.textTower
      && a.hasBias == b.hasBias
  }

  /// Refuses towers that do not meet in one space.
  package func validate() throws(ModelError) {
    try imageTower.validate("image")
    try textTower.validate()
    let joint = imageTower.vector.flatMap { $0.isJoint ? $0.width : nil }
    guard joint == textTower.embedding else {
      throw ModelError(
        .configuration(
          field: "text.embedding", found: "\(textTower.embedding)",
          expected: "\(joint ?? 0), the width of the image's embedding"))
    }
  }

  package var json: JSONValue {
    var object = JSONObject()
    object.set(Self.key(of: type(of: imageTower).family), imageTower.json)
    object.set("text", textTower.json)
    if hasBias { object.set("logit_bias", true) }
    return .object(object)
  }

  package init(json: JSONValue) throws(ModelError) {
    imageTower = try Self.image(json)
    textTower = try TextTowerConfig(json: json["text"] ?? .null)
    hasBias = try ConfigFields(json, path: "clip").bool("logit_bias", default: false)
    try validate()
  }

  /// Where a container has the image tower of a family. The first two had their keys before there was
  /// a rule.
  private static func key(of family: String) -> String {
    switch family {
    case ConvNeXtFamily.name: "image"
    case ViTFamily.name: "image_vit"
    // No language model sees with it, so it is no tower of the registry's.
    case PlainViTFamily.name: "image_plain_vit"
    default: "image_\(family)"
    }
  }

  /// A ConvNeXt where there is no other: its errors name what is missing.
  private static func image(_ json: JSONValue) throws(ModelError) -> any VisionTowerConfig {
    for family in Registry.towers where family.name != ConvNeXtFamily.name {
      let key = key(of: family.name)
      if let tower = json[key] { return try Registry.config(of: family, tower, path: key) }
    }
    let plain = key(of: PlainViTFamily.name)
    if let tower = json[plain] { return try PlainViTConfig(json: tower, path: plain) }
    return try ConvNeXtConfig(json: json["image"] ?? .null)
  }
}
