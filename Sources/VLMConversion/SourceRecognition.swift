import VLMCheckpoint
import VLMContainer
import VLMFoundation
import VLMImages
import VLMModels
import VLMTensor
import VLMText

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
  /// What a person should know of what was chosen, one line each.
  private(set) var notes: [Note] = []

  /// What a person should know of the halves of a LLaVA in GGUF.
  var halves: [Note] {
    guard catalog.gguf != nil else { return [] }
    if let vision = catalog.vision?.path {
      let isGiven = vision == mmproj
      return isGiven
        ? []
        : [
          Note(
            "the folder has a LLaVA in two halves: '\(catalog.path.escapedForDisplay())' and "
              + "'\(vision.escapedForDisplay())' are read together")
        ]
    }
    return GGUFVision.beside(catalog.path).map { vision in
      [
        Note(
          "'\(vision.escapedForDisplay())' beside it is the vision half of a model",
          .visionHalf(vision))
      ]
    } ?? []
  }

  /// Tensors of a model at most. A model of 1000 blocks, which is all that is run, has 30,000.
  private static let maximumTensors = 1 << 16
  /// Parts of a name between dots. The longest have some twenty.
  private static let maximumParts = 64

  /// The parameters are those of `SourceModel.open`.
  init(
    path: String, visionTower: String? = nil, visionTowerSlow: String? = nil,
    modelBase: String? = nil, mmproj: String? = nil, headActivation: HeadActivationOption? = nil,
    options: PyTorchFile.Options = .init()
  ) throws {
    self.mmproj = mmproj
    let (path, choice) = try CheckpointPath.resolved(path)
    if let choice { notes.append(choice) }
    let isFolder = FileSystem.isFolder(path)
    let folder = isFolder ? path : Self.folder(of: path)
    let openCLIP = folder + "/open_clip_model.safetensors"
    weights = isFolder && FileSystem.exists(openCLIP) ? openCLIP : path
    var descriptions = SourceDescriptions(folder: folder)
    let adapter = Adapter(path: path, folder: folder)
    if isFolder, adapter.isPresent {
      guard Checkpoint.hasModel(folder: folder) else { throw adapter.refusal(path: weights) }
      notes.append(
        "an adapter lies beside the model and is not merged into it: merge_and_unload of peft does")
    }
    container =
      (try? ModelFileKind.of(weights)) == .container ? try Container.open(path: weights) : nil
    let stored =
      try container?.catalog
      ?? Checkpoint.read(path: weights, options: options, mmproj: mmproj)
    if case .named(let state) = options.state, !stored.format.isPyTorch,
      stored.format != .safetensors
    {
      throw ConversionError(
        path: weights,
        .setting(
          .state, found: state,
          expected: "no such option: \(stored.format.rawValue) files hold one state"))
    }
    guard !stored.tensors.isEmpty else {
      throw ConversionError(
        path: weights, stored.format == .torchScript ? .frozenModule : .nothingToConvert)
    }
    var catalog = container == nil ? stored.unwrapped() : stored
    extracted = try container.map { try ExtractedModel($0, catalog) } ?? ExtractedModel(catalog)
    if let extracted {
      let given: [(Setting, String?)] = [
        (.visionTower, visionTower), (.visionTowerSlow, visionTowerSlow), (.modelBase, modelBase),
        (.visionHalf, mmproj), (.headActivation, headActivation?.name),
      ]
      for case (let setting, let value?) in given {
        throw ConversionError(
          path: weights,
          .setting(
            setting, found: value,
            expected: "no such option: the file holds every part and says what it is"))
      }
      (self.catalog, checkpoint, self.descriptions) = (catalog, extracted.checkpoint, descriptions)
      (description, towerDescription) = (nil, nil)
      tower = try VisionTowerFolder(nil, besides: folder, given: nil)
      base = try LanguageModelFolder(nil, given: nil)
      return
    }
    // A GGUF file describes itself; what lies beside it is another model's.
    let described = try catalog.ggufDescription(factors: LLaMAConfig.ggufFactors)
    if let gguf = catalog.gguf { try Self.checkHalves(catalog, gguf, visionTower: visionTower) }
    // Folders with the weights in two forms describe each of them.
    let isOpenCLIP = catalog.tensors.contains { $0.name.hasPrefix("visual.") }
    let names = ["config.json", "open_clip_config.json"]
    var description = described
    for name in isOpenCLIP ? names.reversed() : names where description == nil {
      description = try descriptions.read(name)
    }
    let stated = described == nil ? Registry.unknownClass(in: description) : nil
    do {
      try Self.checkNames(catalog, weights)
      try UnsupportedWeights.check(catalog, description, adapter)
      let choice = try ModelChoice(stored)
      catalog = choice.catalog
      if described == nil, LLaMANaming.detect(catalog.tensors.lazy.map(\.name)) == .meta,
        let params = try descriptions.read("params.json")
      {
        let tensors = catalog.tensors.map { (name: $0.name, shape: $0.shape) }
        description = try LLaMAConfig.description(meta: params, names: tensors, notes: &notes)
      }
      description = try TiedHead.resolve(description, catalog, notes: &notes)
      if let given = visionTower ?? visionTowerSlow,
        !LLaVANaming.detect(catalog.tensors.lazy.map(\.name))
      {
        throw ConversionError(
          path: weights,
          .setting(
            visionTower == nil ? .visionTowerSlow : .visionTower, found: given,
            expected: "no such option: the model is no LLaVA that has its tower elsewhere"))
      }
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
      guard let found = try ModelCheckpoint.recognise(facts)?.adding(unused: choice.unused) else {
        throw Self.unknown(catalog, stated == nil ? description : nil, weights)
      }
      if let headActivation, !found.hasOpenHead {
        throw ConversionError(
          path: weights,
          .setting(
            .headActivation, found: headActivation.name,
            expected: "no such option: the model has no head whose activations are left open"))
      }
      // Parts that only that class knows.
      if let stated, !found.unused.isEmpty {
        throw ConversionError(path: weights, .architecture(stated))
      }
      if let own = try SmolVLMFamily.descriptions(of: facts) {
        (description, towerDescription) = own
      } else if let llava = try TransformersLLaVA(facts)?.facts ?? GGUFLLaVA(facts)?.facts {
        (description, towerDescription) = (llava.description, llava.towerDescription)
      }
      (self.catalog, checkpoint, self.descriptions) = (catalog, found, descriptions)
      (self.description, self.towerDescription) = (description, towerDescription)
    } catch {
      // The class that the model is of says more than what its tensors lack for another one.
      let isNamed = (error as? ModelError).map { "\($0)".contains(stated ?? "") } ?? false
      guard let stated, Self.isOfTensors(error), !isNamed else { throw error }
      throw ConversionError(path: weights, .architecture(stated))
    }
  }

  /// What is said of tensors that no model has: the tool that quantized them, the model that the
  /// description names, or else the first of them.
  ///
  /// - Parameter description: nil where it names a class that is not run, which is said instead.
  private static func unknown(
    _ catalog: TensorCatalog, _ description: JSONValue?, _ path: String
  ) -> ConversionError {
    let tensors = catalog.tensors
    if let method = description?["quantization_config"]?["quant_method"]?.stringValue,
      let tensor = tensors.first(where: { !$0.dtype.isFloat })
    {
      return ConversionError(path: path, .quantized(kind: method, tensor: tensor.name))
    }
    if let name = description?["architecture"]?.stringValue {
      return ConversionError(path: path, .timmModel(name))
    }
    let named = tensors.filter { !$0.name.hasSuffix("num_batches_tracked") }
    return ConversionError(
      path: path,
      .unknownModel(tensorCount: tensors.count, examples: named.prefix(3).map(\.name)))
  }

  /// Refuses at once what no model has: what follows looks at every part of every name many times.
  private static func checkNames(_ catalog: TensorCatalog, _ path: String) throws(ConversionError) {
    let long = catalog.tensors.lazy.map(\.name).first { name in
      name.utf8.count(where: { $0 == UInt8(ascii: ".") }) >= maximumParts
    }
    guard catalog.tensors.count > maximumTensors || long != nil else { return }
    throw ConversionError(
      path: path,
      .unknownModel(
        tensorCount: catalog.tensors.count,
        examples: long.map { [$0] } ?? catalog.tensors.prefix(3).map(\.name)))
  }

  /// Whether a failure may come from tensors of another model than was looked for.
  private static func isOfTensors(_ error: any Error) -> Bool {
    guard let error = error as? ConversionError else { return error is ModelError }
    switch error.problem {
    case .unknownModel, .missing, .severalStates, .unexpected, .shape: return true
    default: return false
    }
  }

  /// A vision half in GGUF wants its language half, and brings its own tower.
  private static func checkHalves(
    _ catalog: TensorCatalog, _ gguf: GGUFMetadata, visionTower: String?
  ) throws {
    if gguf.isVision {
      try ModelError.inFile(catalog.path) {
        guard !SmolVLMFamily.isVisionHalf(gguf.description) else { return }
        try GGUFLLaVA.refuseOthers(
          gguf.description, catalog.tensors.map { (name: $0.name, shape: $0.shape) })
      }
      throw ConversionError(path: catalog.path, .visionHalf)
    }
    if let vision = catalog.vision, let visionTower {
      throw ConversionError(
        path: catalog.path,
        .setting(
          .visionTower, found: visionTower,
          expected: "no such option: '\(vision.path.escapedForDisplay())' has the tower"))
    }
  }

  private static func folder(of path: String) -> String {
    let folder = path.splitAtLastSlash.folder
    return folder.isEmpty ? "." : folder == "/" ? folder : String(folder.dropLast())
  }
}
