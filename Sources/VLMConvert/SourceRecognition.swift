import VLMCheckpoint
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
  /// What the metadata say, where `extract` wrote the file; nothing beside it was read then.
  let extracted: ExtractedModel?
  /// What a person should know of what was chosen, one line each.
  private(set) var notes: [String] = []

  /// The parameters are those of `SourceModel.open`.
  init(
    path: String, visionTower: String? = nil, visionTowerSlow: String? = nil,
    modelBase: String? = nil, options: PyTorchFile.Options = .init()
  ) throws {
    let path = try CheckpointPath.resolved(path).path
    let isFolder = VisionTowerFolder.isFolder(path)
    let folder = isFolder ? path : Self.folder(of: path)
    let openCLIP = folder + "/open_clip_model.safetensors"
    weights = isFolder && access(openCLIP, F_OK) == 0 ? openCLIP : path
    var descriptions = SourceDescriptions(folder: folder)
    let adapter = Adapter(path: path, folder: folder)
    if isFolder, adapter.isPresent {
      guard SafetensorsIndex.hasModel(folder: folder) else { throw adapter.refusal(path: weights) }
      notes.append(
        "an adapter lies beside the model and is not merged into it: merge_and_unload of peft does")
    }
    let stored = try SafetensorsIndex.readCheckpoint(path: weights, options: options)
    if case .named(let state) = options.state, stored.format == .gguf {
      throw ConversionError(
        path: weights,
        .option(
          "--state", found: state,
          expected: "no such option: \(stored.format.rawValue) files hold one state"))
    }
    guard !stored.tensors.isEmpty else {
      throw ConversionError(
        path: weights, stored.format == .torchScript ? .frozenModule : .nothingToConvert)
    }
    var catalog = stored.unwrapped()
    extracted = try ExtractedModel(catalog)
    if let extracted {
      let given = [
        ("--vision-tower", visionTower), ("--vision-tower-slow", visionTowerSlow),
        ("--model-base", modelBase),
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
    // Folders with the weights in two forms describe each of them.
    let isOpenCLIP = catalog.tensors.contains { $0.name.hasPrefix("visual.") }
    let names = ["config.json", "open_clip_config.json"]
    var description = described
    for name in isOpenCLIP ? names.reversed() : names where description == nil {
      description = try descriptions.read(name)
    }
    let stated = described == nil ? StatedArchitecture.foreign(description) : nil
    do {
      try ForeignWeights.check(catalog, description, adapter)
      let choice = try ModelChoice(stored)
      catalog = choice.catalog
      if described == nil, LLaMANaming.detect(catalog.tensors.lazy.map(\.name)) == .meta,
        let params = try descriptions.read("params.json")
      {
        let tensors = catalog.tensors.map { (name: $0.name, shape: $0.shape) }
        description = try LLaMAConfig.description(meta: params, names: tensors, notes: &notes)
      }
      description = try TiedHead.resolve(description, catalog, notes: &notes)
      tower = try VisionTowerFolder(description, besides: folder, given: visionTower)
      base = try LanguageModelFolder(description, given: modelBase)
      catalog = try base.merge(into: catalog)
      if description?["is_multipath_encoder"]?.boolValue == true {
        let slow = try VisionTowerFolder(
          description, role: .slow, besides: folder, given: visionTowerSlow)
        catalog = try slow.mergeMultiResolution(into: tower.mergeMultiResolution(into: catalog))
      }
      catalog = try tower.merge(into: catalog)
      var towerDescription = try descriptions.read(file: tower.file("config.json"))
      let tensors = catalog.tensors.map { (name: $0.name, shape: $0.shape) }
      let facts = CheckpointFacts(
        names: tensors, description: description, towerDescription: towerDescription)
      guard let found = try Self.recognise(facts, catalog)?.adding(foreign: choice.foreign) else {
        throw ConversionError(
          path: weights,
          .unknownModel(tensorCount: tensors.count, examples: tensors.prefix(3).map(\.name)))
      }
      // Parts that only that class knows.
      if let stated, !found.foreign.isEmpty {
        throw ConversionError(path: weights, .architecture(stated))
      }
      if let llava = try TransformersLLaVA(facts)?.facts {
        (description, towerDescription) = (llava.description, llava.towerDescription)
      }
      (self.catalog, checkpoint, self.descriptions) = (catalog, found, descriptions)
      (self.description, self.towerDescription) = (description, towerDescription)
    } catch {
      // The class that the model is of says more than what its tensors lack for another one.
      guard let stated, Self.isOfTensors(error) else { throw error }
      throw ConversionError(path: weights, .architecture(stated))
    }
  }

  /// The model; what is missing is told with what is nearest to it in the file.
  private static func recognise(
    _ facts: CheckpointFacts, _ catalog: TensorCatalog
  ) throws -> ModelCheckpoint? {
    do throws(ModelError) { return try ModelCheckpoint.recognise(facts) } catch {
      guard case .missingTensor(let name) = error.problem else { throw error }
      throw ConversionError(
        path: catalog.path,
        .missing([name], near: NearestName.find(name, among: catalog.tensors.lazy.map(\.name))))
    }
  }

  /// Whether a failure may come from tensors of another model than was looked for.
  private static func isOfTensors(_ error: any Error) -> Bool {
    guard let error = error as? ConversionError else { return error is ModelError }
    switch error.problem {
    case .unknownModel, .missing, .severalStates, .unexpected, .shape: return true
    default: return false
    }
  }

  private static func folder(of path: String) -> String {
    guard let slash = path.lastIndex(of: "/") else { return "." }
    return slash == path.startIndex ? "/" : String(path[..<slash])
  }
}
