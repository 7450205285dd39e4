import VLMCheckpoint
import VLMFoundation
import VLMImages
import VLMModels
import VLMTensor
import VLMText

#if canImport(Glibc)
  import Glibc
#endif

/// The JSON files beside a checkpoint's weights, and what they say of preprocessing.
struct SourceDescriptions {
  let folder: String
  /// Every file that was read, each once.
  private(set) var files: [String] = []

  init(folder: String) { self.folder = folder }

  /// Where the file `name` of the folder is, which counts as read; nil when it is not there.
  ///
  /// - Throws: `ConversionError` for a link to a file that is not there.
  mutating func path(of name: String) throws(ConversionError) -> String? {
    let file = folder + "/" + name
    guard try Self.isThere(file) else { return nil }
    if !files.contains(file) { files.append(file) }
    return file
  }

  /// Where `name` of the folder would be.
  func folderPath(_ name: String) -> String { folder + "/" + name }

  /// Counts only `files` as read: the others said nothing.
  mutating func forget(allBut files: [String]) { self.files = files }

  /// The file `name` of the folder; nil when it is not there.
  mutating func read(_ name: String) throws(ConversionError) -> JSONValue? {
    let file = folder + "/" + name
    return try Self.isThere(file) ? try read(file: file) : nil
  }

  /// Whether a file is there. What a link leads to was meant to be, and is not guessed instead.
  private static func isThere(_ file: String) throws(ConversionError) -> Bool {
    if FileSystem.exists(file) { return true }
    guard FileSystem.status(file, followsLinks: false) != nil else { return false }
    throw ConversionError(
      path: file,
      .json(offset: 0, text: "is a link to a file that is not there; \(FileKind.fetchAgain)"))
  }

  /// A file that is there, and nil for none.
  mutating func read(file: String?) throws(ConversionError) -> JSONValue? {
    guard let file else { return nil }
    if !files.contains(file) { files.append(file) }
    return try Self.json(file)
  }

  /// Refuses what stands where a file should be that was not fetched.
  static func requireFetched(
    _ file: MappedFile, expected: String
  ) throws(ConversionError) {
    guard let found = FileKind.standIn(file) else { return }
    throw ConversionError(
      path: file.path, .json(offset: 0, text: "this is " + found.instead(of: expected)))
  }

  /// Descriptions are small; anything larger is no description.
  private static let maximumBytes = 64 << 20

  private static func json(_ path: String) throws(ConversionError) -> JSONValue {
    let file: MappedFile
    do throws(FileError) { file = try MappedFile(path: path) } catch {
      throw ConversionError(path: path, .file(error))
    }
    try requireFetched(file, expected: "a JSON text")
    do {
      return try file.withBytes(0..<file.count) { bytes in
        try JSONValue.parse(
          bytes, limits: JSONLimits(maximumBytes: Self.maximumBytes, allowsMark: true))
      }
    } catch let error as JSONError {
      if let kind = FileKind.sniff(file), kind != .json {
        throw ConversionError(
          path: path,
          .json(offset: error.offset, text: "this is " + kind.instead(of: "a JSON text")))
      }
      throw ConversionError(path: path, .json(offset: error.offset, text: error.description))
    } catch {
      throw ConversionError(path: path, .json(offset: 0, text: "\(error)"))
    }
  }

  // MARK: - Preprocessing

  private static let processorName = "preprocessor_config.json"
  /// Where a `ProcessorMixin` of transformers 5 keeps the same, as one of several parts.
  private static let partsName = "processor_config.json"

  /// What an image model's files say, or its makers' defaults: timm's, torchvision's, or CLIP's at
  /// the side `clip`.
  ///
  /// - Parameters:
  ///   - model: whose names the tensors have, and the geometry.
  ///   - color: what the model sees.
  ///   - metadata: of the checkpoint's own file; what lies beside it comes first.
  mutating func preprocessing(
    _ description: JSONValue?, given: String?, of model: ModelCheckpoint, color: ColorMode,
    inside metadata: [(key: String, value: String)], notes: inout [Note]
  ) throws -> Preprocessing {
    let type = description?["model_type"]?.stringValue
    func steps(_ json: JSONValue, _ path: String) throws(PreprocessingError) -> Preprocessing {
      try Preprocessing(checkpointConfig: json, name: path, model: type, color: color)
    }
    if let given, let json = try read(file: given) { return try steps(json, given) }
    if let processor = try read(Self.processorName) {
      return try steps(processor, folder + "/" + Self.processorName)
    }
    if let part = try part(folder) { return try steps(part, folder + "/" + Self.partsName) }
    if let description,
      let found = try Self.preprocessing(description, color, path: folder + "/config.json")
    {
      // Which of two sizes it is goes by a third statement.
      if let built = description["model_args"]?["img_size"], built != .null,
        let stated = description["pretrained_cfg"]?["input_size"], let size = found.fixedSize,
        stated.arrayValue?.dropFirst() != (built.arrayValue ?? [built, built])[...]
      {
        notes.append(
          Note(
            "config.json: model_args.img_size is \(built.serialized()), and pretrained_cfg.input_size "
              + "\(stated.serialized()): pictures are shown at \(size.width)×\(size.height)",
            .preprocessor(.otherSteps)))
      }
      return found
    }
    let own = model.assumedSteps
    switch own ?? model.description.config.assumedSteps(naming: model.naming) {
    case .timm:
      return Self.assumed(.timmDefault, "timm's defaults for ImageNet", color, metadata, &notes)
    case .timmWhole(let side):
      return Self.assumed(
        .timmWhole(side: side), "timm's for such models", color, metadata, &notes)
    case .torchvision(let side):
      return Self.assumed(
        .torchvision(resize: side), "torchvision's for its models", color, metadata, &notes)
    case .clip(let side):
      notes.append(
        Note(
          "no preprocessing beside the weights: assuming CLIP's, at a side of \(side)",
          .preprocessor(.otherSteps)))
      return Self.clip(side)
    case .processor(let json, let owner):
      notes.append(
        Note(
          "no preprocessing beside the weights: assuming \(owner)", .preprocessor(.otherSteps)))
      return try Preprocessing(checkpointConfig: json, name: owner, model: type, color: color)
    }
  }

  /// What the training script's settings in the checkpoint say; what they leave open is as in
  /// `base`, which `maker` describes.
  private static func assumed(
    _ base: Preprocessing, _ maker: String, _ color: ColorMode,
    _ metadata: [(key: String, value: String)], _ notes: inout [Note]
  ) -> Preprocessing {
    for (key, text) in metadata {
      let last = key.split(separator: ".").last.map(String.init) ?? ""
      guard ClassNameKeys.rank(last) == nil, let json = try? JSONValue.parse(text) else { continue }
      let stated = PreprocessingSettingKeys.all.filter { json[$0] != nil }
      guard !stated.isEmpty else { continue }
      let place = "'\((key.isEmpty ? stated[0] : key).escapedForDisplay())' in the checkpoint"
      do throws(PreprocessingError) {
        let steps = try Preprocessing.trained(json, name: place, over: base, color: color)
        notes.append(
          Note(
            "preprocessing from \(place) (\(stated.joined(separator: ", "))), the rest as "
              + "\(maker): \(steps.summary)", .preprocessor(.otherSteps)))
        return steps
      } catch {
        notes.append(Note("", error, ": left out"))
      }
    }
    let steps = base.inColor(color)
    notes.append(
      Note(
        "no preprocessing beside the weights: assuming \(maker), \(steps.summary)",
        .preprocessor(.otherSteps)))
    return steps
  }

  private static func clip(_ side: Int) -> Preprocessing {
    Preprocessing(
      resize: .shortestEdge(side), crop: .init(width: side, height: side, rounding: .floor),
      normalization: .clip)
  }

  /// `image_processor` of a folder's `processor_config.json`; nil where there is none.
  private mutating func part(_ folder: String) throws(ConversionError) -> JSONValue? {
    let file = folder + "/" + Self.partsName
    guard try Self.isThere(file), let part = try Self.json(file)["image_processor"],
      part.objectValue != nil
    else { return nil }
    if !files.contains(file) { files.append(file) }
    return part
  }

  /// The preprocessing that a description states, nil when it states none.
  private static func preprocessing(
    _ json: JSONValue, _ color: ColorMode, path: String
  ) throws(PreprocessingError) -> Preprocessing? {
    do {
      return try Preprocessing(checkpointConfig: json, name: path, color: color)
    } catch {
      if case .unknownKind = error.problem { return nil }
      throw error
    }
  }

  /// What a LLaVA does to a picture: its tower's processor, as upstream takes it, behind the
  /// padding that the model's `image_aspect_ratio` asks for, or cut into tiles.
  ///
  /// - Parameter tiles: sizes for them; nil for a model that sees a picture as one.
  mutating func llavaPreprocessing(
    _ config: any VisionTowerConfig, _ description: JSONValue?, _ tower: VisionTowerFolder,
    _ towerDescription: JSONValue?, tiles: TileSizes?, given: String?, notes: inout [Note]
  ) throws -> Preprocessing {
    let own = folder + "/" + Self.processorName
    let file =
      given ?? tower.file(Self.processorName) ?? (FileSystem.exists(own) ? own : nil)
    var result: Preprocessing
    if let side = config.ownProcessorSide, given == nil {
      result = Self.clip(side)
    } else if given == nil, let steps = towerDescription?["image_processor"] {
      // A vision half in GGUF says it itself; what lies beside it is another model's.
      result = try Preprocessing(checkpointConfig: steps, name: type(of: config).family)
    } else if let file, let json = try read(file: file) {
      result = try Preprocessing(checkpointConfig: json, name: file)
    } else if let part = try tower.path.flatMap({ path in try part(path) }) ?? part(folder) {
      result = try Preprocessing(checkpointConfig: part, name: folder + "/" + Self.partsName)
    } else if let model = config as? any ModelConfig,
      case .processor(let json, let owner) = model.assumedSteps(naming: "")
    {
      notes.append("no \(Self.processorName): assuming \(owner)")
      result = try Preprocessing(checkpointConfig: json, name: owner)
    } else if let side = towerDescription?["image_size"]?.intValue, (1...16_384).contains(side) {
      notes.append(
        "no \(Self.processorName): assuming CLIP's, at the tower's image_size of \(side)")
      result = Self.clip(side)
    } else {
      throw ConversionError(
        path: own,
        .preprocessing(
          "missing, here and in the vision tower's folder; it alone says how large a picture the "
            + "tower sees", .preprocessor(.absent)))
    }
    if let tower = config as? SmolVLMVisionConfig { return try withFilms(result, tower) }
    if let tiles {
      return try result.tiled(
        AnyResolution(sizes: tiles.sizes, padsSeveral: tiles.padsSeveral),
        name: folder + "/config.json")
    }
    guard result.tiling == nil else {
      throw ConversionError(
        path: file ?? own,
        .preprocessing(
          "cuts pictures into tiles, expected the steps of a model that sees a picture as one",
          .preprocessor(.otherSteps)))
    }
    let ratio = description?["image_aspect_ratio"] ?? .null
    switch ratio {
    case .string("pad"): result = result.paddedWithMean()
    case .null, .string("square"): break
    default:
      throw ModelError(
        file: folder + "/config.json",
        .configuration(
          field: "image_aspect_ratio", found: ratio.serialized(), expected: "pad or square"))
    }
    return result
  }
}
