import VLMCheckpoint
import VLMContainer
import VLMInput
import VLMModels
import VLMNN
import VLMTensor

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
  ///   - headActivation: what lies between the layers of a head, where the file leaves it open.
  ///   - options: which part of a PyTorch checkpoint is the model.
  package static func open(
    path: String, preprocessor: String? = nil, visionTower: String? = nil,
    visionTowerSlow: String? = nil, modelBase: String? = nil,
    headActivation: HeadActivationOption? = nil, options: PyTorchFile.Options = .init()
  ) throws -> SourceModel {
    try ModelError.inFile(path) {
      let found = try SourceRecognition(
        path: path, visionTower: visionTower, visionTowerSlow: visionTowerSlow,
        modelBase: modelBase, headActivation: headActivation, options: options)
      return try found.extracted.map { try extracted(found, $0, preprocessor: preprocessor) }
        ?? described(found, preprocessor: preprocessor)
    }
  }

  /// A model that the files beside its weights describe.
  private static func described(
    _ found: SourceRecognition, preprocessor: String?
  ) throws -> SourceModel {
    let (checkpoint, description, base) = (found.checkpoint, found.description, found.base)
    var descriptions = found.descriptions
    var notes = found.catalog.warnings + checkpoint.notes
    let preprocessing: Preprocessing?
    if case .llava(let config) = checkpoint.description {
      preprocessing = try descriptions.llavaPreprocessing(
        config, description, found.tower, found.towerDescription, given: preprocessor,
        notes: &notes)
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
    var files = found.catalog.sources.map(\.path)
    var sections: [SectionKind: [UInt8]] = [:]
    if checkpoint.description.language != nil {
      // Upstream too takes the tokenizer from where the language model lies.
      var language = base.path.map { SourceDescriptions(folder: $0) } ?? descriptions
      sections = try language.languageSections(
        gguf: found.catalog.gguf, file: found.weights, config: description, notes: &notes)
      if base.path == nil { descriptions = language } else { files += language.files }
    } else if case .openCLIP(let config) = checkpoint.description {
      sections = try descriptions.textTowerSections(config.text, description, notes: &notes)
    }
    files += descriptions.files
    let labels = fitting(
      description.flatMap(Self.labels), checkpoint.description.classCount, &notes)
    return SourceModel(
      catalog: found.catalog, checkpoint: checkpoint, preprocessing: preprocessing, labels: labels,
      sections: sections, files: files, notes: notes)
  }

  /// A model that the metadata of its file describe; only what they lack is looked for beside it.
  private static func extracted(
    _ found: SourceRecognition, _ model: ExtractedModel, preprocessor: String?
  ) throws -> SourceModel {
    let kind = model.checkpoint.description
    var (descriptions, sections) = (found.descriptions, model.sections)
    var notes = found.catalog.warnings
    var preprocessing = model.preprocessing
    if let preprocessor, let json = try descriptions.read(file: preprocessor) {
      let given = try Preprocessing(checkpointConfig: json, name: preprocessor)
      preprocessing = preprocessing?.padding == nil ? given : given.paddedWithMean()
    }
    if case .llava = kind, preprocessing == nil {
      throw ConversionError(
        path: found.weights,
        .preprocessing("missing in its metadata: --preprocessor names a file that has it"))
    } else if preprocessing == nil, kind.language == nil,
      let color = ColorMode(channels: kind.inputChannels)
    {
      preprocessing = try descriptions.preprocessing(
        nil, given: nil, clip: kind.clipSide, color: color, notes: &notes)
    }
    if sections[.tokenizer] == nil {
      if kind.language != nil {
        let beside = try descriptions.languageSections(
          gguf: nil, file: found.weights, config: try descriptions.read("config.json"),
          notes: &notes)
        sections.merge(beside) { own, _ in own }
      } else if case .openCLIP = kind {
        notes.append("no tokenizer in the metadata: the text tower takes token ids only")
      }
    }
    let labels = fitting(model.labels, kind.classCount, &notes)
    return SourceModel(
      catalog: found.catalog, checkpoint: model.checkpoint, preprocessing: preprocessing,
      labels: labels, sections: sections,
      files: found.catalog.sources.map(\.path) + descriptions.files, notes: notes)
  }

  /// `labels`, if there are as many as outputs.
  private static func fitting(
    _ labels: [String]?, _ classCount: Int?, _ notes: inout [String]
  ) -> [String]? {
    guard let labels, labels.count != classCount else { return labels }
    notes.append("\(labels.count) labels for \(classCount ?? 0) outputs: left out")
    return nil
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
