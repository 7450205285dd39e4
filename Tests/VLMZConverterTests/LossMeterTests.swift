import Foundation
import Testing
import VLMContainer
import VLMConversion
import VLMFoundation
import VLMImages
import VLMModels
import VLMTensor
import VLMTestSupport
import VLMText
import VLMZ

@testable import VLMZConverter

/// Losses against what the same models say when they are asked directly.
@Suite("Measured losses")
struct LossMeterTests {
  let folder: TemporaryFolder
  private let pool = WorkerPool(threadCount: 2)

  init() throws { folder = try TemporaryFolder() }

  private func container(_ input: String, _ scheme: WeightScheme) throws -> Container {
    let path = folder.path("\(scheme.name).vlmz")
    try CalibrationFixture.converter(input, scheme, nil).convert(to: path)
    return try Container.open(path: path)
  }

  private func meter(
    _ reference: Container, _ paths: [String], tokens: Int = 8192
  ) throws -> LossMeter {
    var limits = EvaluationItems.Limits()
    limits.tokens = tokens
    return try LossMeter(
      reference: reference, try CalibrationData(paths: paths), limits: limits,
      folder: folder.url.path, pool: pool, kernels: .best)
  }

  private func text(words: Int) throws -> String {
    let path = folder.path("text.txt")
    try Data(CalibrationFixture.text(words: words).utf8).write(to: URL(fileURLWithPath: path))
    return path
  }

  @Test("of text it is the divergence that vlm-bench measures, and nothing for the reference")
  func language() throws {
    let text = try text(words: 900)
    let exact = try container(CalibrationFixture.stories, .f32)
    let stored = try container(CalibrationFixture.stories, .q4)
    let meter = try meter(exact, [text])
    #expect(meter.items.sequences.count >= 2)
    func generator(_ container: Container) throws -> TextGenerator {
      let model = try Model(container, kernels: .best, pool: pool)
      return try model.requireLanguage().generator(pool: pool, contextLength: 512)
    }
    let (q, p) = (try generator(stored), try generator(exact))
    let tokenizer = try #require(p.tokenizer)
    let content = try String(contentsOf: URL(fileURLWithPath: text), encoding: .utf8)
    let quality = try LanguageQuality(
      q, ids: try tokenizer.encode(content, bos: false, eos: false, parsesSpecial: false),
      window: 512, bos: tokenizer.addsBOS ? tokenizer.bos : nil, countsHalf: true, reference: p)
    let measured = try meter.measure(try Model(stored, kernels: .best, pool: pool))
    let tokens = measured.sequences.flatMap(\.tokens)
    #expect(tokens.count == quality.tokens)
    #expect(tokens.map(\.loss).mean == quality.meanLoss)
    let divergence = try #require(quality.meanDivergence)
    let loss = try #require(measured.loss)
    // Products of f32 matrices round by the number of rows.
    #expect(abs(loss - divergence) <= 1e-7)
    #expect(divergence > 0.001)
    let agreeing = tokens.count { $0.comparison?.sameBest ?? false }
    #expect(Double(agreeing) / Double(tokens.count) == quality.agreement)
    #expect(try meter.loss(of: exact) == 0)
  }

  @Test("of a classifier it is the mean divergence of its answers; damaged pictures do not count")
  func classifier() throws {
    let names = ["chelsea.png", "coffee.png", "horse.png", "rocket.jpg"]
    let paths = names.map { CalibrationFixture.pictures + "/" + $0 }
    let damaged = TestFiles.fixture("pictures/png-cut.png")
    let exact = try container(CalibrationFixture.classifier, .f32)
    let stored = try container(CalibrationFixture.classifier, .q4)
    let meter = try meter(exact, [damaged] + paths)
    #expect(meter.outputs.skipped.map(\.item) == [.picture(0)])
    let sessions = try [exact, stored].map { container in
      try Session(of: try Model(container, kernels: .best, pool: pool))
    }
    let divergences = try paths.map { path -> Double in
      let pixels = try sessions[0].preprocessing.apply(
        try ImageDecoder.open(path: path), name: path)
      let logits = try sessions.map { try #require($0.run([pixels])[0].logits) }
      return try #require(
        ClassScores.divergence(of: logits[1], from: logits[0], as: .softmax))
    }
    let loss = try meter.loss(of: stored)
    #expect(abs(loss - divergences.mean) <= 1e-7)
    #expect(loss > 0)
    #expect(try meter.loss(of: exact) == 0)
    #expect(throws: EvaluationError.self) { try self.meter(exact, [damaged]) }
  }

  @Test("of a model of pictures and texts it is how far its embeddings turn")
  func embeddings() throws {
    let captions = folder.path("captions.txt")
    try Data("a red square\na blue circle\n\na dog\n".utf8)
      .write(to: URL(fileURLWithPath: captions))
    let exact = try container(CalibrationFixture.clip, .f32)
    let stored = try container(CalibrationFixture.clip, .q4)
    let meter = try meter(exact, [CalibrationFixture.pictures, captions])
    #expect(meter.items.captions.count == 3)
    let measured = try meter.measure(try Model(stored, kernels: .best, pool: pool))
    #expect(measured.captionCosines.count == 3)
    let cosines = measured.pictures.compactMap { $0.comparison?.cosine }
    #expect(cosines.count == meter.items.pictures.count)
    #expect(measured.pictures.allSatisfy { $0.comparison?.retrieval != nil })
    let loss = try #require(measured.loss)
    #expect(abs(loss - (1 - (cosines + measured.captionCosines).mean)) <= 1e-12)
    #expect(loss > 1e-5 && loss < 0.2)
  }

  @Test("of a LLaVA it is the divergence on its own answers, which the reference repeats")
  func pictures() throws {
    let pictures = ["cat.png", "coins.png", "cup.png", "rocket.png"]
      .map { TestFiles.golden("convllava-trained/" + $0) }
    let exact = try container(CalibrationFixture.llava, .f32)
    let stored = try container(CalibrationFixture.llava, .q3)
    let meter = try meter(exact, pictures, tokens: 512)
    let own = try meter.measure(try Model(exact, kernels: .best, pool: pool))
    #expect(own.loss == 0)
    // An answer that the model wrote is one that it finds most probable.
    #expect(own.sequences.flatMap(\.tokens).allSatisfy { $0.isBest })
    #expect(own.sequences.flatMap(\.visualCosines).allSatisfy { abs($0 - 1) < 1e-9 })
    let measured = try meter.measure(try Model(stored, kernels: .best, pool: pool))
    #expect(try #require(measured.loss) > 0)
    #expect(measured.sequences.allSatisfy { !$0.visualCosines.isEmpty })
  }

  @Test("nothing is left beside the model, and a cancelled measurement ends")
  func cancellation() throws {
    let text = try text(words: 900)
    let exact = try container(CalibrationFixture.stories, .f32)
    let meter = try meter(exact, [text])
    let files = try FileManager.default.contentsOfDirectory(atPath: folder.url.path)
    #expect(files.sorted() == ["f32.vlmz", "text.txt"])
    let flag = CancellationFlag()
    var steps = 0
    #expect(throws: WorkCancelled.self) {
      try meter.loss(of: exact, cancelled: flag) { _, _, _ in
        steps += 1
        if steps == 3 { flag.cancel() }
      }
    }
    #expect(steps == 3)
  }

  @Test("a disk without room is an error that says how much it takes")
  func room() throws {
    let error = thrownError(EvaluationError.self) {
      try ReferenceOutputs(in: folder.url.path, expecting: 1 << 60)
    }
    guard case .noRoom(_, let needed, _)? = error?.problem else {
      Issue.record("\(String(describing: error))")
      return
    }
    #expect(needed == 1 << 60)
    #expect(error?.exitStatus == .osError)
  }
}
