import VLMCheckpoint
import VLMContainer
import VLMFoundation
import VLMImages
import VLMModels
import VLMTensor
import VLMText

/// A checkpoint on disk, recognised: its tensors, its geometry, and the files that describe it.
package struct SourceModel: Sendable {
  package let catalog: TensorCatalog
  package let checkpoint: ModelCheckpoint
  /// What to do to an image; nil for a model that sees none.
  package let preprocessing: Preprocessing?
  /// One name per class, where they are known.
  package let labels: [String]?
  /// What is shown of the outputs.
  package let scores: Scores
  /// Contents of further sections, as they will be stored.
  package let sections: [SectionKind: [UInt8]]
  /// What the checkpoint's description calls the model: "qwen3", where ours is a decoder with traits.
  let modelType: String?
  /// What the checkpoint says of its own origin, where it was a container before or is one.
  let origin: JSONValue?
  /// The container, where the checkpoint is one: what of it is not known here is kept.
  let container: Container?
  /// Every file that was read.
  package let files: [String]
  /// What a person should know, one line each.
  package let notes: [Note]

  package var description: ModelDescription { checkpoint.description }

  /// Opens a file of tensors, a sharded checkpoint, or a folder with either, and the descriptions
  /// beside it.
  ///
  /// - Parameters:
  ///   - path: a checkpoint file, or a folder as timm and Hugging Face save it.
  ///   - preprocessor: a file to read the preprocessing from, instead of those beside the weights.
  ///   - parts: what does not lie there, or is left open.
  ///   - options: which part of a PyTorch checkpoint is the model.
  ///   - labels: what the outputs of a classifier are.
  package static func open(
    path: String, preprocessor: String? = nil, parts: GivenParts = .init(),
    options: PyTorchFile.Options = .init(), labels: LabelOptions = .init()
  ) throws -> SourceModel {
    try ModelError.inFile(path) {
      let found = try SourceRecognition.of(path, parts, options: options)
      return try found.extracted.map { model in
        try extracted(found, model, preprocessor: preprocessor, options: labels)
      } ?? described(found, preprocessor: preprocessor, options: labels)
    }
  }

  /// A model that the files beside its weights describe.
  private static func described(
    _ found: SourceRecognition, preprocessor: String?, options: LabelOptions
  ) throws -> SourceModel {
    let (checkpoint, description, base) = (found.checkpoint, found.description, found.base)
    var descriptions = found.descriptions
    var notes = found.catalog.warnings + found.notes + checkpoint.notes + found.halves
    if let code = description?["auto_map"], !code.isNull {
      notes.append(
        "config.json names code of the model's own (auto_map), which is not run: the model is "
          + "taken for what its class in transformers computes")
    }
    let preprocessing: Preprocessing?
    if let tower = checkpoint.description.config.visionTower {
      preprocessing = try descriptions.llavaPreprocessing(
        tower, description, found.tower, found.towerDescription,
        tiles: checkpoint.tiles, given: preprocessor, notes: &notes)
    } else if checkpoint.description.language != nil {
      preprocessing = nil
    } else if let color = ColorMode(channels: checkpoint.description.inputChannels) {
      preprocessing = try descriptions.preprocessing(
        description, given: preprocessor, of: checkpoint, color: color,
        inside: found.catalog.format.isPyTorch ? found.catalog.metadata : [], notes: &notes)
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
        gguf: found.catalog.gguf, file: found.weights, config: description,
        of: checkpoint.description, notes: &notes)
      if base.path == nil { descriptions = language } else { files += language.files }
    } else if let text = checkpoint.description.config.text {
      sections = try descriptions.textTowerSections(text, description, notes: &notes)
    }
    files += descriptions.files + (options.namesFile.map { [$0] } ?? [])
    let labels = try LabelSource(
      options: options, count: checkpoint.description.classCount, description: description,
      metadata: found.catalog.metadata, folder: descriptions.folder
    ).labels(notes: &notes)
    return SourceModel(
      catalog: found.catalog, checkpoint: checkpoint, preprocessing: preprocessing,
      labels: labels.names, scores: labels.scores, sections: sections,
      modelType: Self.modelType(description), origin: nil, container: nil, files: files,
      notes: notes)
  }

  /// Of a description or of a container's origin; nil where nothing short says it.
  private static func modelType(_ stated: JSONValue?) -> String? {
    let keys = ["architecture", "model_type", "general.architecture"]
    let texts = keys.compactMap { stated?[$0]?.stringValue }
    if let text = texts.first(where: { (1...64).contains($0.utf8.count) }) { return text }
    // open_clip's description has no name: its towers tell a MobileCLIP ("fastvit_mci0").
    guard let vision = stated?["model_cfg"]?["vision_cfg"] else { return nil }
    let tower = vision["timm_model_name"]?.stringValue ?? ""
    return tower.contains("mci") ? "mobileclip" : "clip"
  }

  /// A model that the metadata of its file describe; only what they lack is looked for beside it.
  private static func extracted(
    _ found: SourceRecognition, _ model: ExtractedModel, preprocessor: String?,
    options: LabelOptions
  ) throws -> SourceModel {
    let kind = model.checkpoint.description
    var (descriptions, sections) = (found.descriptions, model.sections)
    var notes = found.catalog.warnings + found.notes
    var preprocessing = model.preprocessing
    if let preprocessor, let json = try descriptions.read(file: preprocessor) {
      let given = try Preprocessing(checkpointConfig: json, name: preprocessor)
      if case .anyResolution(let tiles) = preprocessing?.tiling {
        preprocessing = try given.tiled(tiles, name: preprocessor)
      } else {
        preprocessing = preprocessing?.padding == nil ? given : given.paddedWithMean()
      }
    }
    if kind.seesPictures, preprocessing == nil {
      throw ConversionError(
        path: found.weights,
        .preprocessing("missing in its metadata", .preprocessor(.missing)))
    } else if preprocessing == nil, kind.language == nil, found.container == nil,
      let color = ColorMode(channels: kind.inputChannels)
    {
      preprocessing = try descriptions.preprocessing(
        nil, given: nil, of: model.checkpoint, color: color, inside: [], notes: &notes)
    }
    if sections[.tokenizer] == nil {
      if kind.language != nil, found.container == nil {
        let beside = try descriptions.languageSections(
          gguf: nil, file: found.weights, config: try descriptions.read("config.json"),
          of: kind, notes: &notes)
        sections.merge(beside) { own, _ in own }
      } else if kind.config.text != nil {
        notes.append("no tokenizer in the file: the text tower takes token ids only")
      } else if kind.language != nil {
        notes.append(SourceDescriptions.untold("no tokenizer in the file"))
      }
    }
    let labels = try LabelSource(
      options: options, count: kind.classCount, extracted: model.labels, description: nil,
      metadata: [], folder: descriptions.folder
    ).labels(notes: &notes)
    return SourceModel(
      catalog: found.catalog, checkpoint: model.checkpoint, preprocessing: preprocessing,
      labels: labels.names, scores: labels.scores, sections: sections,
      modelType: Self.modelType(model.origin), origin: model.origin, container: found.container,
      files: found.catalog.sources.map(\.path) + descriptions.files
        + (options.namesFile.map { [$0] } ?? []),
      notes: notes)
  }
}
