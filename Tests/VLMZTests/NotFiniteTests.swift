import Foundation
import Testing
import VLMContainer
import VLMImages
import VLMModels
import VLMTensor
import VLMTestSupport
import VLMText
import VLMZ

/// Models whose results are no numbers.
@Suite("Results that are no numbers")
struct NotFiniteTests {
  let folder: TemporaryFolder
  private var path: String { folder.path("case.vlmz") }

  init() throws { folder = try TemporaryFolder() }

  private func session(_ name: String, _ fillings: [String: Float]) throws -> Session {
    var model = try SmallModel(name)
    model.fillings = fillings
    try model.write(path)
    return try Session(path: path, kernels: .best, threads: 2)
  }

  private func picture(_ session: Session, _ value: Float = 0) -> PixelTensor {
    let side = session.description.trainedSide ?? 64
    let count = side * side * session.inputChannels
    return PixelTensor(height: side, width: side, values: .init(repeating: value, count: count))
  }

  @Test(
    "NaN and infinity in a bias or a weight are an error of the picture, not an answer",
    arguments: [Float.nan, .infinity, -.infinity, 3e38])
  func images(_ value: Float) throws {
    for name in ["convnext", "convnext-v2-q8", "clip-vit"]
    where value != 3e38 || name != "convnext-v2-q8" {
      let specs = try SmallModel(name).tensors
      // The last norm's shift reaches every result; 3e38 and a scale of it overflow.
      let norm = try #require(
        specs.last { $0.path.hasSuffix("norm.bias") || $0.path.hasSuffix("norm_pre.bias") })
      var fillings = [norm.path: value]
      if value == 3e38 {
        for spec in specs where spec.role == .head || spec.path == "projection" {
          fillings[spec.path] = value
        }
        guard fillings.count > 1 else { continue }
      }
      let session = try session(name, fillings)
      let error = thrownError(ModelError.self) { try session.run([picture(session)]) }
      guard case .notFinite(_, let count, _)? = error?.problem else {
        Issue.record("\(name): \(String(describing: error))")
        continue
      }
      #expect(count > 0)
      #expect(error?.exitStatus == .badData)
    }
  }

  @Test("only the picture that overflows fails, the others of its batch do not")
  func batch() throws {
    let session = try session("convnext", [:])
    var bad = picture(session)
    bad = PixelTensor(
      height: bad.height, width: bad.width,
      values: .init(repeating: .nan, count: bad.values.count))
    let results = try session.runEach([picture(session), bad, picture(session)])
    let isGood = results.map { result in
      if case .success = result { true } else { false }
    }
    #expect(isGood == [true, false, true])
    #expect(throws: ModelError.self) { try session.run([picture(session), bad]) }
  }

  @Test("a language model's logits that are no numbers are an error, at the prompt and in a score")
  func language() throws {
    for value in [Float.nan, .infinity, 3e38] {
      var model = try SmallModel("llama-bf16")
      let specs = model.tensors
      let norm = try #require(specs.first { $0.path == "norm.weight" })
      model.fillings = [norm.path: value, "embed_tokens.weight": 1, "lm_head.weight": 1]
      try model.write(path)
      let session = try LoadedModel(path: path, kernels: .best, threads: 1, contextLength: 32)
      let error = thrownError(GenerationError.self) {
        try session.generate([1, 2, 3], GenerationOptions(maximumTokens: 3))
      }
      #expect(error?.problem == .notNumbers(position: 2), "\(value)")
      #expect(error?.exitStatus == .badData)
      #expect(throws: GenerationError.self) {
        try LanguageQuality(
          session.generator, ids: Array(repeating: 1, count: 8), window: 8, bos: nil)
      }
    }
  }

  @Test("visual tokens that are no numbers are an error of the picture")
  func visualTokens() throws {
    var model = try SmallModel("llava")
    let bias = try #require(
      model.tensors.last { $0.path.hasPrefix("projector.") && $0.path.hasSuffix(".bias") })
    model.fillings = [bias.path: .nan]
    try model.write(path)
    let session = try LoadedModel(
      path: path, kernels: .best, threads: 1, contextLength: 32)
    let side = session.preprocessing.resolution ?? 28
    let pixels = PixelTensor(
      height: side, width: side, values: .init(repeating: 0, count: side * side * 3))
    let error = thrownError(ModelError.self) { try session.encode(pixels) }
    guard case .notFinite("visual tokens", _, _)? = error?.problem else {
      Issue.record("\(String(describing: error))")
      return
    }
  }
}
