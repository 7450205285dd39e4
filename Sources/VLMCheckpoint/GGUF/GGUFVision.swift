import VLMFoundation

/// The vision file of a LLaVA in llama.cpp's layout, an "mmproj": image encoder and projector in
/// one file, separate from the language model.
package struct GGUFVision: Sendable {
  package let path: String
  package let metadata: GGUFMetadata

  private static let ending = ".gguf"
  /// Part of the name of such files. It only selects candidates; the content decides.
  private static let mark = "mmproj"
  /// Maximum number of files examined in a folder.
  private static let maximumFiles = 64

  /// The language model and the vision file among the files `names` of `folder`, recognised by
  /// their metadata; nil if they are not one of each.
  ///
  /// - Parameter given: the vision file that the user names; those in the folder are then ignored.
  /// - Throws: `.gguf(.halves)` if the choice is ambiguous.
  static func halves(
    _ names: [String], folder: String, given: String?
  ) throws(CheckpointError) -> (language: String, vision: String)? {
    // One part represents a split model.
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

  /// The vision file in the folder of the language model at `path`, found by name and content.
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

  /// The file's metadata; nil if it is not a GGUF file.
  private static func metadata(of path: String) throws(CheckpointError) -> GGUFMetadata? {
    let file = try MappedFile.ofCheckpoint(path: path)
    return GGUFFile.matches(file) ? try GGUFPart(file).metadata : nil
  }
}

extension GGUFMetadata {
  /// Whether the file holds an image encoder and no language model.
  package var isVision: Bool { self["general.architecture"]?.stringValue == "clip" }

  /// The metadata as one JSON object; long arrays are shortened, but for the sizes of tiles and for
  /// which layers slide.
  package var description: JSONValue {
    var object = JSONObject()
    for (key, value) in entries {
      var json = value.json
      if key == Self.tileSizes || key.hasSuffix(Self.slidingLayers), case .array(let array) = value,
        array.count <= Self.mostNumbers,
        let whole = value.wholeJSON
      {
        json = whole
      }
      object.set(key, json)
    }
    return .object(object)
  }

  private static let tileSizes = "clip.vision.image_grid_pinpoints"
  private static let slidingLayers = ".attention.sliding_window_pattern"
  /// More than any model has: LLaVA-OneVision has 72.
  private static let mostNumbers = 2048
}

extension TensorCatalog {
  /// Appends the tensors of the vision file at `path` to this language model's.
  ///
  /// - Throws: if either file is of another kind, and if both have a tensor of one name.
  func joining(vision path: String) throws(CheckpointError) -> TensorCatalog {
    guard let gguf else {
      throw CheckpointError(path: self.path, problem: .gguf(.languageExpected(format.rawValue)))
    }
    // Opened alone, it is refused with a message that asks for the language model.
    if gguf.isVision { return self }
    let other = try Checkpoint.readFile(path: path)
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
