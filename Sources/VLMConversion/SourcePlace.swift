import VLMCheckpoint
import VLMContainer
import VLMFoundation

/// Where a checkpoint's tensors lie, and the folder with the files that describe them.
struct SourcePlace {
  /// The file or folder that the tensors come from, for errors.
  let weights: String
  let folder: String
  let adapter: Adapter
  /// What a person should know of what was chosen, one line each.
  private(set) var notes: [Note] = []

  /// - Throws: `ConversionError` for an adapter without its model; `CheckpointError` where a choice is
  ///   left.
  init(_ given: String) throws {
    let (path, choice) = try CheckpointPath.resolved(given)
    let isFolder = FileSystem.isFolder(path)
    folder = isFolder ? path : Self.folder(of: path)
    let openCLIP = folder + "/open_clip_model.safetensors"
    weights = isFolder && FileSystem.exists(openCLIP) ? openCLIP : path
    adapter = Adapter(folder: folder)
    if let choice { notes.append(choice) }
    guard isFolder, adapter.isPresent else { return }
    guard Checkpoint.hasModel(folder: folder) else { throw adapter.refusal(path: weights) }
    notes.append(
      "an adapter lies beside the model and is not merged into it: merge_and_unload of peft does")
  }

  /// The file, where it is converted already.
  func container() throws -> Container? {
    let kind = try? ModelFileKind.of(weights)
    return kind == .container ? try Container.open(path: weights) : nil
  }

  private static func folder(of path: String) -> String {
    let folder = path.splitAtLastSlash.folder
    return folder.isEmpty ? "." : folder == "/" ? folder : String(folder.dropLast())
  }
}
