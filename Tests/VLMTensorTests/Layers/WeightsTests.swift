import Testing
import VLMTensor
import VLMTestSupport

/// Where layers get their tensors, and what is said where they cannot.
struct WeightsTests {
  private let kernels: KernelSet

  init() throws { kernels = try KernelSet.selected() }

  @Test("scopes make a tensor's path, in order of the requests")
  func paths() throws {
    let recorder = ManifestRecorder()
    let weights = Weights(recorder, kernels: kernels)
    _ = try Linear(weights["stages"][0]["fc"], inputs: 3, outputs: 5, bias: true)
    _ = try Linear(weights["head"], inputs: 5, outputs: 2, bias: false, role: .head)
    _ = try Embedding(weights["embed"], count: 7, dimension: 4)
    _ = try DepthwiseConvolution(
      weights[1]["dw"], channels: 6, kernel: 7, dilation: 1, bias: false)
    _ = try PatchConvolution(
      weights["stem"], inputs: 3, outputs: 8, geometry: PatchGeometry(kernel: 4, stride: 4),
      bias: true, role: .convolution)
    #expect(
      recorder.specs == [
        TensorSpec(path: "stages.0.fc.weight", shape: [5, 3], role: .matrix),
        TensorSpec(path: "stages.0.fc.bias", shape: [5], role: .vector),
        TensorSpec(path: "head.weight", shape: [2, 5], role: .head),
        TensorSpec(path: "embed.weight", shape: [7, 4], role: .embedding),
        TensorSpec(path: "1.dw.weight", shape: [6, 1, 7, 7], role: .depthwise),
        TensorSpec(path: "stem.weight", shape: [8, 3, 4, 4], role: .convolution),
        TensorSpec(path: "stem.bias", shape: [8], role: .vector),
      ])
  }

  @Test("each norm asks for what it multiplies by and adds, and no more")
  func norms() throws {
    let wanted: [(NormKind, [String])] = [
      (.layer, ["n.weight", "n.bias"]), (.rms, ["n.weight"]), (.simple, ["n.weight"]),
    ]
    for (kind, paths) in wanted {
      let recorder = ManifestRecorder()
      _ = try ChannelNorm(
        Weights(recorder, kernels: kernels)["n"], channels: 3, epsilon: 1e-6, kind)
      #expect(recorder.specs.map(\.path) == paths)
      #expect(recorder.specs.allSatisfy { $0.shape == [3] && $0.role == .vector })
    }
  }

  @Test("a tensor that is missing is named by its whole path")
  func missing() throws {
    let weights = Weights(try FloatWeights { _ in nil }, kernels: kernels)
    let error = thrownError(ModelError.self) {
      try Linear(weights["a"][2], inputs: 3, outputs: 4, bias: false)
    }
    #expect(error?.problem == .missingTensor("a.2.weight"))
  }

  static let said: [(problem: ModelError.Problem, text: String)] = [
    (.missingTensor("a\nb"), "m.vlmz: tensor 'a\\u{a}b': missing"),
    (
      .missingTensor("a", beside: "b"),
      "m.vlmz: tensor 'a': missing, here so called; next to it would be 'b'"
    ),
    (
      .shape("a", found: [3, 4], expected: [4, 3]),
      "m.vlmz: tensor 'a': shape [3, 4], expected [4, 3]"
    ),
    (
      .configuration(field: "depths", found: "\u{1b}[0m", expected: "a list"),
      "m.vlmz: config: depths: found \\u{1b}[0m, expected a list"
    ),
    (
      .contextFull(held: 3, added: 4, capacity: 5),
      "m.vlmz: context: found 3 positions and 4 more, expected at most 5"
    ),
  ]

  @Test("an error is one line with what was found and what was expected", arguments: said)
  func messages(_ problem: ModelError.Problem, _ text: String) {
    let error = ModelError(file: "m.vlmz", problem)
    #expect(error.description == text)
    #expect(error.exitStatus == .badData)
  }

  @Test("of a thousand tensors too many twenty are named")
  func unused() {
    let error = ModelError(.unusedTensors((0..<1000).map { "t\($0)" }))
    #expect(error.description.hasPrefix("1000 tensors that the model does not have: 't0', 't1'"))
    #expect(error.description.hasSuffix("'t19'"))
  }

  @Test("the file is named once, by whoever knows it first")
  func files() {
    let inner = thrownError(ModelError.self) {
      try ModelError.inFile("outer.vlmz") {
        try ModelError.inFile("inner.vlmz") { throw ModelError(.missingTensor("a")) }
      }
    }
    #expect(inner == ModelError(file: "inner.vlmz", .missingTensor("a")))
  }
}
