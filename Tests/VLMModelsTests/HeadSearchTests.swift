import Testing
import VLMFoundation
import VLMTensor

@testable import VLMModels

/// What is made of the tensors on top of a trunk of 8 channels, from names and shapes alone.
struct HeadSearchTests {
  typealias Name = CheckpointFacts.Name

  private func search(
    _ outer: [Name], inner: [Name] = [], option: HeadActivationOption? = nil, widths: [Int] = [8]
  ) -> HeadSearch.Outcome {
    HeadSearch(
      inner: HeadModule.modules(of: inner), outer: HeadModule.modules(of: outer),
      prefix: ["backbone"], option: option
    ).run(widths)
  }

  private func layers(
    _ outer: [Name], option: HeadActivationOption? = nil
  ) throws -> [HeadLayer] {
    guard case .found(let found) = search(outer, option: option) else {
      throw ModelError(.missingTensor("a head"))
    }
    return found.layers
  }

  private static func linear(_ name: String, _ inputs: Int, _ outputs: Int) -> [Name] {
    [(name + ".weight", [outputs, inputs]), (name + ".bias", [outputs])]
  }

  private static func norm(_ name: String, _ count: Int, batch: Bool = false) -> [Name] {
    [(name + ".weight", [count]), (name + ".bias", [count])]
      + (batch ? [(name + ".running_mean", [count]), (name + ".running_var", [count])] : [])
  }

  static let first = HeadLayer.linear(outputs: 6, bias: true)
  static let last = HeadLayer.linear(outputs: 3, bias: true)
  static let layerNorm = HeadLayer.layerNorm(epsilon: 1e-5)
  static let batchNorm = HeadLayer.batchNorm(epsilon: 1e-5, affine: true)
  static let gelu = HeadLayer.activation(.gelu)

  @Test("gaps between positions are layers without parameters, the first of them an activation")
  func gaps() throws {
    let ends: (Int) -> [Name] = { Self.linear("fc.0", 8, 6) + Self.linear("fc.\($0)", 6, 3) }
    #expect(try layers(ends(1)) == [Self.first, Self.last])
    #expect(try layers(ends(2)) == [Self.first, Self.gelu, Self.last])
    #expect(try layers(ends(3)) == [Self.first, Self.gelu, Self.last])
    let behind = try layers(ends(3) + Self.norm("fc.1", 6, batch: true))
    #expect(behind == [Self.first, Self.batchNorm, Self.gelu, Self.last])
    let before = try layers(ends(3) + Self.norm("fc.2", 6))
    #expect(before == [Self.first, Self.gelu, Self.layerNorm, Self.last])
    let none = try layers(ends(2) + Self.norm("fc.1", 6))
    #expect(none == [Self.first, Self.layerNorm, Self.last])
  }

  @Test("positions count as numbers, whatever the order of the file")
  func order() throws {
    let names = Self.linear("fc.10", 6, 3) + Self.linear("fc.2", 8, 6) + Self.linear("fc.4", 6, 6)
    let middle = HeadLayer.linear(outputs: 6, bias: true)
    #expect(
      try layers(names) == [Self.first, Self.gelu, middle, Self.gelu, Self.last])
  }

  @Test("named layers are put in the order that their shapes leave")
  func named() throws {
    let names = Self.linear("fc", 6, 3) + Self.norm("bn", 6, batch: true)
    let hidden = Self.linear("hidden", 8, 6)
    #expect(try layers(names + hidden) == [Self.first, Self.batchNorm, Self.gelu, Self.last])
    let layer = Self.linear("fc", 6, 3) + hidden + Self.norm("norm", 6)
    #expect(try layers(layer) == [Self.first, Self.gelu, Self.layerNorm, Self.last])
  }

  @Test("the user says what the file leaves open, and nothing else")
  func option() throws {
    let names = Self.linear("fc.0", 8, 6) + Self.linear("fc.2", 6, 3)
    #expect(
      try layers(names, option: .kind(.relu)) == [Self.first, .activation(.relu), Self.last])
    #expect(try layers(names, option: .nothing) == [Self.first, Self.last])
    guard case .found(let found) = search(names) else {
      Issue.record("no head")
      return
    }
    #expect(found.isOpen && found.notes.count == 1)
    #expect(found.notes[0].contains("Linear 8→6, gelu, Linear 6→3"))
    #expect(found.notes[0].hasSuffix("; another can be named, or none"))
    guard case .found(let plain) = search(Self.linear("fc", 8, 3)) else {
      Issue.record("no head")
      return
    }
    #expect(!plain.isOpen && plain.notes.isEmpty)
  }

  @Test("a single logit is a head, and so are 1×1 convolutions")
  func shapes() throws {
    #expect(try layers([("fc.weight", [1, 8])]) == [.linear(outputs: 1, bias: false)])
    #expect(
      try layers([("fc.weight", [3, 8, 1, 1]), ("fc.bias", [3])]) == [Self.last])
  }

  static let faults: [(String, [Name])] = [
    ("two heads", linear("age", 8, 6) + linear("sex", 8, 3)),
    ("two square heads", linear("fc_a", 8, 8) + linear("fc_b", 8, 8)),
    ("two heads of other tasks", linear("head_color", 8, 8) + linear("head_shape", 8, 3)),
    ("numbered heads", linear("head1", 8, 8) + linear("head2", 8, 8)),
    ("a list of heads", linear("heads.0", 8, 8) + linear("heads.1", 8, 8)),
    ("a gate", linear("gate", 8, 8) + linear("fc", 8, 3)),
    (
      "two heads on a hidden layer",
      linear("hidden", 8, 6) + linear("age", 6, 6) + linear("sex", 6, 6)
    ),
    ("a cosine head's scale", [("fc.weight", [3, 8]), ("scale", [])]),
    ("a temperature", linear("fc", 8, 3) + [("logit_scale", [])]),
    ("a loose bias", [("fc.weight", [3, 8]), ("bias", [3])]),
    ("its own normalisation", linear("fc", 8, 3) + [("mean", [1, 3, 1, 1]), ("std", [3])]),
    ("a scale deeper down", linear("head.fc", 8, 3) + [("temperature.value", [1])]),
    ("a norm alone", norm("norm", 8)),
    ("a norm's scale alone", [("norm.weight", [8])]),
    ("a neck's vectors alone", [("neck.gamma", [8])]),
    ("a map's decoder", [("decoder.0.weight", [4, 8, 3, 3])]),
    ("a norm without bias", linear("fc.0", 8, 6) + [("fc.1.weight", [6])] + linear("fc.2", 6, 3)),
    ("another width", linear("fc", 16, 3)),
    ("weight norm", [("fc.weight_g", [3, 1]), ("fc.weight_v", [3, 8]), ("fc.bias", [3])]),
    ("a loss with its own classes", [("criterion.weight", [3, 8])]),
    ("a table", [("prototypes", [3, 8])]),
    ("more than any head has", (0..<60).flatMap { linear("fc.\($0)", 8, 8) }),
  ]

  @Test(
    "what is no sequence of linear layers and norms is a fault that names it", arguments: faults)
  func fault(_ name: String, _ names: [Name]) {
    guard case .fault(let fault) = search(names) else {
      Issue.record("\(name): no fault")
      return
    }
    #expect(!fault.tensors.isEmpty && Set(fault.tensors).isSubset(of: Set(names.map(\.name))))
  }

  static let ordered: [[String]] = [
    ["fc.0", "fc.2"], ["fc.2", "fc.10"], ["fc.0", "fc.1"], ["fc1", "fc2"], ["fc_1", "fc_2"],
    ["head.layer1", "head.layer2"], ["fc", "fc2"], ["hidden", "out"], ["linear1", "classifier"],
    ["head.pre_logits.fc", "head.fc"], ["head.mlp.fc1", "head.mlp.fc2"],
    ["classifier.dense", "classifier.out_proj"], ["mlp.0.linear", "mlp.1.linear"],
    ["heads.0", "heads.2"],
  ]

  @Test("square layers follow one another as their names say", arguments: ordered)
  func squares(_ names: [String]) {
    for order in [names, names.reversed()] {
      guard case .found(let found) = search(order.flatMap { Self.linear($0, 8, 8) }) else {
        Issue.record("\(order): no head")
        continue
      }
      #expect(found.sources["0.weight"]?.original == names[0] + ".weight")
      #expect(found.sources["\(found.layers.count - 1).bias"]?.original == names[1] + ".bias")
    }
  }

  @Test("tensors in no module that fit nothing of a head are no part of it")
  func unrelated() throws {
    let others: [Name] = [
      ("kept", [5]), ("mask", [2, 7]), ("none", [0, 4]), ("copy", [8, 3, 4, 4]),
    ]
    #expect(try layers(Self.linear("fc", 8, 3) + others) == [Self.last])
  }

  @Test("layers of a list have an activation between them, which the file does not say")
  func list() {
    let names = Self.linear("mlp.layers.0", 8, 6) + Self.linear("mlp.layers.1", 6, 3)
    guard case .found(let found) = search(names) else {
      Issue.record("no head")
      return
    }
    #expect(found.layers == [Self.first, Self.gelu, Self.last] && found.isOpen)
  }

  @Test("weights of losses, counters and positions are no head")
  func nothing() {
    let names: [Name] = [
      ("criterion.weight", [3]), ("n_averaged", []), ("bn.num_batches_tracked", []),
      ("text.position_ids", [1, 77]), ("logit_scale", []), ("global_step", [1]),
      ("class_weights", [3]), ("loss_fn.pos_weight", [3]), ("ema.num_updates", []),
      ("blocks.relative_position_index", [49, 49]),
    ]
    guard case .nothing = search(names) else {
      Issue.record("a head")
      return
    }
  }

  @Test("a head on the features leaves the model's own out, one on its classes does not")
  func ownHead() throws {
    let own = Self.linear("backbone.head.fc", 8, 10)
    guard case .found(let beside) = search(Self.linear("fc", 8, 3), inner: own),
      case .found(let behind) = search(Self.linear("fc", 10, 3), inner: own)
    else {
      Issue.record("no head")
      return
    }
    #expect(beside.layers == [Self.last] && beside.notes.contains { $0.contains("left out") })
    #expect(behind.layers == [.linear(outputs: 10, bias: true), Self.last])
  }

  @Test("the layers survive the container's JSON; numbers that no head has are refused")
  func json() throws {
    let layers: [HeadLayer] = [
      Self.batchNorm, .linear(outputs: 6, bias: false), .activation(.tanh), Self.layerNorm,
      .batchNorm(epsilon: 1e-3, affine: false), Self.last,
    ]
    func read(_ json: JSONValue) throws(ModelError) -> [HeadLayer] {
      try [HeadLayer](ConfigFields(["layers": json], path: "head"))
    }
    #expect(try read(layers.json) == layers)
    #expect(layers.outputs(inputs: 8) == 3)
    #expect(throws: ModelError.self) { try read([["type": "softmax"]]) }
    #expect(throws: ModelError.self) { try read([["type": "activation", "name": "none"]]) }
    let many = [HeadLayer](repeating: Self.gelu, count: 65)
    #expect(throws: ModelError.self) { try many.validate("head") }
    #expect(throws: ModelError.self) {
      try [HeadLayer.linear(outputs: 0, bias: true)].validate("head")
    }
    #expect(throws: ModelError.self) { try [HeadLayer.layerNorm(epsilon: 0)].validate("head") }
  }
}
