import Testing
import VLMCheckpoint
import VLMFoundation
import VLMTensor
import VLMTestSupport

@testable import VLMModels

/// What is made of the names and the description of a MobileNetV4 or an EfficientViT.
struct MobileNetCheckpointTests {
  typealias Names = [CheckpointFacts.Name]

  static let folders = [
    "conv-small", "conv-medium", "hybrid-large", "efficientvit-b", "efficientvit-l", "conv-aa",
  ]

  static func names(_ folder: String) throws -> Names {
    let path = TestFiles.fixture("mobilenet/\(folder)/model.safetensors")
    return try SafetensorsFile.read(path: path).tensors.map { ($0.name, $0.shape) }
  }

  static func found(
    _ folder: String, _ json: JSONValue? = nil
  ) throws -> MobileNetCheckpoint {
    try #require(try MobileNetCheckpoint(try names(folder), json), "\(folder)")
  }

  static func refusal(_ names: Names, _ json: JSONValue?) -> String {
    let error = thrownError(ModelError.self) { try MobileNetCheckpoint(names, json) }
    return error?.description ?? "nothing"
  }

  static func changed(_ json: JSONValue, _ key: String, _ value: JSONValue) -> JSONValue {
    var object = json.objectValue ?? JSONObject()
    object.set(key, value)
    return .object(object)
  }

  @Test("each tensor of the manifest comes from the file, and none is left over")
  func manifest() throws {
    for folder in Self.folders {
      let found = try Self.found(folder)
      let specs = try ModelDescription(MobileNetFamily.self, found.config).manifest()
      #expect(Set(specs.map(\.path)) == Set(found.tensors.keys), "\(folder)")
      for spec in specs { #expect(found.tensors[spec.path]?.shape == spec.shape, "\(spec.path)") }
      #expect(found.unexpected.isEmpty, "\(folder)")
      let read = Set(found.tensors.values.flatMap(\.stored))
      #expect(read.isDisjoint(with: found.unused), "\(folder)")
      let names = try Self.names(folder)
      #expect(read.count + found.unused.count == names.count, "\(folder)")
    }
  }

  @Test("a classifier without a bias is missed where the model is named, else told of")
  func classifierBias() throws {
    for (folder, name, bias) in [
      ("conv-small", "mobilenetv4_conv_small", "classifier.bias"),
      ("efficientvit-b", "efficientvit_b0", "head.classifier.4.bias"),
    ] {
      let names = try Self.names(folder).filter { $0.name != bias }
      try #require(try names.count == Self.names(folder).count - 1)
      #expect(Self.refusal(names, ["architecture": .string(name)]).contains(bias))
      let found = try #require(try MobileNetCheckpoint(names, nil))
      #expect(
        found.config.head.last == .linear(outputs: folder == "conv-small" ? 5 : 3, bias: false))
      #expect(found.notes.contains { $0.description.contains("has no bias, unlike") }, "\(folder)")
    }
  }

  @Test(
    "what smooths stands in the place of strides where the name says so, and is read back",
    arguments: [("aa", MobileNetConfig.Smoothing.mean, 2), ("blur", .blur, 3)])
  func smoothed(_ kind: (name: String, smoothing: MobileNetConfig.Smoothing, kernel: Int)) throws {
    let names = try Self.names("conv-\(kind.name)")
    let json: JSONValue = [
      "architecture": .string("mobilenetv4_conv_\(kind.name)_medium"), "num_classes": 3,
    ]
    let config = try #require(try MobileNetCheckpoint(names, json)).config
    let plain = try Self.found("conv-\(kind.name)").config
    func layers(_ config: MobileNetConfig) -> [MobileNetConfig.Layer] {
      config.stages.flatMap { $0 }.flatMap { block -> [MobileNetConfig.Layer] in
        guard case .bottleneck(let block) = block else { return [] }
        return block.layers
      }
    }
    #expect(layers(config).filter { $0.smoothing == kind.smoothing }.count == 4)
    let none = layers(plain).allSatisfy { $0.smoothing == nil }
    #expect(none && config.stride == plain.stride)
    #expect(try MobileNetConfig(json: config.json) == config)
    let hostile: [(String, JSONValue)] = [
      ("kernel", .int(5 - kind.kernel)), ("stride", 1), ("outputs", 4), ("activation", "relu"),
      (kind.smoothing.rawValue, 1), (kind.smoothing == .mean ? "blur" : "mean", true),
    ]
    var smooth: JSONValue = ["kernel": .int(kind.kernel), "stride": 2, "activation": "none"]
    smooth = Self.changed(smooth, kind.smoothing.rawValue, true)
    for (key, value) in hostile {
      let block: JSONValue = [
        "type": "bottleneck", "residual": false, "scale": false,
        "layers": .array([Self.changed(smooth, key, value)]),
      ]
      let json = Self.changed(config.json, "stages", [["blocks": .array([block])]])
      #expect(thrownError(ModelError.self) { try MobileNetConfig(json: json) } != nil, "\(key)")
    }
  }

  @Test("a container's configuration is read as it was written")
  func json() throws {
    for folder in Self.folders {
      let config = try Self.found(folder).config
      #expect(try MobileNetConfig(json: config.json) == config, "\(folder)")
      #expect(config.stride == 32, "\(folder)")
    }
  }

  @Test("the first block of a stage halves the map, and only what keeps its shape is residual")
  func strides() throws {
    let config = try Self.found("conv-small").config
    #expect(config.stages.map { $0.map(\.stride) }.map { $0.first } == [2, 2, 2, 2, 1])
    let residual = config.stages.flatMap { $0 }.map { block in
      if case .bottleneck(let block) = block { block.isResidual } else { true }
    }
    #expect(residual == [false, false, false, false, false, true, true, false, true, true, false])
  }

  @Test("what no shape tells follows from the model's name, else a note says what is taken")
  func activations() throws {
    func first(_ config: MobileNetConfig) -> Activation? {
      if case .bottleneck(let block) = config.stem[0] { block.layers[0].activation } else { nil }
    }
    let small = try Self.found("conv-small", ["architecture": "mobilenetv4_conv_small"])
    #expect(first(small.config) == .relu && small.notes.isEmpty)
    let silent = try Self.found("conv-small")
    #expect(first(silent.config) == .relu)
    #expect(silent.notes.contains { "\($0)".contains("ReLUs") })
    #expect(first(try Self.found("hybrid-large").config) == .gelu)
    #expect(first(try Self.found("efficientvit-b").config) == .hardSwish)
    #expect(first(try Self.found("efficientvit-l").config) == .geluTanh)
    let stated = try Self.found(
      "conv-small",
      ["architecture": "mobilenetv4_conv_small", "model_args": ["act_layer": "gelu"]])
    #expect(first(stated.config) == .gelu)
    let epsilons = try ["efficientvit-b", "efficientvit-l"].map { folder in
      try Self.found(folder).config.head.contains(
        .layerNorm(epsilon: folder == "efficientvit-l" ? 1e-7 : 1e-5))
    }
    #expect(epsilons == [true, true])
  }

  @Test(
    "a description that contradicts the tensors, or is of another model, is refused by its field")
  func contradictions() throws {
    let names = try Self.names("efficientvit-b")
    let described: JSONValue = ["architecture": "efficientvit_b0", "num_classes": 3]
    let cases: [(key: String, value: JSONValue)] = [
      ("widths", [5, 6, 8, 14, 20]), ("head_dim", 8), ("num_classes", 4), ("in_chans", 1),
      ("norm_layer", "layernorm"), ("norm_eps", -1), ("global_pool", "max"),
    ]
    for (key, value) in cases {
      let text = Self.refusal(names, Self.changed(described, "model_args", [key: value]))
      #expect(text.contains(key), "\(text)")
    }
    #expect(
      Self.refusal(names, Self.changed(described, "num_classes", 0)).contains("num_classes"))
    let small = try Self.names("conv-small")
    let namesake = thrownError(ModelError.self) {
      try MobileNetFamily.recognise(
        CheckpointFacts(
          names: [("patch_embed.conv1.conv.weight", [8, 3, 3, 3])],
          description: ["architecture": "efficientvit_m0"]))
    }
    #expect(try #require(namesake).description.contains("efficientvit_m0"))
    #expect(
      Self.refusal(
        small,
        ["architecture": "mobilenetv4_conv_small", "model_args": ["aa_layer": "avg"]]
      ).contains("aa_layer"))
  }

  @Test("a tensor that does not fit the others is refused by its name")
  func misfits() throws {
    let cases: [(folder: String, suffix: String, shape: [Int]?)] = [
      ("conv-small", "blocks.2.0.dw_start.conv.weight", [8, 2, 5, 5]),
      ("conv-small", "blocks.2.0.pw_proj.conv.weight", [16, 25, 1, 1]),
      ("conv-small", "blocks.2.0.pw_exp.bn.running_var", [25]),
      ("conv-small", "blocks.1.0.conv.weight", [16, 8, 3]),
      ("conv-small", "norm_head.bias", nil),
      ("hybrid-large", "blocks.2.1.attn.value.proj.weight", [40, 16, 1, 1]),
      ("hybrid-large", "blocks.2.1.attn.key.norm.running_mean", nil),
      ("hybrid-large", "blocks.2.1.attn.value.down_conv.weight", nil),
      ("hybrid-large", "blocks.3.1.layer_scale.gamma", nil),
      ("efficientvit-b", "stages.2.blocks.0.main.inverted_conv.conv.bias", nil),
      ("efficientvit-b", "stages.2.blocks.1.context_module.main.qkv.conv.weight", [35, 14, 1, 1]),
      ("efficientvit-b", "stages.2.blocks.1.context_module.main.aggreg.0.1.weight", [35, 4, 1, 1]),
      ("efficientvit-b", "stages.2.blocks.1.context_module.main.proj.norm.bias", nil),
      ("efficientvit-b", "head.classifier.4.weight", [3]),
    ]
    for (folder, suffix, shape) in cases {
      let names: Names = try Self.names(folder).compactMap { name in
        guard name.name == suffix else { return name }
        return shape.map { (name.name, $0) }
      }
      #expect(names.contains { $0.name == suffix } == (shape != nil), "\(suffix)")
      let text = Self.refusal(names, nil)
      #expect(text.contains(suffix), "\(suffix): \(text)")
    }
  }

  @Test("numbers that no such network has are refused, wherever a container states them")
  func hostile() throws {
    let json = try Self.found("hybrid-large").config.json
    let layer: JSONValue = ["kernel": 3, "stride": 2, "outputs": 8, "activation": "relu"]
    func bottleneck(_ layer: JSONValue, residual: Bool = false) -> JSONValue {
      [
        [
          "type": "bottleneck", "layers": [layer], "residual": .bool(residual), "scale": false,
        ]
      ]
    }
    var count = 0
    let layers: [(key: String, value: JSONValue)] = [
      ("kernel", 4), ("kernel", 1_000_001), ("stride", 0), ("stride", 1_073_741_824),
      ("outputs", 0), ("outputs", 1_099_511_627_776), ("activation", "swishy"),
    ]
    for (key, value) in layers {
      let changed = Self.changed(
        json, "stem", bottleneck(Self.changed(layer, key, value)))
      #expect(thrownError(ModelError.self) { try MobileNetConfig(json: changed) } != nil, "\(key)")
      count += 1
    }
    let attention: [JSONValue] = [
      ["type": "linear_attention", "heads": 1_000_000, "dimension": 1_000_000, "kernels": [5]],
      ["type": "linear_attention", "heads": 1, "dimension": 8, "kernels": [4]],
      ["type": "shared_attention", "heads": 0, "dimension": 8, "scale": false],
      ["type": "shared_attention", "heads": 1, "dimension": 8, "reduction": 2, "scale": false],
      ["type": "mamba"],
    ]
    for block in attention {
      let changed = Self.changed(json, "stages", [["blocks": [block]]])
      #expect(thrownError(ModelError.self) { try MobileNetConfig(json: changed) } != nil)
      count += 1
    }
    let others: [(key: String, value: JSONValue)] = [
      ("stages", []), ("stem", bottleneck(layer, residual: true)), ("layers", []),
      ("final", Self.changed(layer, "kernel", 3)), ("is_classifier", 1),
    ]
    for (key, value) in others {
      let changed = Self.changed(json, key, value)
      #expect(thrownError(ModelError.self) { try MobileNetConfig(json: changed) } != nil, "\(key)")
      count += 1
    }
    #expect(count == 17)
  }
}
