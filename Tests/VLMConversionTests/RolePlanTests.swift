import Testing
import VLMConversion
import VLMTensor
import VLMTestSupport

/// The roles that the model code gives to tensors, over whole models.
@Suite("roles of tensors")
struct RolePlanTests {
  private func plan(_ fixture: String) throws -> ConversionPlan {
    try Conversion(
      source: try SourceModel.open(path: TestFiles.fixture(fixture)),
      policy: QuantizationPolicy(scheme: .q4), ignoreUnexpected: true,
      pool: WorkerPool(threadCount: 1)
    ).plan
  }

  /// Models, and how many layers of a language model each has.
  static let models: [(fixture: String, layers: Int)] = [
    ("stories260K", 5), ("goldens/convllava-4stage/hf-A-safetensors", 3),
    ("goldens/llava-hr/hf-bin", 3), ("upstream/llava", 2), ("upstream/clip", 0),
    ("goldens/openclip-convnext/open_clip_model.safetensors", 0), ("convnext-cifar10", 0),
  ]

  @Test(
    "value and down projections are those of language models, one each a layer", arguments: models)
  func projections(_ fixture: String, _ layers: Int) throws {
    let items = try plan(fixture).items
    for (role, suffix) in [
      (TensorRole.valueProjection, ".self_attn.v_proj.weight"),
      (.downProjection, ".mlp.down_proj.weight"),
    ] {
      let found = items.filter { $0.spec.role == role }.map(\.spec.path)
      #expect(found == items.map(\.spec.path).filter { $0.hasSuffix(suffix) })
      #expect(found.count == layers)
    }
  }

  @Test(
    "a model has a head, or a table of embeddings that is one, when it answers", arguments: models)
  func heads(_ fixture: String, _ layers: Int) throws {
    let heads = try plan(fixture).items.filter { $0.spec.role == .head }
    #expect(
      heads.allSatisfy { $0.format.scheme == .q8 && $0.reason == "its product is the answer" })
    #expect(layers == 0 || !heads.isEmpty)
  }
}
