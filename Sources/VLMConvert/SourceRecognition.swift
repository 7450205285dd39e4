import VLMCheckpoint
import VLMContainer
import VLMInput
import VLMModels
import VLMNN
import VLMTensor

#if canImport(Glibc)
  import Glibc
#endif

/// Which model a checkpoint on disk is, and where each of its tensors lies: what comparing needs.
struct SourceRecognition {
  /// The file or folder that the tensors come from, for errors.
  let weights: String
  let catalog: TensorCatalog
  let checkpoint: ModelCheckpoint
  /// `config.json` or what stands for it, as upstream would have written it.
  let description: JSONValue?
  /// Of the vision tower's folder.
  let towerDescription: JSONValue?
  let descriptions: SourceDescriptions
  let tower: VisionTowerFolder
  let base: LanguageModelFolder
  /// The vision half that the user names.
  private let mmproj: String?
  /// The file, where it is converted already.
  let container: Container?
  /// What the metadata say, where `extract` wrote the file, or the sections of a container; nothing
  /// beside it was read then.
  let extracted: ExtractedModel?

  /// What a person should know of the halves of a LLaVA in GGUF.
  var halves: [String] {
    guard catalog.gguf != nil else { return [] }
    if let vision = catalog.vision?.path {
      let isGiven = vision == mmproj
      return isGiven
        ? []
        : [
          "the folder has a LLaVA in two halves: '\(catalog.path.escapedForDisplay())' and "
            + "'\(vision.escapedForDisplay())' are read together"
        ]
    }
    return GGUFVision.beside(catalog.path).map { vision in
      [
        "'\(vision.escapedForDisplay())' beside it is the vision half of a model: "
          + "--mmproj '\(vision.escapedForDisplay())' converts both"
      ]
    } ?? []
  }

  /// The parameters are those of `SourceModel.open`.
  init(
    path: String, visionTower: String? = nil, visionTowerSlow: String? = nil,
    modelBase: String? = nil, mmproj: String? = nil, headActivation: HeadActivationOption? = nil,
    options: PyTorchFile.Options = .init()
  ) throws {
    self.mmproj = mmproj
    var status = stat()
    let isFolder = stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
    let folder = isFolder ? path : Self.folder(of: path)
    let openCLIP = folder + "/open_clip_model.safetensors"
    weights = isFolder && access(openCLIP, F_OK) == 0 ? openCLIP : path
    // What peft writes; a folder may have a model, too.
    var beside = SourceDescriptions(folder: folder)
    let adapter = try? beside.read("adapter_config.json")
    let adapterBase = adapter?["base_model_name_or_path"]?.stringValue
    if isFolder, adapter != nil, !SafetensorsIndex.hasModel(folder: folder) {
      throw ConversionError(path: weights, .adapter(base: adapterBase))
    }
    var descriptions = SourceDescriptions(folder: folder)
    container =
      (try? ModelFileKind.of(weights)) == .container ? try Container.open(path: weights) : nil
    var catalog =
      try container?.catalog
      ?? SafetensorsIndex.readCheckpoint(path: weights, options: options, mmproj: mmproj)
      .unwrapped()
    if case .named(let state) = options.state, !catalog.format.isPyTorch {
      throw ConversionError(
        path: weights,
        .option(
          "--state", found: state,
          expected: "no such option: \(catalog.format.rawValue) files hold one state"))
    }
    guard !catalog.tensors.isEmpty else {
      throw ConversionError(
        path: weights, catalog.format == .torchScript ? .frozenModule : .nothingToConvert)
    }
    extracted = try container.map { try ExtractedModel($0, catalog) } ?? ExtractedModel(catalog)
    if let extracted {
      let given = [
        ("--vision-tower", visionTower), ("--vision-tower-slow", visionTowerSlow),
        ("--model-base", modelBase), ("--mmproj", mmproj),
      ]
      for case (let option, let folder?) in given {
        throw ConversionError(
          path: weights,
          .option(
            option, found: folder, expected: "no such option: the file holds every part"))
      }
      (self.catalog, checkpoint, self.descriptions) = (catalog, extracted.checkpoint, descriptions)
      (description, towerDescription) = (nil, nil)
      tower = try VisionTowerFolder(nil, besides: folder, given: nil)
      base = try LanguageModelFolder(nil, given: nil)
      return
    }
    // A GGUF file describes itself; what lies beside it is another model's.
    let described = try catalog.ggufDescription(frequencies: LLaMAConfig.ggufFrequencies)
    if let gguf = catalog.gguf { try Self.checkHalves(catalog, gguf, visionTower: visionTower) }
    // Folders with the weights in two forms describe each of them.
    let isOpenCLIP = catalog.tensors.contains { $0.name.hasPrefix("visual.") }
    let names = ["config.json", "open_clip_config.json"]
    var description = described
    for name in isOpenCLIP ? names.reversed() : names where description == nil {
      description = try descriptions.read(name)
    }
    try ForeignWeights.check(catalog, description, adapterBase: adapterBase)
    tower = try VisionTowerFolder(description, besides: folder, given: visionTower)
    base = try LanguageModelFolder(description, given: modelBase)
    catalog = try base.merge(into: catalog)
    if description?["is_multipath_encoder"]?.boolValue == true {
      let slow = try VisionTowerFolder(
        description, role: .slow, besides: folder, given: visionTowerSlow)
      catalog = try slow.mergeMultiResolution(into: tower.mergeMultiResolution(into: catalog))
    }
    catalog = try tower.merge(into: catalog)
    var towerDescription =
      try catalog.vision?.metadata.description
      ?? descriptions.read(file: tower.file("config.json"))
    let tensors = catalog.tensors.map { (name: $0.name, shape: $0.shape) }
    let facts = CheckpointFacts(
      names: tensors, description: description, towerDescription: towerDescription,
      towerFile: catalog.vision?.path, headActivation: headActivation)
    guard let checkpoint = try ModelCheckpoint.recognise(facts) else {
      throw ConversionError(
        path: weights,
        .unknownModel(tensorCount: tensors.count, examples: tensors.prefix(3).map(\.name)))
    }
    if let headActivation, !checkpoint.hasOpenHead {
      throw ConversionError(
        path: weights,
        .option(
          "--head-activation", found: headActivation.name,
          expected: "no such option: the model has no head whose activations are left open"))
    }
    if let llava = try TransformersLLaVA(facts)?.facts ?? GGUFLLaVA(facts)?.facts {
      (description, towerDescription) = (llava.description, llava.towerDescription)
    }
    (self.catalog, self.checkpoint, self.descriptions) = (catalog, checkpoint, descriptions)
    (self.description, self.towerDescription) = (description, towerDescription)
  }

  /// A vision half in GGUF wants its language half, and brings its own tower.
  private static func checkHalves(
    _ catalog: TensorCatalog, _ gguf: GGUFMetadata, visionTower: String?
  ) throws {
    if gguf.isVision {
      try ModelError.inFile(catalog.path) {
        try GGUFLLaVA.refuseOthers(
          gguf.description, catalog.tensors.map { (name: $0.name, shape: $0.shape) })
      }
      throw ConversionError(path: catalog.path, .visionHalf)
    }
    if let vision = catalog.vision, let visionTower {
      throw ConversionError(
        path: catalog.path,
        .option(
          "--vision-tower", found: visionTower,
          expected: "no such option: '\(vision.path.escapedForDisplay())' has the tower"))
    }
  }

  private static func folder(of path: String) -> String {
    guard let slash = path.lastIndex(of: "/") else { return "." }
    return slash == path.startIndex ? "/" : String(path[..<slash])
  }
}
