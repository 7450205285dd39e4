import VLMCheckpoint
import VLMContainer
import VLMInput
import VLMModels
import VLMNN
import VLMTensor

#if canImport(Glibc)
  import Glibc
#endif

/// A checkpoint on disk, recognised: its tensors, its geometry, and the files that describe it.
package struct SourceModel: Sendable {
  package let catalog: TensorCatalog
  package let checkpoint: ModelCheckpoint
  /// What to do to an image; nil for a model that sees none.
  package let preprocessing: Preprocessing?
  /// One name per class, where the checkpoint has them.
  package let labels: [String]?
  /// Contents of further sections, as they will be stored.
  package let sections: [SectionKind: [UInt8]]
  /// Every file that was read.
  package let files: [String]
  /// What a person should know, one line each.
  package let notes: [String]

  package var description: ModelDescription { checkpoint.description }

  /// Opens a file of tensors, a sharded checkpoint, or a folder with either, and the descriptions
  /// beside it.
  ///
  /// - Parameters:
  ///   - path: a checkpoint file, or a folder as timm and Hugging Face save it.
  ///   - preprocessor: a file to read the preprocessing from, instead of those beside the weights.
  ///   - options: which part of a PyTorch checkpoint is the model.
  package static func open(
    path: String, preprocessor: String? = nil, options: PyTorchFile.Options = .init()
  ) throws -> SourceModel {
    var status = stat()
    let isFolder = stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
    let folder = isFolder ? path : Self.folder(of: path)
    let openCLIP = folder + "/open_clip_model.safetensors"
    let weights = isFolder && access(openCLIP, F_OK) == 0 ? openCLIP : path
    let catalog = try SafetensorsIndex.readCheckpoint(path: weights, options: options)
    guard !catalog.tensors.isEmpty else {
      throw ConversionError(path: weights, .nothingToConvert)
    }
    var files = catalog.sources.map(\.path)
    func json(_ name: String) throws -> JSONValue? {
      let file = folder + "/" + name
      guard access(file, F_OK) == 0 else { return nil }
      files.append(file)
      return try readJSON(file)
    }
    let description = try json("config.json") ?? json("open_clip_config.json")
    let names = catalog.tensors.map { (name: $0.name, shape: $0.shape) }
    let facts = CheckpointFacts(names: names, description: description)
    guard let checkpoint = try ModelCheckpoint.recognise(facts) else {
      throw ConversionError(
        path: weights,
        .unknownModel(tensorCount: names.count, examples: names.prefix(3).map(\.name)))
    }
    var notes = catalog.warnings + checkpoint.notes
    var preprocessing: Preprocessing?
    if let preprocessor {
      files.append(preprocessor)
      preprocessing = try Preprocessing(
        checkpointConfig: readJSON(preprocessor), name: preprocessor)
    } else if let processor = try json("preprocessor_config.json") {
      preprocessing = try Self.preprocessing(processor, path: folder + "/preprocessor_config.json")
    } else if let description {
      preprocessing = try Self.preprocessing(description, path: folder + "/config.json")
    }
    if preprocessing == nil {
      notes.append("no preprocessing beside the weights: assuming timm's defaults for ImageNet")
    }
    var labels = description.flatMap(Self.labels)
    let classCount = checkpoint.description.classCount
    if let found = labels, found.count != classCount {
      notes.append("\(found.count) labels for \(classCount ?? 0) outputs: left out")
      labels = nil
    }
    return SourceModel(
      catalog: catalog, checkpoint: checkpoint,
      preprocessing: preprocessing ?? .timmDefault, labels: labels, sections: [:], files: files,
      notes: notes)
  }

  private static func folder(of path: String) -> String {
    guard let slash = path.lastIndex(of: "/") else { return "." }
    return slash == path.startIndex ? "/" : String(path[..<slash])
  }

  /// Descriptions are small; anything larger is no description.
  private static let maximumDescriptionBytes = 64 << 20

  private static func readJSON(_ path: String) throws(ConversionError) -> JSONValue {
    let file: MappedFile
    do throws(FileError) { file = try MappedFile(path: path) } catch {
      throw ConversionError(path: path, .file(error))
    }
    do {
      return try file.withBytes(0..<file.count) { bytes in
        try JSONValue.parse(
          bytes, limits: JSONLimits(maximumBytes: Self.maximumDescriptionBytes))
      }
    } catch let error as JSONError {
      throw ConversionError(path: path, .json(offset: error.offset, text: error.description))
    } catch {
      throw ConversionError(path: path, .json(offset: 0, text: "\(error)"))
    }
  }

  /// The preprocessing that a description states, nil when it states none.
  private static func preprocessing(
    _ json: JSONValue, path: String
  ) throws(PreprocessingError) -> Preprocessing? {
    do {
      return try Preprocessing(checkpointConfig: json, name: path)
    } catch {
      if case .unknownKind = error.problem { return nil }
      throw error
    }
  }

  /// Class names as timm (`label_names`) or Hugging Face (`id2label`) store them.
  private static func labels(_ json: JSONValue) -> [String]? {
    if let names = json["label_names"]?.arrayValue
      ?? json["pretrained_cfg"]?["label_names"]?
      .arrayValue
    {
      let labels = names.compactMap(\.stringValue)
      return labels.count == names.count ? labels : nil
    }
    guard let map = json["id2label"]?.objectValue else { return nil }
    var labels = [String?](repeating: nil, count: map.count)
    for member in map.members {
      guard let index = Int(member.key), labels.indices.contains(index) else { return nil }
      labels[index] = member.value.stringValue
    }
    let known = labels.compactMap { $0 }
    return known.count == labels.count ? known : nil
  }
}
