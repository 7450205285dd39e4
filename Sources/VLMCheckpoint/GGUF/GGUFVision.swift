import VLMFoundation

/// The vision half of a LLaVA as llama.cpp stores it, an "mmproj": an image encoder and a projector
/// in a file of their own, beside that of the language model.
package struct GGUFVision: Sendable {
  package let path: String
  package let metadata: GGUFMetadata

  private static let ending = ".gguf"
  /// What such files are called. Their content decides; this only says which are worth a look.
  private static let mark = "mmproj"
  /// Files of a folder that are looked into.
  private static let maximumFiles = 64

  /// The two halves among the files `names` of `folder`, told by what they say of themselves; nil
  /// where these are no halves of one model.
  ///
  /// - Parameter given: the vision half that the user names: those of the folder do not count.
  /// - Throws: `.gguf(.halves)` where they leave a choice.
  static func halves(
    _ names: [String], folder: String, given: String?
  ) throws(CheckpointError) -> (language: String, vision: String)? {
    // One part of a split model stands for all.
    let first = names.filter { (GGUFSplit.Name($0)?.number ?? 1) == 1 }
    guard names.allSatisfy({ $0.hasSuffix(ending) }), first.count <= maximumFiles else {
      return nil
    }
    var (languages, visions): ([String], [String]) = ([], [])
    for name in first {
      guard let metadata = try metadata(of: folder + name) else { return nil }
      if metadata.isVision {
        visions.append(folder + name)
      } else {
        languages.append(folder + name)
      }
    }
    if let given { visions = [given] }
    if languages.count == 1, visions.count == 1 { return (languages[0], visions[0]) }
    guard let language = languages.first, let vision = visions.first else { return nil }
    throw CheckpointError(
      path: folder,
      problem: .gguf(
        .halves(languages.count, visions.count, language: language, vision: vision)))
  }

  /// A vision half in the folder of the language model at `path`, by its name and its content.
  package static func beside(_ path: String) -> String? {
    let folder = path.splitAtLastSlash.folder
    let names = CheckpointPath.names(folder.isEmpty ? "." : folder).filter { name in
      name.hasSuffix(ending) && name.lowercased().contains(mark)
    }
    return names.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }.prefix(maximumFiles)
      .map { folder + $0 }
      .first { file in
        guard let metadata = try? metadata(of: file) else { return false }
        return metadata.isVision
      }
  }

  /// What the file says of itself; nil when it is no GGUF file.
  private static func metadata(of path: String) throws(CheckpointError) -> GGUFMetadata? {
    let file: MappedFile
    do throws(FileError) { file = try MappedFile(path: path) } catch {
      throw CheckpointError(error)
    }
    return GGUFFile.matches(file) ? try GGUFPart(file).metadata : nil
  }
}

extension GGUFMetadata {
  /// Whether the file holds an image encoder, and nothing of a language model.
  package var isVision: Bool { self["general.architecture"]?.stringValue == "clip" }

  /// All of it as one object, of long arrays the beginning only.
  package var description: JSONValue {
    var object = JSONObject()
    for (key, value) in entries { object.set(key, value.json) }
    return .object(object)
  }
}

extension TensorCatalog {
  /// This language model with the tensors of its vision half at `path` after its own.
  ///
  /// - Throws: where this or that is no such half, and for a name that both have.
  func joining(vision path: String) throws(CheckpointError) -> TensorCatalog {
    guard let gguf else {
      throw CheckpointError(path: self.path, problem: .gguf(.languageExpected(format.rawValue)))
    }
    // It needs the other half, and says so.
    if gguf.isVision { return self }
    let other = try CheckpointFile.read(path: path)
    guard let metadata = other.gguf, metadata.isVision else {
      let architecture = other.gguf?["general.architecture"]?.stringValue
      throw CheckpointError(
        path: path,
        problem: .gguf(
          .visionExpected(found: architecture.map { "'\($0)'" } ?? other.format.rawValue)))
    }
    if let tensor = other.tensors.first(where: { self[$0.name] != nil }) {
      throw CheckpointError(
        path: path, place: tensor.name, problem: .inTwoShards(self.path, other.path))
    }
    return merging(other, prefix: "").with(GGUFVision(path: path, metadata: metadata))
  }
}
