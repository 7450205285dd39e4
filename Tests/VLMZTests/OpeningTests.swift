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

/// What keeps a container from being opened, found without opening it; and contexts as large as the
/// memory lets them be.
@Suite("What a session would refuse")
struct OpeningTests {
  let folder: TemporaryFolder
  private var path: String { folder.path("case.vlmz") }

  init() throws { folder = try TemporaryFolder() }

  private func defects(_ model: SmallModel) throws -> [String] {
    try model.write(path)
    let container = try Container.open(path: path)
    #expect(try container.verify(strict: true).isEmpty)
    return container.contentDefects().map(\.description)
  }

  @Test(
    "a sound model has no defects",
    arguments: [
      "convnext", "clip-vit", "open-clip", "llama-q4", "llava", "llava-hr", "clip-model",
    ])
  func sound(_ name: String) throws {
    #expect(try defects(try SmallModel(name)) == [])
  }

  @Test("garbage in a section is a defect, whatever the section is")
  func garbage() throws {
    for name in ["convnext", "llama-bf16", "llava"] {
      let model = try SmallModel(name)
      for part in ["config", "preprocess", "labels", "generation", "template"]
      where model.parts[part] != nil {
        for value: JSONValue in ["{", "[]]", "\u{1}", 7] {
          let found = try defects(model.with(part, value))
          #expect(!found.isEmpty, "\(name): \(part) \(value)")
          #expect(found.allSatisfy { $0.hasPrefix(path) && !$0.contains("\n") })
        }
      }
    }
    var model = try SmallModel("llama-bf16")
    model.tokenizer = [1, 2, 3]
    #expect(try defects(model).count == 1)
  }

  @Test("a chat template that cannot be parsed or is too large is a defect, each by its name")
  func templates() throws {
    let long = String(repeating: "a", count: JinjaLimits().maximumSourceBytes + 1)
    for source in ["{% if %}", "{{ messages", "{% include 'a' %}", long] {
      let programs = ChatTemplates([
        .init(name: "default", source: "{{ bos_token }}"), .init(name: "tools", source: source),
      ])
      let model = try SmallModel("llama-bf16").with("template", programs.json)
      let found = try defects(model)
      #expect(found.count == 1, "\(found)")
      #expect(found.allSatisfy { $0.hasPrefix("\(path): chat template 'tools': ") }, "\(found)")
    }
  }

  @Test("every defect is found, not the first alone")
  func several() throws {
    var model = try SmallModel("convnext").with("preprocess.filter", "sinc")
      .with("labels", ["one"])
    model.tensors[0] = TensorSpec(
      path: model.tensors[0].path, shape: [1] + model.tensors[0].shape, role: .vector)
    let found = try defects(model)
    #expect(found.count == 3, "\(found)")
    for part in [model.tensors[0].path, "labels", "sinc"] {
      #expect(found.contains { $0.contains(part) }, "\(part): \(found)")
    }
  }

  @Test("what a session refuses is a defect, and what it opens is none")
  func agreement() throws {
    let cases: [(String, String, JSONValue)] = [
      ("llama-bf16", "config.llama.layers", 0), ("llama-bf16", "config.llama.heads", 3),
      ("llama-bf16", "generation.top_p", 2), ("llama-bf16", "generation.stop_tokens", "none"),
      ("llama-bf16", "config.llama.vocabulary", 7), ("llava", "preprocess", .null),
      ("clip-vit", "config.architecture", "convnext"), ("convnext", "preprocess.crop.width", 0),
    ]
    for (name, field, value) in cases {
      let model = try SmallModel(name).with(field, value)
      #expect(try !defects(model).isEmpty, "\(name): \(field)")
      #expect(throws: (any Error).self) {
        if name == "convnext" || name == "clip-vit" {
          _ = try Session(path: path, kernels: .best, threads: 1)
        } else {
          _ = try LoadedModel(path: path, kernels: .best, threads: 1, contextLength: 32)
        }
      }
    }
  }

  @Test("a context that the memory has no room for names one that it has")
  func context() throws {
    let config = LLaMAConfig(
      vocabulary: 100, hidden: 4096, layers: 1000, heads: 32, keyValueHeads: 32,
      headDimension: 128, feedForward: 64, epsilon: 1e-5, contextLength: 1 << 24)
    let pool = WorkerPool(threadCount: 1)
    let error = thrownError(ModelError.self) {
      try LLaMAContext(config, capacity: 1 << 24, pool: pool, kernels: .best)
    }
    guard case .memory(let what, let needed, let limit, let remedy)? = error?.problem else {
      Issue.record("\(String(describing: error))")
      return
    }
    #expect(what == "a context of \(1 << 24) positions")
    #expect(needed ?? .max > Machine.memory.planned)
    #expect(limit == Machine.memory.text)
    #expect(error?.exitStatus == .osError)
    let fitting = try #require(
      LLaMAContext.capacity(
        fitting: Machine.memory.planned, atMost: 1 << 24, config, format: .f16, threads: 1))
    #expect(remedy == .shorterContext(fitting))
  }

  @Test("the most positions that fit are found, in round numbers")
  func capacity() throws {
    let config = LLaMAConfig(
      vocabulary: 100, hidden: 64, layers: 4, heads: 4, keyValueHeads: 4, headDimension: 16,
      feedForward: 64, epsilon: 1e-5, contextLength: 4096)
    func capacity(_ bytes: Int, _ limit: Int) -> Int? {
      LLaMAContext.capacity(fitting: bytes, atMost: limit, config, format: .f16, threads: 1)
    }
    #expect(capacity(1 << 30, 4096) == 4096)
    #expect(capacity(1 << 30, 100) == 100)
    #expect(capacity(1000, 4096) == nil)
    let pool = WorkerPool(threadCount: 1)
    let whole = try LLaMAContext(config, capacity: 4096, pool: pool, kernels: .best).byteCount
    let part = try #require(capacity(whole * 3 / 4, 4096))
    #expect(part % 64 == 0 && part > 1024 && part < 4096)
    let made = try LLaMAContext(config, capacity: part, pool: pool, kernels: .best).byteCount
    let more = try LLaMAContext(config, capacity: part + 64, pool: pool, kernels: .best).byteCount
    #expect(made <= whole * 3 / 4 && more > whole * 3 / 4)
  }

  @Test("a small input runs in a context that was planned for one too large for the wide path")
  func smallerInput() throws {
    var small = try SmallModel("convnext")
    for (index, spec) in small.tensors.enumerated() {
      small.fillings[spec.path] = Float(index % 5 + 1) / 64
    }
    try small.write(path)
    let container = try Container.open(path: path)
    guard let config = try container.modelDescription().config as? ConvNeXtConfig else {
      Issue.record("a ConvNeXt")
      return
    }
    let kernels = KernelSet.best
    let model = try ConvNeXt(Weights(ContainerWeights(container), kernels: kernels), config)
    let pool = WorkerPool(threadCount: 2)
    func shape(_ side: Int) -> FeatureShape {
      FeatureShape(batch: 1, height: side, width: side, channels: config.inputChannels)
    }
    // Blocks of the small input are wide, those of the large one are not.
    let limit = (config.stages.first?.hidden ?? 0) * 64
    let context = try ConvNeXtContext(
      config, capacity: shape(256), pool: pool, kernels: kernels, wideElements: limit)
    let own = try ConvNeXtContext(
      config, capacity: shape(32), pool: pool, kernels: kernels, wideElements: limit)
    var answers: [[UInt32]] = []
    for context in [context, own] {
      let input = context.input(shape(32))
      input.assign((0..<32 * 32 * config.inputChannels).map { Float($0 % 7) - 3 })
      answers.append(try model(shape(32), context).embedding.map(\.bitPattern))
    }
    #expect(answers[0] == answers[1])
  }
}
