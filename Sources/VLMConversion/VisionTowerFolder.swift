import VLMCheckpoint
import VLMFoundation
import VLMModels

#if canImport(Glibc)
  import Glibc
#endif

/// Where a LLaVA's vision tower lies: in the folder that its `config.json` names, or in one that the
/// user gives.
struct VisionTowerFolder {
  /// Which tower. LLaVA-HR has two: `tower` is its CLIP then, `slow` its ConvNeXt.
  enum Role {
    case tower
    case slow

    /// The member of `config.json` that names the folder.
    var key: String { self == .tower ? "mm_vision_tower" : "vision_tower_slow" }
    var setting: Setting { self == .tower ? .visionTower : .visionTowerSlow }
    /// What stands before the tensors' names in a whole LLaVA-HR.
    var multiResolutionPrefix: String {
      "model.vision_tower.\(self == .tower ? "fast" : "slow")_vision_tower.vision_tower."
    }
  }

  let role: Role
  /// The folder, nil when there is none here.
  let path: String?
  /// What `config.json` says.
  let stated: String?

  /// - Parameters:
  ///   - description: the LLaVA's `config.json`.
  ///   - role: which of its towers.
  ///   - folder: where that lies.
  ///   - given: the folder that the user names, which must be there.
  /// - Throws: `ConversionError` when `given` is no folder, `CheckpointError` for a download cache
  ///   that leaves a choice.
  init(
    _ description: JSONValue?, role: Role = .tower, besides folder: String, given: String?
  ) throws {
    self.role = role
    stated = description?[role.key]?.stringValue
    if let given {
      guard FileSystem.isFolder(given) else {
        throw ConversionError(
          path: given,
          .setting(
            role.setting, found: given,
            expected: "a folder with the tower's weights"
              + CheckpointPath.hint(toDownload: given)))
      }
      path = try CheckpointPath.resolved(given).path
      return
    }
    guard let stated, !stated.isEmpty else {
      path = nil
      return
    }
    // A path of the machine that trained the model leads nowhere here; what the trainer calls the
    // folder is the same everywhere. A relative path counts from the model, then, as upstream has
    // it, from the current folder.
    let candidates =
      stated.hasPrefix("/")
      ? [stated, folder + "/vision_tower"]
      : [folder + "/" + stated, folder + "/vision_tower", stated]
    path = try candidates.first(where: FileSystem.isFolder).map {
      try CheckpointPath.resolved($0).path
    }
  }

  /// The file `name` in the folder, when it is there.
  func file(_ name: String) -> String? {
    guard let path else { return nil }
    let file = path + "/" + name
    return FileSystem.exists(file) ? file : nil
  }

  /// `catalog` with the tower's tensors, when they lie here and not in it.
  ///
  /// - Throws: `ConversionError` when they lie nowhere.
  func merge(into catalog: TensorCatalog) throws -> TensorCatalog {
    guard stated != nil || path != nil else { return catalog }
    let names = catalog.tensors.lazy.map(\.name)
    guard !names.contains(where: { LLaVANaming.isTower($0) }) else { return catalog }
    guard let path else {
      // What `extract` made of a container has the tower's tensors by these names.
      if names.contains(where: { $0.hasPrefix(CheckpointFacts.towerPrefix) }) { return catalog }
      throw ConversionError(path: catalog.path, .visionTower(stated: stated ?? ""))
    }
    if let name = names.first(where: { $0.hasPrefix(CheckpointFacts.towerPrefix) }) {
      throw ConversionError(path: catalog.path, .unexpected([name]))
    }
    let tower = try Checkpoint.read(path: path).unwrapped()
    return catalog.merging(tower, prefix: CheckpointFacts.towerPrefix)
  }

  /// `catalog` with this one of LLaVA-HR's two towers, under the names that a whole model has, when
  /// it is not there: training's first stage stores neither.
  ///
  /// - Throws: `ConversionError` when it lies nowhere.
  func mergeMultiResolution(into catalog: TensorCatalog) throws -> TensorCatalog {
    let prefix = role.multiResolutionPrefix
    guard !catalog.tensors.contains(where: { $0.name.hasPrefix(prefix) }) else { return catalog }
    guard let path else {
      throw ConversionError(
        path: catalog.path,
        role == .tower ? .visionTower(stated: stated ?? "") : .slowTower(stated: stated ?? ""))
    }
    let tower = try Checkpoint.read(path: path).unwrapped()
    // A whole CLIP has a text tower too.
    return catalog.merging(tower, prefix: prefix) {
      role == .slow || $0.hasPrefix("vision_model.")
    }
  }
}
