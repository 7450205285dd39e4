import Foundation
import Testing
import VLMCheckpoint
import VLMFoundation
import VLMTensor
import VLMTestSupport

/// Checkpoints written by tools that train, compile or quantize models.
struct WrappedCheckpointTests {
  static let language = TestFiles.fixture("stories260K")
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  private func copy(_ names: [String], from source: String) throws {
    for name in names {
      try FileManager.default.copyItem(atPath: source + "/" + name, toPath: folder.path(name))
    }
  }

  private func write(
    _ path: String, from source: String, _ rename: (String) -> String,
    adding: [SafetensorsWriter.Entry] = []
  ) throws {
    let tensors = try Checkpoint.read(path: source).tensors
    try SafetensorsWriter.write(
      path: path, overwrite: true,
      tensors: try tensors.map {
        .init(name: rename($0.name), shape: $0.shape, floats: try $0.floats())
      } + adding)
  }

  static let wrapped: [(model: String, prefix: String)] = [
    ("stories260K", "module."), ("stories260K", "model."), ("stories260K", "_orig_mod.net."),
    ("upstream/clip", "module._orig_mod."), ("upstream/clip", "net."),
    ("upstream/dinov3", "_fsdp_wrapped_module.backbone."), ("upstream/llava", "module."),
  ]

  @Test("a model is recognised behind the names of what it was trained in", arguments: wrapped)
  func wrappers(model: String, prefix: String) throws {
    let source = TestFiles.fixture(model)
    try copy(["config.json"], from: source)
    if model.hasSuffix("llava") { try writeProcessor() }
    try write(folder.path("model.safetensors"), from: source) { prefix + $0 }
    let (first, second) = (folder.path("first.vlmz"), folder.path("second.vlmz"))
    for (path, out) in [(source, first), (folder.url.path, second)] {
      let outcome = try CommandRunner.convert(
        path, out, "--f32", "-q", "--preprocessor", try writeProcessor())
      try #require(outcome.status == 0, "\(outcome.errors)")
    }
    let outcome = try CommandRunner.convert("diff", first, second)
    #expect(outcome.status == 0, "\(outcome.output)")
  }

  @discardableResult
  private func writeProcessor() throws -> String {
    let text = #"""
      {"crop_size": 32, "size": 32, "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5],
       "image_processor_type": "CLIPImageProcessor"}
      """#
    return try folder.write("preprocessor_config.json", Array(text.utf8))
  }

  private func expectRefusal(
    _ path: String, _ status: Int32 = 65, _ words: String...,
    location: SourceLocation = #_sourceLocation
  ) throws {
    let outcome = try CommandRunner.convert(path, folder.path("out.vlmz"), "-q")
    #expect(outcome.status == status, sourceLocation: location)
    #expect(outcome.errors.split(separator: "\n").count == 1, sourceLocation: location)
    for word in words {
      #expect(outcome.errorLine.contains(word), "\(outcome.errors)", sourceLocation: location)
    }
  }

  @Test("an adapter is refused with the model that it is for, whatever else is in its folder")
  func adapter() throws {
    try folder.write(
      "adapter_config.json", Array(#"{"base_model_name_or_path": "lmsys/vicuna-7b-v1.5"}"#.utf8))
    let names = ["A", "B"].map {
      "base_model.model.model.layers.0.self_attn.q_proj.lora_\($0).weight"
    }
    for file in ["adapter_model.safetensors", "non_lora_trainables.bin"] {
      try SafetensorsWriter.write(
        path: folder.path(file), overwrite: true,
        tensors: names.map { .init(name: $0, shape: [1], floats: [1]) })
      let isLLaVA = file.hasPrefix("non")
      for path in [folder.url.path, folder.path(file)] {
        try expectRefusal(
          path, 65,
          isLLaVA
            ? "scripts/merge_lora_weights.py --model-path \(folder.url.path) --model-base "
              + "lmsys/vicuna-7b-v1.5"
            : "holds an adapter for 'lmsys/vicuna-7b-v1.5'",
          isLLaVA ? "non_lora_trainables.bin" : "merge_and_unload")
      }
    }
    for file in ["adapter_config.json", "non_lora_trainables.bin"] {
      try FileManager.default.removeItem(atPath: folder.path(file))
    }
    try expectRefusal(folder.path("adapter_model.safetensors"), 65, "holds an adapter for a model")
  }

  @Test("a model beside an adapter is converted")
  func modelBesideAdapter() throws {
    try copy(["config.json", "model.safetensors", "tokenizer.model"], from: Self.language)
    try folder.write("adapter_config.json", Array("{}".utf8))
    let outcome = try CommandRunner.convert(folder.url.path, folder.path("out.vlmz"), "-q")
    #expect(outcome.status == 0)
    #expect(outcome.errors.contains("an adapter lies beside the model and is not merged into it"))
  }

  static let quantized: [(tensor: String, stated: String?, kind: String)] = [
    ("qweight", "gptq", "gptq"), ("qweight", nil, "GPTQ or AWQ"), ("SCB", nil, "bitsandbytes"),
    ("weight.absmax", "bitsandbytes", "bitsandbytes"), ("weight_scale_inv", "fp8", "fp8"),
    ("weight_packed", nil, "fp8 or compressed-tensors"), ("W_q", "hqq", "hqq"),
    ("weight._data", nil, "quanto or torchao"), ("scale_weight", nil, "fp8 with scales"),
  ]

  @Test("weights that another tool quantized are refused by its name", arguments: quantized)
  func quantizedElsewhere(tensor: String, stated: String?, kind: String) throws {
    var config = try #require(try TestFiles.json(Self.language + "/config.json").objectValue)
    if let stated { config.set("quantization_config", ["quant_method": .string(stated)]) }
    try folder.write("config.json", Array(JSONValue.object(config).serialized().utf8))
    let name = "model.layers.0.mlp.down_proj." + tensor
    try write(
      folder.path("model.safetensors"), from: Self.language, { $0 },
      adding: [.init(name: name, shape: [1], floats: [1])])
    try expectRefusal(
      folder.url.path, 65, "the weights are quantized (\(kind)), found tensor '\(name)'")
    // The next step, with a name where the model's card or its description has one.
    let end = "f16 or bf16; download"
    try expectRefusal(folder.url.path, 65, "\(end) the model that they were made of")
    config.set("_name_or_path", "meta/other")
    try folder.write("config.json", Array(JSONValue.object(config).serialized().utf8))
    try expectRefusal(
      folder.url.path, 65, "\(end) that, 'meta/other': hf download meta/other --local-dir other")
    for card in ["base_model: me/model", "base_model:\n- me/model", "base_model: \"me/model\""] {
      try folder.write("README.md", Array("---\nlicense: mit\n\(card)\n---\n# It\n".utf8))
      try expectRefusal(folder.url.path, 65, "\(end) that, 'me/model': hf download me/model")
    }
  }

  @Test("a quantization that loading would make of whole weights is refused by name")
  func statedOnly() throws {
    try copy(["model.safetensors", "tokenizer.model"], from: Self.language)
    var config = try #require(try TestFiles.json(Self.language + "/config.json").objectValue)
    config.set("quantization_config", ["quant_method": "bitsandbytes", "load_in_4bit": true])
    try folder.write("config.json", Array(JSONValue.object(config).serialized().utf8))
    try expectRefusal(
      folder.url.path, 65, "quantization_config: found 'bitsandbytes', expected none")
  }

  @Test("a state that no name begins with is refused with what they begin with")
  func state() throws {
    let outcome = try CommandRunner.convert(
      Self.language, folder.path("out.vlmz"), "--state", "ema")
    #expect(outcome.status == 65)
    #expect(
      outcome.errorLine.hasSuffix("no tensor's name begins with 'ema.', expected one of 'model'"))
  }

  @Test("an output that is no file is refused before the work")
  func outputs() throws {
    for (output, status) in [("-", 64), ("/dev/null", 73), (folder.url.path, 73)] {
      let outcome = try CommandRunner.convert(Self.language, output, "--force")
      #expect(outcome.status == Int32(status), "\(output)")
    }
    let model = folder.path("model.vlmz")
    #expect(try CommandRunner.convert(Self.language, model, "-q").status == 0)
    #expect(try CommandRunner.convert("extract", model, "-").status == 64)
    #expect(try CommandRunner.convert("extract", model, "/dev/null", "--force").status == 73)
  }

  @Test("inspect and verify take folders")
  func folders() throws {
    let whole = try CommandRunner.convert("inspect", Self.language, "--json", "--digests")
    let file = Self.language + "/model.safetensors"
    let single = try CommandRunner.convert("inspect", file, "--json", "--digests")
    #expect(whole.status == 0)
    let (a, b) = (
      try JSONValue.parse(Array(whole.output.utf8)), try JSONValue.parse(Array(single.output.utf8))
    )
    #expect(a["tensors"] == b["tensors"])
    #expect(a["bytes"] == b["bytes"])
    #expect(a["file"]?.stringValue == Self.language)
    #expect(try CommandRunner.convert("verify", Self.language).status == 0)
    let sharded = TestFiles.fixture("goldens/convllava-trained/hf-A-safetensors")
    #expect(try CommandRunner.convert("inspect", sharded).status == 0)
    #expect(try CommandRunner.convert("inspect", folder.url.path).status == 66)
  }
}
