import VLMFoundation

/// One file of tensors, of any kind that is read here; its content tells which, not its name.
package enum CheckpointFile {
  package static func read(
    path: String, options: PyTorchFile.Options = .init()
  ) throws(CheckpointError) -> TensorCatalog {
    let file: MappedFile
    do throws(FileError) {
      file = try MappedFile(path: path)
    } catch {
      throw CheckpointError(error)
    }
    // Such a file has its full size from the start.
    if FileSystem.kind(path + ".aria2") != nil {
      throw CheckpointError(path: path, problem: .unfinished(path + ".aria2"))
    }
    if GGUFFile.matches(file) { return try GGUFFile(file).catalog }
    return PyTorchFile.matches(file)
      ? try PyTorchFile.read(file, options: options) : try SafetensorsFile.read(file)
  }
}
