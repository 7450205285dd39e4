import VLMCheckpoint
import VLMContainer
import VLMFoundation
import VLMImages
import VLMModels
import VLMTensor

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
  /// The file, where it is converted already.
  let container: Container?
  /// What the metadata say, where `extract` wrote the file, or the sections of a container; nothing
  /// beside it was read then.
  let extracted: ExtractedModel?
  /// What a person should know of what was chosen, one line each.
  let notes: [Note]
  private let given: GivenParts

  /// What a person should know of the halves of a model in GGUF.
  var halves: [Note] {
    guard catalog.gguf != nil else { return [] }
    if let vision = catalog.vision?.path {
      let isGiven = vision == given.mmproj
      return isGiven
        ? []
        : [
          Note(
            "the folder has a model in two halves: '\(catalog.path.escapedForDisplay())' and "
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

  /// Recognises what is at `path`.
  ///
  /// - Parameter options: which part of a PyTorch checkpoint is the model.
  /// - Throws: errors of the modules below.
  static func of(
    _ path: String, _ given: GivenParts = .init(), options: PyTorchFile.Options = .init()
  ) throws -> SourceRecognition {
    let place = try SourcePlace(path)
    let container = try place.container()
    let stored =
      try container?.catalog
      ?? Checkpoint.read(path: place.weights, options: options, mmproj: given.mmproj)
    try requireModel(stored, options, place.weights)
    let catalog = container == nil ? stored.unwrapped() : stored
    let extracted = try container.map { try ExtractedModel($0, catalog) } ?? ExtractedModel(catalog)
    guard let extracted else { return try upstream(stored, catalog, place, given) }
    try given.refuse(path: place.weights)
    return SourceRecognition(
      weights: place.weights, catalog: catalog, checkpoint: extracted.checkpoint, description: nil,
      towerDescription: nil, descriptions: SourceDescriptions(folder: place.folder),
      tower: try VisionTowerFolder(nil, besides: place.folder, given: nil),
      base: try LanguageModelFolder(nil, given: nil), container: container, extracted: extracted,
      notes: place.notes, given: given)
  }

  /// A model under its own project's names, which the files beside it describe.
  private static func upstream(
    _ stored: TensorCatalog, _ catalog: TensorCatalog, _ place: SourcePlace, _ given: GivenParts
  ) throws -> SourceRecognition {
    var descriptions = SourceDescriptions(folder: place.folder)
    // A GGUF file describes itself; what lies beside it is another model's.
    let own = try catalog.ggufDescription(factors: LLaMAConfig.ggufFactors)
    if let gguf = catalog.gguf { try checkHalves(catalog, gguf, visionTower: given.visionTower) }
    let description = try own ?? descriptions.readConfiguration(of: catalog)
    let stated = own == nil ? Registry.unknownClass(in: description) : nil
    do {
      try checkNames(catalog, place.weights)
      try UnsupportedWeights.check(
        catalog, description, place.adapter, folder: place.folder)
      return try recognised(
        try ModelChoice(stored), description, describesItself: own != nil, stated: stated,
        &descriptions, place, given)
    } catch {
      // The class that the model is of says more than what its tensors lack for another one.
      if stated == nil, isOfTensors(error),
        let quantized = quantized(catalog, description, place)
      {
        throw quantized
      }
      let isNamed = (error as? ModelError).map { "\($0)".contains(stated ?? "") } ?? false
      guard let stated, isOfTensors(error), !isNamed else { throw error }
      throw ConversionError(path: place.weights, .architecture(stated))
    }
  }

  /// - Parameter stated: a class that the configuration names and that is not run.
  private static func recognised(
    _ choice: ModelChoice, _ read: JSONValue?, describesItself: Bool, stated: String?,
    _ descriptions: inout SourceDescriptions, _ place: SourcePlace, _ given: GivenParts
  ) throws -> SourceRecognition {
    var (description, notes) = (read, place.notes)
    let names = choice.catalog.tensors.lazy.map(\.name)
    if !describesItself, LLaMANaming.detect(names) == .meta,
      let params = try descriptions.read("params.json")
    {
      description = try LLaMAConfig.description(
        meta: params, names: choice.catalog.namesAndShapes, notes: &notes)
    }
    description = try TiedHead.resolve(description, choice.catalog, notes: &notes)
    if !LLaVANaming.detect(names) { try given.refuseTowers(path: place.weights) }
    let (catalog, tower, base) = try merged(choice.catalog, description, place, given)
    let towerDescription =
      try catalog.vision?.metadata.description
      ?? descriptions.read(file: tower.file("config.json"))
    let facts = CheckpointFacts(
      names: catalog.namesAndShapes, description: description, towerDescription: towerDescription,
      towerFile: catalog.vision?.path, headActivation: given.headActivation)
    let checkpoint = try checkpoint(facts, catalog, choice, stated: stated, place, given)
    let told = try Registry.descriptions(of: facts)
    return SourceRecognition(
      weights: place.weights, catalog: catalog, checkpoint: checkpoint,
      description: told.language, towerDescription: told.tower,
      descriptions: descriptions, tower: tower, base: base, container: nil, extracted: nil,
      notes: notes, given: given)
  }

  /// The tensors of a model whose parts lie in several folders.
  private static func merged(
    _ catalog: TensorCatalog, _ description: JSONValue?, _ place: SourcePlace, _ given: GivenParts
  ) throws -> (TensorCatalog, VisionTowerFolder, LanguageModelFolder) {
    let tower = try VisionTowerFolder(
      description, besides: place.folder, given: given.visionTower)
    let base = try LanguageModelFolder(description, given: given.modelBase)
    var catalog = try base.merge(into: catalog)
    if description?["is_multipath_encoder"]?.boolValue == true {
      let slow = try VisionTowerFolder(
        description, role: .slow, besides: place.folder, given: given.visionTowerSlow)
      catalog = try slow.mergeMultiResolution(into: tower.mergeMultiResolution(into: catalog))
    }
    return (try tower.merge(into: catalog), tower, base)
  }

  private static func checkpoint(
    _ facts: CheckpointFacts, _ catalog: TensorCatalog, _ choice: ModelChoice, stated: String?,
    _ place: SourcePlace, _ given: GivenParts
  ) throws -> ModelCheckpoint {
    guard let found = try ModelCheckpoint.recognise(facts)?.adding(unused: choice.unused) else {
      throw unknown(catalog, stated == nil ? facts.description : nil, place)
    }
    if let activation = given.headActivation, !found.hasOpenHead {
      throw ConversionError(
        path: place.weights,
        .setting(
          .headActivation, found: activation.name,
          expected: "no such option: the model has no head whose activations are left open"))
    }
    // Parts that only that class knows.
    if let stated, !found.unused.isEmpty {
      throw ConversionError(path: place.weights, .architecture(stated))
    }
    return found
  }

  /// What is said of tensors that no model has: the tool that quantized them, the model that the
  /// description names, or else the first of them.
  ///
  /// - Parameter description: nil where it names a class that is not run, which is said instead.
  private static func unknown(
    _ catalog: TensorCatalog, _ description: JSONValue?, _ place: SourcePlace
  ) -> ConversionError {
    let (tensors, path) = (catalog.tensors, place.weights)
    if let quantized = quantized(catalog, description, place) { return quantized }
    if let name = description?["architecture"]?.stringValue {
      return ConversionError(path: path, .timmModel(name))
    }
    let named = tensors.filter { !$0.name.hasSuffix("num_batches_tracked") }
    return ConversionError(
      path: path,
      .unknownModel(
        tensorCount: tensors.count, examples: named.prefix(3).map(\.name),
        seems: OtherArchitectures.name(of: named.lazy.map(\.name))))
  }

  /// What is said of tensors that are no model's where the description names who quantized them.
  private static func quantized(
    _ catalog: TensorCatalog, _ description: JSONValue?, _ place: SourcePlace
  ) -> ConversionError? {
    guard let method = description?["quantization_config"]?["quant_method"]?.stringValue,
      let tensor = catalog.tensors.first(where: { !$0.dtype.isFloat })
    else { return nil }
    return ConversionError(
      path: place.weights,
      .quantized(
        kind: method, tensor: tensor.name,
        original: OriginalModel.name(description, folder: place.folder)))
  }

  private static func requireModel(
    _ stored: TensorCatalog, _ options: PyTorchFile.Options, _ path: String
  ) throws(ConversionError) {
    if case .named(let state) = options.state, !stored.format.isPyTorch,
      stored.format != .safetensors
    {
      throw ConversionError(
        path: path,
        .setting(
          .state, found: state,
          expected: "no such option: \(stored.format.rawValue) files hold one state"))
    }
    guard !stored.tensors.isEmpty else {
      throw ConversionError(
        path: path, stored.format == .torchScript ? .frozenModule : .nothingToConvert)
    }
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
        try Registry.checkVisionHalf(gguf.description, catalog.namesAndShapes)
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
}

extension TensorCatalog {
  fileprivate var namesAndShapes: [CheckpointFacts.Name] {
    tensors.map { ($0.name, $0.shape) }
  }
}

extension SourceDescriptions {
  /// The file that describes a model. Folders with the weights in two forms describe each of them.
  fileprivate mutating func readConfiguration(of catalog: TensorCatalog) throws -> JSONValue? {
    let names = ["config.json", "open_clip_config.json"]
    let isOpenCLIP = catalog.tensors.contains { $0.name.hasPrefix("visual.") }
    for name in isOpenCLIP ? names.reversed() : names {
      if let description = try read(name) { return description }
    }
    return nil
  }
}
