import Foundation
import Testing
import VLMCheckpoint
import VLMContainer
import VLMFoundation
import VLMTensor
import VLMTestSupport

/// A file that `extract` wrote holds the whole model: it can be compared and converted alone.
@Suite("Extracted models", .serialized)
struct ExtractedModelTests {
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  private func run(_ arguments: String...) throws {
    let outcome = try CommandRunner.run("vlm-convert", arguments)
    try #require(outcome.status == 0, "\(arguments): \(outcome.output)\(outcome.errors)")
  }

  private func expectSame(_ a: String, _ b: String) throws {
    for (first, second) in [(a, b), (b, a)] {
      let outcome = try CommandRunner.convert("diff", first, second)
      #expect(outcome.status == 0, "\(first) \(second): \(outcome.output)\(outcome.errors)")
    }
  }

  /// Everything but the weights, what is known of their origin and the report.
  private func sections(_ path: String) throws -> [SectionKind: [UInt8]] {
    let container = try Container.open(path: path)
    var result: [SectionKind: [UInt8]] = [:]
    for section in container.sections
    where ![.tensorData, .tensorIndex, .provenance, .report].contains(section.kind) {
      result[section.kind] = try container.section(section.kind)
    }
    return result
  }

  private func roundTrip(_ source: String, isRenamed: Bool = true) throws {
    let (model, again) = (folder.path("model.vlmz"), folder.path("again.vlmz"))
    try run(source, model, "--f32", "-q", "--force", "--ignore-unexpected")
    try expectSame(source, model)
    for option in isRenamed ? ["--dtype=f32", "--own-names"] : ["--own-names"] {
      // A name that says nothing, in a folder with nothing else of the model.
      let extracted = folder.path("extracted.safetensors")
      try run("extract", model, extracted, option, "-q", "--force")
      try expectSame(model, extracted)
      try expectSame(source, extracted)
      try run(extracted, again, "--f32", "-q", "--force")
      try expectSame(model, again)
      #expect(try sections(model) == sections(again), "\(source) \(option)")
    }
  }

  static let fixtures = [
    "convnext-cifar10", "goldens/convllava-trained/hf-A-safetensors", "stories260K",
    "upstream/clip", "upstream/llava", "upstream/llava-current", "upstream/torchvision.pth",
    "goldens/convnextv2/timm",
  ]

  @Test("a model is the same after it was extracted, alone", arguments: fixtures)
  func extracted(path: String) throws { try roundTrip(TestFiles.fixture(path)) }

  static let goldens = [
    "clip-vit/hf", "openclip-convnext", "convnextv2/hf", "convnext-timm/fp32",
    "convnext-keys/hf", "convnext-keys/facebook.pth", "convnext-keys/training-checkpoint.pth.tar",
    "convnext-keys/open_clip_pytorch_model.bin", "convnext-variants/overlap-tiered-stem",
    "convllava-4stage/hf-A-safetensors", "convllava-4stage/hf-B-bin", "convllava-5stage/hf-A-bin",
    "llava-hr/hf-bin", "llava-hr-x/hf-safetensors", "llava-hr-frozen/hf-safetensors",
    "llava-hr-trained/hf-bin",
  ]

  @Test("every family of models is the same after it was extracted, alone", arguments: goldens)
  func families(path: String) throws { try roundTrip(TestFiles.golden(path)) }

  private func extract(_ options: String...) throws -> String {
    let (model, out) = (folder.path("model.vlmz"), folder.path("out.safetensors"))
    try run(
      TestFiles.fixture("goldens/convllava-trained/hf-A-safetensors"), model, "--q8", "-q",
      "--force")
    let outcome = try CommandRunner.run(
      "vlm-convert", ["extract", model, out, "-q", "--force"] + options)
    try #require(outcome.status == 0, "\(outcome.errors)")
    return out
  }

  @Test("options that name parts of a checkpoint are refused for an extracted file")
  func partOptions() throws {
    let out = try extract()
    for option in ["--vision-tower", "--vision-tower-slow", "--model-base"] {
      let outcome = try CommandRunner.convert(out, folder.path("x.vlmz"), option, "/tmp")
      #expect(outcome.status == 64)
      #expect(outcome.errorLine.contains("the file holds every part"), "\(outcome.errors)")
    }
  }

  @Test("a file of codes is refused with what to do")
  func codes() throws {
    let out = try extract("--codes")
    let outcome = try CommandRunner.convert(out, folder.path("x.vlmz"))
    #expect(outcome.status == 65)
    #expect(
      outcome.errorLine
        == "vlm-convert: \(out): holds the codes of a container, found '….codes' and '….scales', "
        + "expected values; extract without --codes")
  }

  /// The extracted file with other metadata.
  private func rewrite(
    _ change: (String, String) -> String?, adding: [(key: String, value: String)] = [],
    without dropped: String? = nil
  ) throws -> String {
    let catalog = try SafetensorsFile.read(path: try extract())
    let path = folder.path("changed.safetensors")
    try SafetensorsWriter.write(
      path: path, overwrite: true,
      metadata: catalog.metadata.compactMap { key, value in
        change(key, value).map { (key: key, value: $0) }
      } + adding,
      tensors: catalog.tensors.filter { $0.name != dropped }.map { .init($0) })
    return path
  }

  @Test("metadata that contradict themselves are an error that names the key")
  func damaged() throws {
    let cases = [
      ("vlmz.config", "{", "metadata: the value of 'vlmz.config' cannot be read"),
      ("vlmz.config", "{}", "metadata: config: architecture: found nothing"),
      ("vlmz.tokenizer", "AAA", "metadata: the value of 'vlmz.tokenizer' cannot be read"),
      ("vlmz.tokenizer", "AAAA", "metadata: tokenizer: header"),
      ("vlmz.preprocess", "{}", "metadata: 'pad': missing"),
      ("vlmz.preprocess", "[", "metadata: the value of 'vlmz.preprocess' cannot be read"),
      ("vlmz.labels", "[1]", "metadata: the value of 'vlmz.labels' cannot be read"),
      ("vlmz.generation_config", "{}", "metadata: config: generation."),
      ("vlmz.chat_template", #"{"template": "none of ours"}"#, "metadata: chat template"),
    ]
    for (changed, text, expected) in cases {
      let path = try rewrite(
        { key, value in key == changed ? nil : value }, adding: [(changed, text)])
      let outcome = try CommandRunner.convert(path, folder.path("x.vlmz"))
      #expect(outcome.status == 65)
      #expect(outcome.errorLine.contains(expected), "\(outcome.errors)")
    }
  }

  @Test("without its description, or without a tensor of it, the file is like any other")
  func undescribed() throws {
    for path in [
      try rewrite { key, value in key == "vlmz.config" ? nil : value },
      try rewrite({ $1 }, without: "lm_head.weight"),
    ] {
      let outcome = try CommandRunner.convert(path, folder.path("x.vlmz"))
      #expect(outcome.status == 65)
      #expect(outcome.errorLine.contains("config.json: found none"), "\(outcome.errors)")
    }
  }

  @Test("without config.json a checkpoint is matched by the names that the container keeps")
  func byOriginalNames() throws {
    let path = try rewrite { _, _ in nil }
    let outcome = try CommandRunner.convert("diff", folder.path("model.vlmz"), path)
    #expect(outcome.status == 0, "\(outcome.output)")
  }

  @Test("a model without a tokenizer in its file takes the one beside it")
  func tokenizerBeside() throws {
    let path = try rewrite { key, value in key == "vlmz.tokenizer" ? nil : value }
    try run(path, folder.path("first.vlmz"), "-q")
    #expect(try sections(folder.path("first.vlmz"))[.tokenizer] == nil)
    for name in ["tokenizer.model", "tokenizer_config.json"] {
      try FileManager.default.copyItem(
        atPath: TestFiles.fixture("goldens/convllava-trained/hf-A-safetensors/" + name),
        toPath: folder.path(name))
    }
    try run(path, folder.path("second.vlmz"), "-q")
    #expect(try sections(folder.path("second.vlmz")) == sections(folder.path("model.vlmz")))
  }
}
