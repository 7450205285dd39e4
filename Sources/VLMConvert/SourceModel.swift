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
  ///   - visionTower: the folder of a LLaVA's vision tower, instead of the one it names.
  ///   - visionTowerSlow: the folder of LLaVA-HR's ConvNeXt, likewise.
  ///   - modelBase: the folder of the language model, for a checkpoint that is a projector alone.
  ///   - options: which part of a PyTorch checkpoint is the model.
  package static func open(
    path: String, preprocessor: String? = nil, visionTower: String? = nil,
    visionTowerSlow: String? = nil, modelBase: String? = nil,
    options: PyTorchFile.Options = .init()
  ) throws -> SourceModel {
    var status = stat()
    let isFolder = stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
    let folder = isFolder ? path : Self.folder(of: path)
    let openCLIP = folder + "/open_clip_model.safetensors"
    let weights = isFolder && access(openCLIP, F_OK) == 0 ? openCLIP : path
    var catalog = try SafetensorsIndex.readCheckpoint(path: weights, options: options)
    guard !catalog.tensors.isEmpty else {
      throw ConversionError(path: weights, .nothingToConvert)
    }
    var descriptions = SourceDescriptions(folder: folder)
    // A GGUF file describes itself; what lies beside it is another model's.
    let described = try catalog.ggufDescription(frequencies: LLaMAConfig.ggufFrequencies)
    // Folders with the weights in two forms describe each of them.
    let isOpenCLIP = catalog.tensors.contains { $0.name.hasPrefix("visual.") }
    let names = ["config.json", "open_clip_config.json"]
    var description = described
    for name in isOpenCLIP ? names.reversed() : names where description == nil {
      description = try descriptions.read(name)
    }
    let tower = try VisionTowerFolder(description, besides: folder, given: visionTower)
    let base = try LanguageModelFolder(description, given: modelBase)
    catalog = try base.merge(into: catalog)
    if description?["is_multipath_encoder"]?.boolValue == true {
      let slow = try VisionTowerFolder(
        description, role: .slow, besides: folder, given: visionTowerSlow)
      catalog = try slow.mergeMultiResolution(into: tower.mergeMultiResolution(into: catalog))
    }
    catalog = try tower.merge(into: catalog)
    var files = catalog.sources.map(\.path)
    var towerDescription = try descriptions.read(file: tower.file("config.json"))
    let tensors = catalog.tensors.map { (name: $0.name, shape: $0.shape) }
    let facts = CheckpointFacts(
      names: tensors, description: description, towerDescription: towerDescription)
    guard let checkpoint = try ModelCheckpoint.recognise(facts) else {
      throw ConversionError(
        path: weights,
        .unknownModel(tensorCount: tensors.count, examples: tensors.prefix(3).map(\.name)))
    }
    if let llava = try TransformersLLaVA(facts)?.facts {
      (description, towerDescription) = (llava.description, llava.towerDescription)
    }
    var notes = catalog.warnings + checkpoint.notes
    let preprocessing: Preprocessing?
    if case .llava(let config) = checkpoint.description {
      preprocessing = try descriptions.llavaPreprocessing(
        config, description, tower, towerDescription, given: preprocessor, notes: &notes)
    } else if case .llama = checkpoint.description {
      preprocessing = nil
    } else if let color = ColorMode(channels: checkpoint.description.inputChannels) {
      preprocessing = try descriptions.preprocessing(
        description, given: preprocessor, clip: checkpoint.description.clipSide, color: color,
        notes: &notes)
    } else {
      preprocessing = nil
      notes.append(
        "the model sees \(checkpoint.description.inputChannels) channels, which no picture has: it "
          + "takes .safetensors files with pixel_values alone")
    }
    var sections: [SectionKind: [UInt8]] = [:]
    if checkpoint.description.language != nil {
      // Upstream too takes the tokenizer from where the language model lies.
      var language = base.path.map { SourceDescriptions(folder: $0) } ?? descriptions
      sections = try language.languageSections(
        gguf: catalog.gguf, file: weights, config: description, notes: &notes)
      if base.path == nil { descriptions = language } else { files += language.files }
    } else if case .openCLIP(let config) = checkpoint.description {
      sections = try descriptions.textTowerSections(config.text, description, notes: &notes)
    }
    files += descriptions.files
    var labels = description.flatMap(Self.labels)
    let classCount = checkpoint.description.classCount
    if let found = labels, found.count != classCount {
      notes.append("\(found.count) labels for \(classCount ?? 0) outputs: left out")
      labels = nil
    }
    return SourceModel(
      catalog: catalog, checkpoint: checkpoint,
      preprocessing: preprocessing, labels: labels, sections: sections, files: files,
      notes: notes)
  }

  private static func folder(of path: String) -> String {
    guard let slash = path.lastIndex(of: "/") else { return "." }
    return slash == path.startIndex ? "/" : String(path[..<slash])
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
