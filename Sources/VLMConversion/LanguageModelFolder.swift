import VLMCheckpoint
import VLMFoundation
import VLMModels

/// Where the language model of a LLaVA lies whose checkpoint is a projector alone, `mm_projector.bin`:
/// what training's first stage leaves.
struct LanguageModelFolder {
  /// The folder that the user names.
  let path: String?
  /// What `config.json` says that the model was made from.
  private let stated: String?

  /// - Parameters:
  ///   - description: the LLaVA's `config.json`.
  ///   - given: the folder that the user names, which must be there.
  init(_ description: JSONValue?, given: String?) throws {
    if let given, !FileSystem.isFolder(given) {
      throw ConversionError(
        path: given,
        .setting(
          .modelBase, found: given,
          expected: "a folder with the language model" + CheckpointPath.hint(toDownload: given)))
    }
    path = try given.map { try CheckpointPath.resolved($0).path }
    stated = description?["_name_or_path"]?.stringValue
  }

  /// `catalog` with the language model's tensors, when it is a projector alone.
  ///
  /// - Throws: `ConversionError` when it needs them and has no folder, or has both.
  func merge(into catalog: TensorCatalog) throws -> TensorCatalog {
    let names = catalog.tensors.lazy.map(\.name)
    guard LLaVANaming.detect(names), !names.contains(where: Self.isLanguage) else {
      guard let path else { return catalog }
      throw ConversionError(
        path: catalog.path,
        .setting(
          .modelBase, found: path,
          expected: "no such option: the checkpoint is more than a projector"))
    }
    guard let path else {
      throw ConversionError(path: catalog.path, .languageModel(stated: stated))
    }
    let base = try Checkpoint.read(path: path).unwrapped()
    guard base.gguf == nil else {
      throw ConversionError(
        path: path,
        .setting(.modelBase, found: path, expected: "weights in safetensors or PyTorch files"))
    }
    return catalog.merging(base, prefix: "", where: Self.isLanguage)
  }

  private static func isLanguage(_ name: String) -> Bool {
    if case .language = LLaVANaming.part(name) { return true }
    return false
  }
}
