import VLMFoundation
import VLMTensor

/// An architecture of decoders: what transformers and llama.cpp call it and its fields, and which
/// `DecoderTraits` it has. Its layers are LLaMA's, in `LLaMA/LLaMABlock.swift`.
///
/// One is a folder beside this file and a line in `Decoders.all`; LLaMA itself is in `LLaMA`.
protocol DecoderArchitecture: Sendable {
  /// The classes of transformers, and the `model_type`s.
  static var stated: StatedClasses { get }
  /// Keys of `config.json`.
  static var keys: ConfigKeys { get }
  /// What its class takes where `config.json` is silent.
  static var usual: DecoderDefaults { get }
  /// What its class adds to the weights of norms, which GGUF files have added.
  static var normOffset: Float { get }
  /// Whether `adapt` reads the rule by which frequencies are scaled, too.
  static var scalesByItself: Bool { get }
  /// Makes LLaMA's configuration, read from `config.json`, this architecture's.
  ///
  /// - Throws: `ModelError` naming a field that is wrong.
  static func adapt(_ config: inout LLaMAConfig, to fields: ConfigFields) throws(ModelError)

  /// `general.architecture` of its GGUF files.
  static var ggufNames: [String] { get }
  /// Keys that its GGUF files have beside those of every language model.
  static var ggufKeys: Set<String> { get }
  /// Whether GGUF files have the rows of queries and keys in the order for a rotation of neighbours.
  static var ggufTurnsNeighbours: Bool { get }
  /// The same as `adapt(_:to:)` for the metadata of a GGUF file.
  static func adapt(_ config: inout LLaMAConfig, to gguf: GGUFFields) throws(ModelError)
}

extension DecoderArchitecture {
  static var usual: DecoderDefaults { DecoderDefaults() }
  static var normOffset: Float { 0 }
  static var scalesByItself: Bool { false }
  static var ggufKeys: Set<String> { [] }
  static var ggufTurnsNeighbours: Bool { false }
}

/// What a class of transformers takes where `config.json` is silent. Most sizes have no default: a file
/// that does not state them is no description.
struct DecoderDefaults: Sendable {
  /// Nil: it has to be stated.
  var epsilon: Double?
  var positions = 2048
  var ropeBase = 10_000.0
  /// Whether the head is the table of embeddings.
  var tiesHead = false
  /// Nil: it has to be stated.
  var vocabulary: Int?
  /// Nil: they have to be stated.
  var heads: Int?
  /// Nil: the hidden width shared out.
  var headDimension: Int?
  /// Nil: as many as queries have.
  var keyValueHeads: Int?
  var attentionBias = false
  /// Whether the projection behind the attention has a bias where the others have.
  var hasOutputBias = true
  /// Whether transformers 5 describes the rotation of each type of layer by itself.
  var nestsRotation = false
  /// Of the gate.
  var activation = Activation.silu
  /// The key of the gate's activation, and what values of it mean: silu and swish are one function.
  var activationKey = "hidden_act"
  var activations: KeyValuePairs<String, Activation> = ["silu": .silu, "swish": .silu]
}

/// The architectures of decoders.
enum Decoders {
  static let all: [any DecoderArchitecture.Type] = [
    LLaMAArchitecture.self,
    MistralArchitecture.self,
    Qwen2Architecture.self,
    Qwen3Architecture.self,
    SmolLM3Architecture.self,
    Phi3Architecture.self,
    Gemma2Architecture.self,
    Gemma3Architecture.self,
    GraniteArchitecture.self,
    OLMo2Architecture.self,
    OLMo3Architecture.self,
  ]

  /// What `config.json` states; LLaMA where it states nothing.
  ///
  /// - Throws: `ModelError` for a class or a type that is no decoder's.
  static func stated(in json: JSONValue) throws(ModelError) -> any DecoderArchitecture.Type {
    let fields = ConfigFields(json, path: "config.json")
    var found: (any DecoderArchitecture.Type)?
    let names = try fields.statedStrings("architectures") ?? []
    for name in names {
      guard let architecture = all.first(where: { $0.stated.classes.contains(name) }) else {
        throw fields.unexpected(
          "architectures", name,
          expected: LLaMAConfig.architectures.sorted().joined(separator: ", "))
      }
      found = found ?? architecture
    }
    guard let type = try fields.statedString("model_type") else {
      return found ?? LLaMAArchitecture.self
    }
    guard let typed = all.first(where: { $0.stated.types.contains(type) }) else {
      throw fields.unexpected(
        "model_type", type, expected: LLaMAConfig.types.sorted().joined(separator: ", "))
    }
    // A LLaVA's class does not say which language model it has; its type does, or else says as little.
    if let found, typed == LLaMAArchitecture.self { return found }
    return typed
  }

  /// That of a GGUF file.
  static func gguf(named name: String) -> (any DecoderArchitecture.Type)? {
    all.first { $0.ggufNames.contains(name) }
  }
}

/// The metadata of a GGUF file of a language model, whose keys begin with its architecture.
struct GGUFFields {
  let fields: ConfigFields
  /// `general.architecture`.
  let name: String

  func key(_ rest: String) -> String { "\(name).\(rest)" }

  func int(
    _ rest: String, _ range: ClosedRange<Int>, default fallback: Int? = nil
  ) throws(ModelError) -> Int {
    try fields.int(key(rest), range, default: fallback)
  }

  func statedDouble(_ rest: String) throws(ModelError) -> Double? {
    try fields.statedDouble(key(rest))
  }

  /// Positions that a query sees; nil where there is no window.
  func window() throws(ModelError) -> Int? {
    let window = try int("attention.sliding_window", 0...Int(UInt32.max), default: 0)
    return window > 0 ? min(window, LLaMAConfig.maximumContext) : nil
  }
}
