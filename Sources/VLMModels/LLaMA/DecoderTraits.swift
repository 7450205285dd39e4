import VLMFoundation
import VLMTensor

/// What a decoder does beside or instead of LLaMA's arithmetic. The value of no arguments is LLaMA.
///
/// Every architecture of decoders is LLaMA's block with some of these: a block binds them once, when it
/// is made, and none of the forward passes asks which architecture it runs.
package struct DecoderTraits: Sendable, Equatable {
  /// What scores are multiplied by; nil: 1/√headDimension.
  package var scoreScale: Float?
  /// c of `c tanh(score / c)`; nil: scores stay as they are.
  package var scoreCap: Float?
  /// The same of logits.
  package var logitCap: Float?
  /// What logits are multiplied by, before their cap.
  package var logitScale: Float
  /// What the embeddings of tokens are multiplied by.
  package var embeddingScale: Float
  /// The same of what a projector makes of pictures.
  package var pictureScale: Float
  /// What attention and gated layer make is multiplied by, before it is added to the residual stream.
  package var residualScale: Float
  /// Of the gate.
  package var activation: Activation
  package var norms: NormPlacement
  /// How queries and keys are normed before they turn.
  package var queryNorms: QueryNorms
  /// Elements at the start of each head that turn; nil: all.
  package var rotaryDimension: Int?
  /// The base of the frequencies, unscaled, of layers whose rotation is `.local`.
  package var localBase: Double?
  /// For each layer what is its own; empty: all are as LLaMA's.
  package var layers: [LayerTraits]

  package init(
    scoreScale: Float? = nil, scoreCap: Float? = nil, logitCap: Float? = nil,
    logitScale: Float = 1, embeddingScale: Float = 1, pictureScale: Float = 1,
    residualScale: Float = 1, activation: Activation = .silu, norms: NormPlacement = .before,
    queryNorms: QueryNorms = .none, rotaryDimension: Int? = nil, localBase: Double? = nil,
    layers: [LayerTraits] = []
  ) {
    self.scoreScale = scoreScale
    self.scoreCap = scoreCap
    self.logitCap = logitCap
    self.logitScale = logitScale
    self.embeddingScale = embeddingScale
    self.pictureScale = pictureScale
    self.residualScale = residualScale
    self.activation = activation
    self.norms = norms
    self.queryNorms = queryNorms
    self.rotaryDimension = rotaryDimension
    self.localBase = localBase
    self.layers = layers
  }

  /// Whether a decoder of these traits has a tensor of our name `name`, if LLaMA has it or could.
  func has(_ name: String) -> Bool {
    func ends(_ names: String...) -> Bool { names.contains { name.hasSuffix($0 + ".weight") } }
    if queryNorms == .none, ends("self_attn.q_norm", "self_attn.k_norm") { return false }
    return norms != .behind || !ends("input_layernorm", "pre_feedforward_layernorm")
  }

  /// What is layer `index`'s own.
  package func layer(_ index: Int) -> LayerTraits {
    layers.isEmpty ? LayerTraits() : layers[index]
  }

  /// Gives layers a window where `slides` says so, and leaves what else they have.
  mutating func slide(_ count: Int, window: Int?, where slides: (Int) -> Bool) {
    guard let window, (0..<count).contains(where: slides) else { return }
    if layers.isEmpty { layers = Array(repeating: LayerTraits(), count: count) }
    for index in 0..<count where slides(index) { layers[index].window = window }
  }
}

/// Where a block has its norms.
package enum NormPlacement: String, Sendable, CaseIterable {
  /// Before the attention and before the gated layer.
  case before
  /// There, and behind each of them too, before their outputs are added: Gemma 2 and 3.
  case around
  /// Behind each of them alone: OLMo 2 and 3.
  case behind
}

/// How queries and keys are divided by the root of their mean square.
package enum QueryNorms: String, Sendable, CaseIterable {
  /// Not at all.
  case none
  /// Each head by its own, with one weight for all heads.
  case heads
  /// All heads of a position by one.
  case whole
}

/// What is one layer's own.
package struct LayerTraits: Sendable, Equatable {
  /// How its queries and keys turn with their positions.
  package enum Rotation: String, Sendable, CaseIterable {
    /// By `ropeBase` and `ropeScaling`.
    case global
    /// By `localBase`.
    case local
    /// Not at all.
    case none
  }

  package var rotation: Rotation
  /// Positions that a query sees, its own and those before; nil: all.
  package var window: Int?

  package init(rotation: Rotation = .global, window: Int? = nil) {
    self.rotation = rotation
    self.window = window
  }
}

extension DecoderTraits {
  /// Refuses what no decoder has.
  ///
  /// - Parameters:
  ///   - layers: that the model has.
  ///   - headDimension: in 2...1024.
  func validate(layers count: Int, headDimension: Int) throws(ModelError) {
    func refuse(_ field: String, _ found: String, _ expected: String) -> ModelError {
      ModelError(.configuration(field: "llama.\(field)", found: found, expected: expected))
    }
    let numbers: [(String, Float?)] = [
      ("score_scale", scoreScale), ("score_cap", scoreCap), ("logit_cap", logitCap),
      ("logit_scale", logitScale), ("embedding_scale", embeddingScale),
      ("picture_scale", pictureScale), ("residual_scale", residualScale),
    ]
    for (field, number) in numbers {
      guard let number else { continue }
      guard number >= 1e-6, number <= 1e6 else {
        throw refuse(field, "\(number)", "a number from 1e-6 to 1e6")
      }
    }
    if let rotaryDimension {
      guard rotaryDimension >= 2, rotaryDimension <= headDimension, rotaryDimension % 2 == 0 else {
        throw refuse(
          "rotary_dimension", "\(rotaryDimension)",
          "an even number, at most \(headDimension), the head's")
      }
    }
    if let localBase {
      guard localBase > 1, localBase <= 1e15 else {
        throw refuse("local_base", "\(localBase)", "more than 1, at most 1e15")
      }
    }
    guard layers.isEmpty || layers.count == count else {
      throw refuse("layers", "traits of \(layers.count)", "those of \(count), or none")
    }
    for layer in layers {
      guard layer.rotation != .local || localBase != nil else {
        throw refuse("local_base", "nothing", "a number, as some layers turn by it")
      }
      guard (1...LLaMAConfig.maximumContext).contains(layer.window ?? 1) else {
        throw refuse("window", "\(layer.window ?? 0)", "1 to \(LLaMAConfig.maximumContext)")
      }
    }
  }
}

// MARK: - JSON of the container's config section

extension DecoderTraits {
  var json: JSONObject {
    var object = JSONObject()
    func set(_ key: String, _ value: Float?) {
      if let value { object.set(key, .double(value.shortestDouble)) }
    }
    set("score_scale", scoreScale)
    set("score_cap", scoreCap)
    set("logit_cap", logitCap)
    set("embedding_scale", embeddingScale)
    for (key, scale) in [
      ("logit_scale", logitScale), ("picture_scale", pictureScale),
      ("residual_scale", residualScale),
    ] where scale != 1 {
      set(key, scale)
    }
    object.set("activation", .string(activation.rawValue))
    object.set("norms", .string(norms.rawValue))
    // A reader that does not know norms of the whole width refuses the text.
    object.set(
      "norms_heads",
      queryNorms == .whole ? .string(queryNorms.rawValue) : .bool(queryNorms == .heads))
    if let rotaryDimension { object.set("rotary_dimension", .int(rotaryDimension)) }
    if let localBase { object.set("local_base", .double(localBase)) }
    object.set(
      "layers",
      .array(
        layers.map { layer in
          var object = JSONObject()
          object.set("rotation", .string(layer.rotation.rawValue))
          if let window = layer.window { object.set("window", .int(window)) }
          return .object(object)
        }))
    return object
  }

  /// Reads what `json` wrote.
  init(_ fields: ConfigFields) throws(ModelError) {
    func number(_ key: String) throws(ModelError) -> Float? {
      try fields.statedDouble(key).map { Float($0) }
    }
    func choice<Choice: RawRepresentable & CaseIterable>(
      _ fields: ConfigFields, _ key: String, _: Choice.Type
    ) throws(ModelError) -> Choice where Choice.RawValue == String {
      let name = try fields.string(key)
      if let choice = Choice(rawValue: name) { return choice }
      throw fields.unexpected(
        key, name, expected: Choice.allCases.map(\.rawValue).joined(separator: ", "))
    }
    var queryNorms = QueryNorms.none
    if fields.value["norms_heads"]?.stringValue != nil {
      queryNorms = try choice(fields, "norms_heads", QueryNorms.self)
    } else if try fields.bool("norms_heads") {
      queryNorms = .heads
    }
    var layers: [LayerTraits] = []
    for layer in try fields.objects("layers", limit: 1000) {
      layers.append(
        LayerTraits(
          rotation: try choice(layer, "rotation", LayerTraits.Rotation.self),
          window: try layer.statedInt("window")))
    }
    self.init(
      scoreScale: try number("score_scale"), scoreCap: try number("score_cap"),
      logitCap: try number("logit_cap"), logitScale: try number("logit_scale") ?? 1,
      embeddingScale: Float(try fields.double("embedding_scale")),
      pictureScale: try number("picture_scale") ?? 1,
      residualScale: try number("residual_scale") ?? 1,
      activation: try fields.activation("activation"),
      norms: try choice(fields, "norms", NormPlacement.self),
      queryNorms: queryNorms,
      rotaryDimension: try fields.statedInt("rotary_dimension"),
      localBase: try fields.statedDouble("local_base"), layers: layers)
  }
}
