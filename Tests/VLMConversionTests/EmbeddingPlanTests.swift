import Testing
import VLMConversion
import VLMTensor

@Suite("plans for embeddings")
struct EmbeddingPlanTests {
  /// How a table of embeddings is stored when everything is asked for in `scheme`.
  func format(_ role: TensorRole, _ scheme: Scheme) throws -> TensorFormat {
    let recorder = ManifestRecorder()
    let kernels = try #require(KernelSet(named: "scalar"))
    let weights = Weights(recorder, kernels: kernels)["embed"]
    _ = try Embedding(weights, count: 300, dimension: 128, role: role)
    let plan = ConversionPlan(
      manifest: recorder.specs, policy: QuantizationPolicy(scheme: scheme))
    let item = try #require(plan.items.first)
    #expect(item.spec == TensorSpec(path: "embed.weight", shape: [300, 128], role: role))
    return item.format
  }

  @Test("4 bits are not for a table that is looked up, whether it is the output too or not")
  func fourBits() throws {
    #expect(try format(.embedding, .q4) == TensorFormat(scheme: .q8, layout: .panels))
    #expect(try format(.head, .q4) == TensorFormat(scheme: .q8, layout: .panels))
  }

  @Test("every other scheme is taken as asked for")
  func others() throws {
    #expect(try format(.embedding, .f32) == TensorFormat(scheme: .f32))
    for scheme in [Scheme.f16, .bf16, .q8] {
      #expect(try format(.embedding, scheme) == TensorFormat(scheme: scheme, layout: .panels))
    }
  }

  @Test("a norm asks for one vector")
  func norm() throws {
    let recorder = ManifestRecorder()
    let kernels = try #require(KernelSet(named: "scalar"))
    _ = try RMSNorm(Weights(recorder, kernels: kernels)["norm"], channels: 64, epsilon: 1e-5)
    #expect(recorder.specs == [TensorSpec(path: "norm.weight", shape: [64], role: .vector)])
  }
}
