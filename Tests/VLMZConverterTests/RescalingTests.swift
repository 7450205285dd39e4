import Foundation
import Testing
import VLMCheckpoint
import VLMContainer
import VLMFoundation
import VLMModels
import VLMTensor
import VLMTestSupport
import VLMZ

@testable import VLMConversion
@testable import VLMZConverter

/// Inputs of matrices that are divided before the matrices are rounded.
@Suite("Rescaled inputs")
struct RescalingTests {
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  enum Subject: String, CaseIterable, CustomTestStringConvertible {
    case tiedGroupedHeads, biasesEverywhere, qwen2, llava, gemma2, granite, olmo2
    var testDescription: String { rawValue }

    /// Matrices of a layer whose input can be divided: OLMo 2 has no norms before the others.
    var matrices: Int { self == .olmo2 ? 1 : 6 }
  }

  /// A checkpoint of random weights in transformers' layout, or a trained LLaVA.
  private func checkpoint(_ subject: Subject) throws -> String {
    let (hidden, wide, heads, keyHeads) = (64, 96, 4, 2)
    var config = [
      #""vocab_size":50,"hidden_size":64,"num_hidden_layers":2,"num_attention_heads":4"#,
      #""num_key_value_heads":2,"intermediate_size":96,"rms_norm_eps":1e-5"#,
      #""max_position_embeddings":64,"hidden_act":"silu","rope_theta":10000.0"#,
    ]
    var (attentionBias, otherBias, isTied) = (false, false, false)
    switch subject {
    case .llava: return CalibrationFixture.llava
    case .gemma2, .granite, .olmo2: return TestFiles.fixture("decoders/\(subject.rawValue)")
    case .tiedGroupedHeads:
      isTied = true
      config += [#""architectures":["LlamaForCausalLM"],"model_type":"llama""#]
    case .biasesEverywhere:
      (attentionBias, otherBias) = (true, true)
      config += [
        #""architectures":["LlamaForCausalLM"],"model_type":"llama""#,
        #""attention_bias":true,"mlp_bias":true"#,
      ]
    case .qwen2:
      attentionBias = true
      config += [#""architectures":["Qwen2ForCausalLM"],"model_type":"qwen2""#]
    }
    config.append(#""tie_word_embeddings":\#(isTied)"#)
    var random = SplitMix64(seed: 7)
    var entries: [SafetensorsWriter.Entry] = []
    func add(_ name: String, _ shape: [Int]) {
      let values = (0..<shape.reduce(1, *)).map { _ in
        Float(random.next() >> 40) / Float(1 << 24) - 0.5
      }
      entries.append(.init(name: name, shape: shape, floats: values))
    }
    add("model.embed_tokens.weight", [50, hidden])
    for layer in 0..<2 {
      let block = "model.layers.\(layer)."
      let keys = hidden / heads * keyHeads
      for (name, outputs, inputs, hasBias) in [
        ("self_attn.q_proj", hidden, hidden, attentionBias),
        ("self_attn.k_proj", keys, hidden, attentionBias),
        ("self_attn.v_proj", keys, hidden, attentionBias),
        ("self_attn.o_proj", hidden, hidden, attentionBias && otherBias),
        ("mlp.gate_proj", wide, hidden, otherBias), ("mlp.up_proj", wide, hidden, otherBias),
        ("mlp.down_proj", hidden, wide, otherBias),
      ] {
        add("\(block)\(name).weight", [outputs, inputs])
        if hasBias { add("\(block)\(name).bias", [outputs]) }
      }
      add("\(block)input_layernorm.weight", [hidden])
      add("\(block)post_attention_layernorm.weight", [hidden])
    }
    add("model.norm.weight", [hidden])
    if !isTied { add("lm_head.weight", [50, hidden]) }
    try folder.write("config.json", Array("{\(config.joined(separator: ","))}".utf8))
    try SafetensorsWriter.write(
      path: folder.path("model.safetensors"), overwrite: true, metadata: [], tensors: entries)
    return folder.url.path
  }

  private func conversion(_ path: String, _ scheme: Scheme) throws -> Conversion {
    try Conversion(
      source: try SourceModel.open(path: path), policy: QuantizationPolicy(scheme: scheme),
      ignoreUnexpected: true, pool: WorkerPool(threadCount: 2))
  }

  /// Statistics of rows whose elements differ in size by a factor of a thousand.
  private func statistics(of conversion: Conversion) throws -> StatisticsFile {
    let pool = WorkerPool(threadCount: 1)
    let shapes = Dictionary(
      uniqueKeysWithValues: conversion.plan.items.map { ($0.spec.path, $0.spec.shape) })
    let inputs = conversion.source.description.scalableInputs
    let groups = try inputs.map { input in
      let first = try #require(input.matrices.first)
      let width = try #require(shapes[first]?.last)
      return StatisticsGroup(tensors: input.matrices, inputs: width, hasHessian: true)
    }
    let writer = try StatisticsWriter(
      path: folder.path("statistics"), overwrite: true, groups: groups, provenance: .null,
      pool: pool)
    var random = SplitMix64(seed: 3)
    for group in groups {
      let memory = Activations(count: 8 * group.inputs)
      let rows = memory.matrix(rows: 8, columns: group.inputs)
      rows.assign(
        (0..<8 * group.inputs).map { index in
          let size = pow(10, Float(index % group.inputs % 7) / 2 - 1)
          return size * (Float(random.next() >> 40) / Float(1 << 24) - 0.5)
        })
      let found = InputStatistics(inputs: group.inputs, detail: .hessian, kernels: .best)
      found.add(rows, pool: pool)
      try writer.write(group, found)
    }
    try writer.commit()
    return try StatisticsFile.open(path: folder.path("statistics"))
  }

  /// The logits of the language model behind each of some tokens.
  private func logits(_ conversion: Conversion) throws -> [Float] {
    let path = folder.path("f32.vlmz")
    _ = try conversion.run(to: path, overwrite: true) { _, _, _ in }
    let container = try Container.open(path: path)
    let description = conversion.source.description
    let config = try #require(description.language)
    let (kernels, pool) = (try KernelSet.selected(), WorkerPool(threadCount: 2))
    let weights = Weights(ContainerWeights(container), kernels: kernels)
    let model = try LLaMA(description.seesPictures ? weights["language"] : weights, config)
    let context = try LLaMAContext(
      config, capacity: 32, keyValueFormat: .f32, pool: pool, kernels: kernels)
    var found: [Float] = []
    try model.scoreAll(.tokens((0..<21).map { ($0 * 17 + 3) % 50 }), position: 0, context) {
      rows, _ in
      found += rows.array()
    }
    return found
  }

  @Test("a rescaled model computes the same", arguments: Subject.allCases)
  func exact(_ subject: Subject) throws {
    let path = try checkpoint(subject)
    let coded = try conversion(path, .q8)
    let rescaled = try coded.rescaled(by: try statistics(of: coded)).conversion
    let layers = try #require(coded.source.description.language?.layers)
    #expect(rescaled.rescaling.divisors.count == subject.matrices * layers)
    var plain = try conversion(path, .f32)
    let expected = try logits(plain)
    plain.rescaling = rescaled.rescaling
    let found = try logits(plain)
    let largest = expected.reduce(0) { max($0, abs($1)) }
    #expect(largest > 0 && found != expected)
    #expect(maxAbsDifference(found, expected) < 1e-5 * largest)
    let container = try Container.open(path: folder.path("f32.vlmz"))
    let provenance = try #require(try container.section(.provenance))
    let kinds = try JSONValue.parse(provenance)["rescaled"]?.arrayValue?.compactMap(\.stringValue)
    #expect(kinds?.count == subject.matrices)
    #expect(kinds?.contains { $0.hasSuffix("layers.*.mlp.down_proj.weight") } == true)
  }

  @Test("statistics are those of the divided inputs")
  func divided() throws {
    let coded = try conversion(try checkpoint(.qwen2), .q8)
    let plain = try statistics(of: coded)
    let (conversion, found) = try coded.rescaled(by: plain)
    let rescaled = try #require(found)
    #expect(rescaled.fingerprint != plain.fingerprint)
    for group in plain.groups {
      let divisors = try #require(conversion.rescaling.divisors[group.name])
      let (before, after) = (plain.moments(of: group), rescaled.moments(of: group))
      let spread = { (values: [Double]) in (values.max() ?? 0) / (values.min() ?? 1) }
      #expect(spread(after.squares) < spread(before.squares) / 10)
      let (own, divided) = try (
        plain.hessian(of: group, rows: 8, squares: before.squares, isDamped: false),
        rescaled.hessian(of: group, rows: 8, squares: after.squares, isDamped: false)
      )
      for i in 0..<group.inputs {
        let scaled = after.squares[i] * Double(divisors[i] * divisors[i])
        #expect(abs(scaled - before.squares[i]) <= 1e-6 * scaled)
        for j in 0..<group.inputs {
          let place = i * group.inputs + j
          let restored = divided[place] * divisors[i] * divisors[j]
          #expect(abs(restored - own[place]) <= 1e-5 * abs(own[place]))
        }
      }
    }
  }

  @Test("divisors lie around 1, and what is always 0 keeps its size")
  func divisors() throws {
    let found = try #require(Rescaling.divisors([1, 4096, 1.0 / 4096, 0]))
    #expect(found[0] == 1 && found[3] == 1)
    #expect(abs(found[1] - pow(64, 0.3)) < 1e-4 && abs(found[1] * found[2] - 1) < 1e-6)
    #expect(found.allSatisfy { (1 / 16...16).contains($0) })
    #expect(Rescaling.divisors([2, 2, 2]) == nil)
    #expect(Rescaling.divisors([0, 0]) == nil)
  }

  @Test("only matrices in codes are rescaled, and none that a container has in codes")
  func restrictions() throws {
    let path = try checkpoint(.qwen2)
    let coded = try conversion(path, .q8)
    let known = try statistics(of: coded)
    let half = try conversion(path, .f16)
    #expect(try half.rescaled(by: known).conversion.rescaling == Rescaling())
    _ = try coded.run(to: folder.path("q8.vlmz"), overwrite: true) { _, _, _ in }
    let again = try conversion(folder.path("q8.vlmz"), .q4)
    #expect(try again.rescaled(by: known).conversion.rescaling == Rescaling())
    #expect(try coded.rescaled(by: nil).conversion.rescaling == Rescaling())
  }

  @Test("a plan makes the tensors that the budget made")
  func plan() throws {
    let data = folder.path("text.txt")
    try Data(CalibrationFixture.text(words: 400).utf8).write(to: URL(fileURLWithPath: data))
    var options = Converter.Options()
    options.threads = 2
    options.calibration = .init(
      on: [data], tokenCount: 512, statisticsFile: folder.path("kept"))
    options.budget = .bitsPerWeight(7)
    let first = try Converter(opening: CalibrationFixture.stories, options: options)
      .convert(to: folder.path("a.vlmz"))
    #expect(first.json.contains(#""rescaled":["layers.*.mlp.down_proj.weight""#))
    options.budget = nil
    options.planFile = folder.path("a.vlmz")
    try Converter(opening: CalibrationFixture.stories, options: options)
      .convert(to: folder.path("b.vlmz"))
    let (a, b) = try (
      Container.open(path: folder.path("a.vlmz")), Container.open(path: folder.path("b.vlmz"))
    )
    #expect(a.tensors.map(\.checksum) == b.tensors.map(\.checksum))
  }
}
