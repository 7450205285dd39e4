import VLMFoundation
import VLMTensor

/// SmolLM3 (Hugging Face, 2025): LLaMA, some of whose layers do not turn queries and keys, as in Yang et
/// al., "RoPE to NoPE and Back Again".
enum SmolLM3Architecture: DecoderArchitecture {
  static let stated = StatedClasses(
    classes: ["SmolLM3ForCausalLM"], types: ["smollm3"], patterns: ["SmolLM3…"])
  static let keys = ConfigKeys.llama.adding(free: ["no_rope_layers", "no_rope_layer_interval"])
  static let usual = DecoderDefaults(
    epsilon: 1e-6, positions: 32_768, ropeBase: 2_000_000, tiesHead: true)

  static func adapt(_ config: inout LLaMAConfig, to fields: ConfigFields) throws(ModelError) {
    let turns = try turns(fields, layers: config.layers)
    stop(&config) { !turns[$0] }
    let window = try fields.slidingWindow(isUsed: false)
    try config.slide(fields, window: window) { !turns[$0] }
  }

  /// Whether each layer has rotary positions. Despite its name, 1 in `no_rope_layers` means yes.
  private static func turns(_ fields: ConfigFields, layers: Int) throws(ModelError) -> [Bool] {
    let key = "no_rope_layers"
    guard let stated = try fields.statedInts(key) else {
      let interval = try fields.int("no_rope_layer_interval", 1...1000, default: every)
      return (0..<layers).map { ($0 + 1) % interval != 0 }
    }
    guard stated.count == layers, stated.allSatisfy({ $0 == 0 || $0 == 1 }) else {
      throw fields.refusal(
        key, found: "\(stated.count) numbers", expected: "\(layers) of 0 and 1, one for each layer")
    }
    return stated.map { $0 == 1 }
  }

  /// Every so many layers one does not turn; llama.cpp knows no other rule.
  private static let every = 4

  private static func stop(_ config: inout LLaMAConfig, where stops: (Int) -> Bool) {
    config.traits.layers = (0..<config.layers).map { index in
      LayerTraits(rotation: stops(index) ? .none : .global)
    }
  }

  static let ggufNames = ["smollm3"]
  static let ggufTurnsNeighbours = true

  static func adapt(_ config: inout LLaMAConfig, to gguf: GGUFFields) throws(ModelError) {
    stop(&config) { ($0 + 1) % every == 0 }
    config.traits.slide(config.layers, window: try gguf.window()) { _ in true }
  }
}
