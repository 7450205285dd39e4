import Foundation
import Testing
import VLMContainer
import VLMFoundation
import VLMImages
import VLMModels
import VLMTensor
import VLMTestSupport
import VLMText
import VLMZ

/// Containers that are sound as files, and whose parts are not a model.
@Suite("Cases of containers")
struct ContainerCaseTests {
  let folder: TemporaryFolder
  private var path: String { folder.path("case.vlmz") }

  init() throws { folder = try TemporaryFolder() }

  /// Opens a model as `vlm-run` does.
  private func open(_ model: SmallModel) throws {
    try model.write(path)
    let container = try Container.open(path: path)
    if try container.modelDescription().language == nil {
      _ = try Session(path: path, kernels: .best, threads: 1)
    } else {
      let session = try LoadedModel(
        path: path, kernels: .best, threads: 1, contextLength: 32)
      _ = try session.model.container.chatTemplates()
    }
  }

  /// The one line that refuses a model.
  private func refusal(
    _ model: SmallModel, sourceLocation: SourceLocation = #_sourceLocation
  ) throws -> String {
    do { try open(model) } catch let error as any ReportableError {
      #expect(error.exitStatus == .badData, "\(error)", sourceLocation: sourceLocation)
      #expect(error.description.hasPrefix(path), "\(error)", sourceLocation: sourceLocation)
      #expect(!error.description.contains("\n"), sourceLocation: sourceLocation)
      return error.description
    }
    Issue.record("opened", sourceLocation: sourceLocation)
    return ""
  }

  private static let names = [
    "convnext", "convnext-v2-q8", "clip-vit", "open-clip", "llama-q4", "llama-bf16", "llava",
    "llava-hr", "clip-model", "convnext-gray",
  ]

  @Test("the models that the cases start from open", arguments: names)
  func sound(_ name: String) throws { try open(try SmallModel(name)) }

  @Test("V42 an unknown architecture, and one whose tensors are another's, are refused")
  func architecture() throws {
    let model = try SmallModel("convnext")
    #expect(try refusal(model.with("config.architecture", "resnet")).contains("'resnet'"))
    #expect(try refusal(model.with("config.architecture", "clip_vit")).contains("clip_vit"))
    // A smaller model than its tensors, and a larger one.
    for channels in [8, 24] {
      let other = model.with("config.convnext.stages.2.channels", .int(channels))
      #expect(try refusal(other).contains("stages.2"))
    }
  }

  @Test("V43 sizes that cannot be are refused by the field's name")
  func sizes() throws {
    let cases: [(String, String, JSONValue)] = [
      ("llama-bf16", "llama.layers", .int(1 << 31)), ("llama-bf16", "llama.layers", 0),
      ("llama-bf16", "llama.heads", 0), ("llama-q4", "llama.key_value_heads", 3),
      ("llama-bf16", "llama.key_value_heads", 0), ("llama-bf16", "llama.head_dimension", 0),
      ("llama-bf16", "llama.epsilon", .double(-1)), ("llama-bf16", "llama.epsilon", "NaN"),
      ("llama-bf16", "llama.vocabulary", 0), ("llama-bf16", "llama.rope_base", 0),
      ("clip-vit", "clip_vit.image_size", 0), ("clip-vit", "clip_vit.image_size", 1_000_000_000),
      ("clip-vit", "clip_vit.patch_size", 0), ("clip-vit", "clip_vit.patch_size", -14),
      ("clip-vit", "clip_vit.encoder.heads", 0), ("clip-vit", "clip_vit.encoder.heads", 3),
      ("convnext", "convnext.stages.0.kernel", 0), ("convnext", "convnext.stages.0.depth", -1),
      ("convnext", "convnext.stages.1.downsample.padding", -1),
      ("convnext", "convnext.stages.1.downsample.stride", 0),
      ("convnext", "convnext.stem.size", 0), ("convnext", "convnext.epsilon", .null),
    ]
    for (name, field, value) in cases {
      let text = try refusal(try SmallModel(name).with("config." + field, value))
      let last = field.split(separator: ".").last ?? ""
      #expect(text.contains(last), "\(field): \(text)")
    }
  }

  @Test("V45 a tensor that is missing, left over or of another shape is named", arguments: names)
  func tensors(_ name: String) throws {
    let model = try SmallModel(name)
    for index in [0, model.tensors.count / 2, model.tensors.count - 1] {
      let spec = model.tensors[index]
      var missing = model
      missing.tensors.remove(at: index)
      #expect(try refusal(missing).contains(spec.path))
      var other = model
      other.tensors[index] = TensorSpec(
        path: spec.path, shape: spec.shape.dropLast() + [(spec.shape.last ?? 0) + 1],
        role: spec.role)
      #expect(try refusal(other).contains(spec.path))
    }
    var extra = model
    extra.tensors.append(TensorSpec(path: "left.over", shape: [3], role: .vector))
    #expect(try refusal(extra).contains("left.over"))
  }

  @Test("V46 a tower, a projector and a language model of different widths are refused")
  func widths() throws {
    for (field, value) in [("projector.inputs", 13), ("projector.outputs", 17)] {
      let text = try refusal(
        try SmallModel("llava").with("config.llava." + field, .int(value)))
      #expect(text.contains("projector"), "\(text)")
    }
  }

  @Test("V47 descriptions that are no JSON, deep, or twice the same key are refused")
  func json() throws {
    let model = try SmallModel("convnext")
    let deep = String(repeating: "[", count: 10_000)
    for text in [
      deep, "{\"architecture\": \"convnext\", \"architecture\": \"convnext\"}", "{\"a\": 1e99999}",
      "", "{", "[]", "{} {}",
    ] where !text.isEmpty {
      for part in ["config", "preprocess", "labels"] {
        #expect(try !refusal(model.with(part, .string(text))).isEmpty, "\(part)")
      }
    }
  }

  @Test("V48 V50 ids beyond the vocabulary are refused when they are met, not looked up")
  func vocabulary() throws {
    var model = try SmallModel("llama-bf16")
    let file = TestFiles.fixture("stories260K/tokenizer.model")
    let bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: file)))
    model.tokenizer = try Tokenizer(sentencePiece: bytes, file: file).serialized()
    try model.with("generation.stop_tokens", [5_000_000]).write(path)
    do {
      let session = try LoadedModel(
        path: path, kernels: .best, threads: 1, contextLength: 32)
      _ = try session.generate("Once upon a time", GenerationOptions(maximumTokens: 2))
      Issue.record("ids of a vocabulary of 512 in a model of 33")
    } catch let error as any ReportableError {
      #expect(error.exitStatus == .badData, "\(error)")
    }
    for stop in [-1, Int.max] {
      let text = try refusal(model.with("generation.stop_tokens", [.int(stop)]))
      #expect(text.contains("stop"), "\(text)")
    }
  }

  @Test("V49 a tokenizer that is cut off, or no tokenizer, is refused")
  func tokenizer() throws {
    var model = try SmallModel("llama-bf16")
    for bytes in [[1], [UInt8](repeating: 0xff, count: 5000), Array("{}".utf8)] as [[UInt8]] {
      model.tokenizer = bytes
      #expect(try !refusal(model).isEmpty)
    }
  }

  @Test("V51 a conversation template that this build does not know is refused by its name")
  func template() throws {
    let model = try SmallModel("llama-bf16")
    let text = try refusal(model.with("template", ["template": "loop forever"]))
    #expect(text.contains("'loop forever'"))
  }

  @Test("V52 preprocessing that makes no sense is refused")
  func preprocessing() throws {
    let model = try SmallModel("convnext")
    let cases: [(String, JSONValue)] = [
      ("normalize.mean", [0.5, 0.5]), ("normalize.std", [1, 0, 1]), ("normalize.std", [1, 1]),
      ("normalize.std", [1, "NaN", 1]), ("filter", "sinc"), ("resize.shortest_edge", 0),
      ("crop.width", 0), ("crop.height", -3), ("crop.width", 1_000_000_000),
    ]
    for (field, value) in cases {
      let text = try refusal(model.with("preprocess." + field, value))
      #expect(!text.isEmpty, "\(field)")
    }
  }

  @Test(
    "steps for pictures of other channels than the model's are refused, at the latest when it runs")
  func channels() throws {
    let gray: JSONValue = ["mean": [0.5], "std": [0.5]]
    func changed(_ name: String) throws -> SmallModel {
      try SmallModel(name).with("preprocess.channels", "gray").with("preprocess.normalize", gray)
        .with("preprocess.pad", .null)
    }
    for name in ["llava", "llava-hr"] {
      #expect(try refusal(changed(name)).contains("'gray'"))
    }
    for name in ["convnext", "clip-vit"] {
      try changed(name).write(path)
      let session = try Session(path: path, kernels: .best, threads: 1)
      let pixels = try session.preprocessing.apply(
        VLMImages.Image(width: 30, height: 30, filledWith: .white), name: "white")
      let error = thrownError(ModelError.self) { try session.run([pixels]) }
      #expect(error?.problem == .image(found: "1 channel", expected: "3, the model's"))
    }
    let model = try SmallModel("convnext-gray")
    for (field, value): (String, JSONValue) in [
      ("channels", "cmyk"), ("channels", 1), ("normalize.mean", [0.5, 0.5, 0.5]),
      ("pad", [1, 2, 3]),
    ] {
      let text = try refusal(model.with("preprocess." + field, value))
      #expect(!text.isEmpty, "\(field)")
    }
  }

  @Test("fields that files may lack are checked where they are there")
  func optionalFields() throws {
    for (name, field, value): (String, String, JSONValue) in [
      ("convnext-gray", "convnext.norm", "batch"), ("convnext-gray", "convnext.norm", "layer"),
      ("clip-model", "open_clip.text.layout", "other"),
      ("clip-model", "open_clip.text.end_token", 40),
      ("clip-model", "open_clip.image_vit.projection", 9),
      ("clip-model", "open_clip.image_vit.projection", 0),
      ("clip-model", "open_clip.image_vit.feature", "patches"),
      ("clip-vit", "clip_vit.layout", "open_clip"),
      ("llava-hr", "llava.tower.multi_resolution.fast.class_token_shown", true),
    ] {
      let text = try refusal(try SmallModel(name).with("config." + field, value))
      #expect(!text.isEmpty, "\(field)")
    }
  }

  @Test("V53 a table of positions with other rows than the picture has patches is refused")
  func positions() throws {
    let model = try SmallModel("clip-vit")
    for size in [14, 42, 56] {
      let text = try refusal(model.with("config.clip_vit.image_size", .int(size)))
      #expect(text.contains("position"), "\(text)")
    }
  }
}
