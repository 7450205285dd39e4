import VLMContainer
import VLMFoundation
import VLMImages
import VLMModels
import VLMTensor

/// What a model can be asked for.
public struct Capabilities: OptionSet, Sendable, Hashable {
  /// One bit for each capability; those of the C interface, which never change.
  public let rawValue: UInt32

  /// A set from its bits.
  public init(rawValue: UInt32) { self.rawValue = rawValue }

  /// `Session.classify(_:top:)`: it has classes of its own.
  public static let classifiesImages = Capabilities(rawValue: 1)
  /// `Session.embed(_:)` of an image.
  public static let embedsImages = Capabilities(rawValue: 2)
  /// `Session.embed(_:)` of a text, into the space of its images.
  public static let embedsTexts = Capabilities(rawValue: 4)
  /// `Session.classify(_:as:top:)`: it tells which of some texts an image is most like.
  public static let classifiesByText = Capabilities(rawValue: 8)
  /// `Conversation.ask(_:about:options:onText:)` with pictures.
  public static let seesPictures = Capabilities(rawValue: 16)
  /// `Conversation.ask(_:about:options:onText:)` with text.
  public static let writesText = Capabilities(rawValue: 32)

  /// The names of all of them, by bit, as `Model.describe()` has them.
  static let names = [
    "classifies_images", "embeds_images", "embeds_texts", "classifies_by_text", "sees_pictures",
    "writes_text",
  ]
}

extension Model {
  /// What this model can be asked for; anything else is refused with `.notCapable`.
  public var capabilities: Capabilities {
    var result: Capabilities = []
    if let language {
      if language.tokenizer != nil { result.insert(.writesText) }
      if description.seesPictures { result.insert(.seesPictures) }
      return result
    }
    result.insert(.embedsImages)
    if description.classCount != nil { result.insert(.classifiesImages) }
    // A text tower without a tokenizer reads nothing.
    if description.tokenRows != nil, container.sections.contains(where: { $0.kind == .tokenizer }) {
      result.formUnion([.embedsTexts, .classifiesByText])
    }
    return result
  }

  /// Bytes of the file.
  public var fileByteCount: Int { container.file.count }

  /// Bytes of the weights.
  package var weightByteCount: Int { container.weightBytes }

  /// Numbers that were learned, over all tensors.
  public var parameterCount: Int {
    container.tensors.reduce(0) { $0 + $1.shape.reduce(1, *) }
  }

  /// What the file is, as a JSON object in UTF-8.
  ///
  /// Members: `schema` (1), `architecture`, `parameters`, `file_bytes`, `format_version` of this
  /// build, `capabilities` (an array of names), `schemes` (bytes of tensors by scheme, such as `q8`),
  /// `classes` (their number or null), `labels` (their names or null), `scores` ("softmax",
  /// "sigmoid", "raw" or null), `input` (how a picture is prepared, or null), `context_length`
  /// (positions that the language model was made for, or null), `config` (the geometry of the
  /// architecture), `instruction_set`, `threads`, `memory_bytes`
  /// (what the process may take where weights are read as they are used, or null). Members may be added.
  ///
  /// - Throws: `VLMZError` with `.badData` when a section of the file makes no sense.
  public func describe() throws(VLMZError) -> String {
    try VLMZError.wrapping { JSONValue.object(try descriptionObject()).serialized() }
  }

  private func descriptionObject() throws -> JSONObject {
    var schemes: [(name: String, bytes: Int)] = []
    for tensor in container.tensors {
      let name = tensor.format.scheme.name
      if let index = schemes.firstIndex(where: { $0.name == name }) {
        schemes[index].bytes += tensor.range.count
      } else {
        schemes.append((name, tensor.range.count))
      }
    }
    var bytes = JSONObject()
    for scheme in schemes { bytes.set(scheme.name, .int(scheme.bytes)) }
    let names = Capabilities.names.indices.filter { capabilities.rawValue & (1 << $0) != 0 }
      .map { JSONValue.string(Capabilities.names[$0]) }
    let labels = try container.labels(of: description)
    let seesImages = description.language == nil || description.seesPictures
    let input = seesImages ? try container.preprocessing(of: description).json() : .null
    let classes = description.classCount
    let scores: Scores? = classes == nil ? nil : labels?.scores ?? .softmax

    var object = JSONObject()
    object.set("schema", 1)
    object.set("architecture", .string(architecture))
    object.set("parameters", .int(parameterCount))
    object.set("file_bytes", .int(fileByteCount))
    object.set("format_version", .int(Int(Container.formatVersion)))
    object.set("capabilities", .array(names))
    object.set("schemes", .object(bytes))
    object.set("classes", classes.map { .int($0) } ?? .null)
    object.set("labels", labels?.names.map { .array($0.map { .string($0) }) } ?? .null)
    object.set("scores", scores.map { .string($0.rawValue) } ?? .null)
    object.set("input", input)
    object.set("context_length", description.language.map { .int($0.contextLength) } ?? .null)
    object.set("config", description.json)
    object.set("instruction_set", .string(kernels.name))
    object.set("threads", .int(pool.threadCount))
    object.set("memory_bytes", reading.map { .int($0.limit) } ?? .null)
    return object
  }
}
