import VLMFoundation
import VLMModels

/// What a caller says of a model beyond where it is: parts that lie elsewhere, and what its files leave
/// open.
package struct GivenParts: Sendable {
  /// The folder of a LLaVA's vision tower, instead of the one it names.
  package let visionTower: String?
  /// The folder of LLaVA-HR's ConvNeXt, likewise.
  package let visionTowerSlow: String?
  /// The folder of the language model, for a checkpoint that is a projector alone.
  package let modelBase: String?
  /// The vision half of a LLaVA whose language half is the checkpoint, both GGUF.
  package let mmproj: String?
  /// What lies between the layers of a head, where the file leaves it open.
  package let headActivation: HeadActivationOption?

  package init(
    visionTower: String? = nil, visionTowerSlow: String? = nil, modelBase: String? = nil,
    mmproj: String? = nil, headActivation: HeadActivationOption? = nil
  ) {
    self.visionTower = visionTower
    self.visionTowerSlow = visionTowerSlow
    self.modelBase = modelBase
    self.mmproj = mmproj
    self.headActivation = headActivation
  }

  /// Refuses every part for a file that has its own.
  func refuse(path: String) throws(ConversionError) {
    let given: [(Setting, String?)] = [
      (.visionTower, visionTower), (.visionTowerSlow, visionTowerSlow), (.modelBase, modelBase),
      (.visionHalf, mmproj), (.headActivation, headActivation?.name),
    ]
    for case (let setting, let value?) in given {
      throw ConversionError(
        path: path,
        .setting(
          setting, found: value,
          expected: "no such option: the file holds every part and says what it is"))
    }
  }

  /// Refuses a tower for a model that has no place for one.
  func refuseTowers(path: String) throws(ConversionError) {
    guard let given = visionTower ?? visionTowerSlow else { return }
    throw ConversionError(
      path: path,
      .setting(
        visionTower == nil ? .visionTowerSlow : .visionTower, found: given,
        expected: "no such option: the model is no LLaVA that has its tower elsewhere"))
  }
}
