import VLMFoundation
import VLMTensor

/// How a language model's makers want text to be generated: the content of the container's
/// `generation` section. A caller may ask for something else.
package struct GenerationDefaults: Sendable, Equatable {
  /// Any of these ends a text.
  package var stopTokens: [Int]
  /// Tokens are drawn; otherwise the most probable one is taken.
  package var samples: Bool
  package var temperature: Double
  /// 0 for all.
  package var topK: Int
  package var topP: Double
  package var minP: Double
  package var repeatPenalty: Double

  package init(
    stopTokens: [Int] = [], samples: Bool = false, temperature: Double = 1, topK: Int = 0,
    topP: Double = 1, minP: Double = 0, repeatPenalty: Double = 1
  ) {
    self.stopTokens = stopTokens
    self.samples = samples
    self.temperature = temperature
    self.topK = topK
    self.topP = topP
    self.minP = minP
    self.repeatPenalty = repeatPenalty
  }

  /// From transformers' `generation_config.json`, and from `config.json` where that is silent.
  package init(
    huggingFace generation: JSONValue?, config: JSONValue?
  ) throws(ModelError) {
    let fields = ConfigFields(generation ?? .object(JSONObject()), path: "generation_config.json")
    let ends = generation?["eos_token_id"] ?? config?["eos_token_id"] ?? .null
    let list = ends.arrayValue ?? (ends.isNull ? [] : [ends])
    self.init(
      stopTokens: list.compactMap(\.intValue),
      samples: try fields.bool("do_sample", default: false),
      temperature: try fields.double("temperature", default: 1),
      // transformers' own default, once tokens are drawn.
      topK: try fields.int("top_k", 0...Self.maximumTopK, default: 50),
      topP: try fields.double("top_p", default: 1),
      minP: try fields.double("min_p", default: 0),
      repeatPenalty: try fields.double("repetition_penalty", default: 1))
    guard list.count == stopTokens.count else {
      throw fields.unexpected("eos_token_id", ends.serialized(), expected: "ids")
    }
    try validate()
  }

  package var json: JSONValue {
    [
      "stop_tokens": .array(stopTokens.map { .int($0) }), "samples": .bool(samples),
      "temperature": .double(temperature), "top_k": .int(topK), "top_p": .double(topP),
      "min_p": .double(minP), "repeat_penalty": .double(repeatPenalty),
    ]
  }

  /// Reads what `json` wrote; every field is required and checked.
  package init(json: JSONValue) throws(ModelError) {
    let fields = ConfigFields(json, path: "generation")
    let ids = json["stop_tokens"]?.arrayValue ?? []
    self.init(
      stopTokens: ids.compactMap(\.intValue), samples: try fields.bool("samples"),
      temperature: try fields.double("temperature"),
      topK: try fields.int("top_k", 0...Self.maximumTopK), topP: try fields.double("top_p"),
      minP: try fields.double("min_p"), repeatPenalty: try fields.double("repeat_penalty"))
    guard json["stop_tokens"]?.arrayValue != nil, ids.count == stopTokens.count else {
      throw fields.unexpected("stop_tokens", "something else", expected: "an array of ids")
    }
    try validate()
  }

  private static let maximumTopK = 10_000_000
  private static let maximumStops = 1024

  private func validate() throws(ModelError) {
    func check(
      _ field: String, _ value: Double, _ range: ClosedRange<Double>
    ) throws(ModelError) {
      try ModelError.check("generation.\(field)", value, range)
    }
    try check("number of stop tokens", Double(stopTokens.count), 0...Double(Self.maximumStops))
    for id in stopTokens { try check("stop token", Double(id), 0...10_000_000) }
    try check("temperature", temperature, 0...100)
    try check("top_p", topP, 0...1)
    try check("min_p", minP, 0...1)
    try check("repeat_penalty", repeatPenalty, 0.01...100)
  }
}
