import Testing
import VLMCheckpoint
import VLMConversion
import VLMImages
import VLMModels
import VLMTensor
import VLMTestSupport
import VLMText
import VLMZ

/// The whole way, checkpoint → container → forward pass, against tensors that upstream's own code
/// computed. Tolerance: 1e-4 of the expected tensor's largest magnitude, at every stage.
struct ConvNeXtGoldenTests {
  static let tolerance: Float = 1e-4

  struct Case: Sendable, CustomTestStringConvertible {
    let folder: String
    /// Checkpoint file or folder, inside `folder`.
    let checkpoint: String
    /// The part of the checkpoint that is the model, where not the default one.
    var state: String?
    /// What the golden's names start with: "a." or "".
    var prefix = ""
    /// Our name → the golden's, where they differ.
    var renamed: [String: String] = [:]
    /// Goldens that this checkpoint is not the source of.
    var only: Set<String>?

    var testDescription: String { "\(folder)/\(checkpoint) \(prefix)" }
  }

  static let cases: [Case] =
    ["a.", "b."].flatMap { prefix in
      [
        Case(folder: "convnext-timm", checkpoint: "fp32", prefix: prefix),
        Case(
          folder: "convnext-timm", checkpoint: "fp16.safetensors", prefix: prefix,
          renamed: ["logits": "logits_fp16_weights"], only: ["logits"]),
        Case(
          folder: "convnext-timm", checkpoint: "bf16.safetensors", prefix: prefix,
          renamed: ["logits": "logits_bf16_weights"], only: ["logits"]),
      ]
    } + [
      Case(folder: "convnext-keys", checkpoint: "timm.safetensors"),
      Case(
        folder: "convnext-keys", checkpoint: "timm-conv-mlp.safetensors",
        renamed: ["logits": "conv_mlp_logits"]),
      Case(folder: "convnext-keys", checkpoint: "hf", renamed: ["logits": "hf_logits"]),
      Case(folder: "convnext-keys", checkpoint: "hf-bin", renamed: ["logits": "hf_logits"]),
      Case(folder: "convnext-keys", checkpoint: "facebook.pth"),
      Case(folder: "convnext-keys", checkpoint: "legacy-nonzip.pth"),
      Case(
        folder: "convnext-keys", checkpoint: "bf16.pth",
        renamed: ["logits": "logits_bf16_weights"], only: ["logits"]),
      Case(folder: "convnext-keys", checkpoint: "training-checkpoint.pth.tar"),
      Case(
        folder: "convnext-keys", checkpoint: "training-checkpoint.pth.tar", state: "state_dict",
        renamed: ["logits": "logits_training_raw"], only: ["logits"]),
      Case(folder: "convnext-keys", checkpoint: "odd-storages.pth"),
      Case(folder: "convnext-keys", checkpoint: "odd-storages-legacy.pth"),
      Case(
        folder: "convnext-keys", checkpoint: "open_clip_pytorch_model.bin",
        renamed: ["logits": "open_clip_embedding"], only: ["logits"]),
      Case(folder: "convnextv2", checkpoint: "facebook.pt"),
      Case(folder: "convnextv2", checkpoint: "timm"),
      Case(
        folder: "convnextv2", checkpoint: "timm-conv-mlp.safetensors",
        renamed: ["logits": "conv_mlp_logits"]),
      Case(folder: "convnextv2", checkpoint: "hf", renamed: ["logits": "hf_logits"]),
    ]
    + [
      "eps-1e-5", "head-norm-first", "kernel-patch2", "mlp-head", "no-bias", "no-classifier",
      "output-stride-16", "overlap-tiered-stem", "relu-act",
    ].map { name in
      Case(
        folder: "convnext-variants", checkpoint: name,
        renamed: [
          "features": "\(name).features",
          (name == "no-classifier" ? "head_norm" : "logits"): "\(name).out",
        ], only: ["features", "logits", "head_norm"])
    }

  /// Blocks run tile by tile or layer by layer; the goldens are small enough for either.
  @Test("f32 agrees with upstream at every stage", arguments: cases, [0, 1 << 40])
  func agrees(_ test: Case, _ wideElements: Int) throws {
    let expected = try Expected(TestFiles.golden("\(test.folder)/expected.safetensors"))
    let folder = try TemporaryFolder()
    let session = try convertedSession(
      TestFiles.golden("\(test.folder)/\(test.checkpoint)"), .f32, in: folder,
      wideElements: wideElements, state: test.state)
    let pixels = try #require(expected.tensor(test.prefix + "pixel_values"))
    let input = PixelTensor(
      height: pixels.shape[2], width: pixels.shape[3], channelsFirst: pixels.values)
    var compared = 0
    _ = try session.run([input]) { seen in
      let (name, (shape, values)) = (seen.name, seen.planar)
      if let only = test.only, !only.contains(name) { return }
      let golden = test.prefix + (test.renamed[name] ?? name)
      guard expected.names.contains(where: { $0 == golden || $0.hasPrefix(golden + "__stride") })
      else { return }
      guard let (want, got) = expected.match(golden, shape: shape, values: values) else {
        Issue.record("\(golden): shape \(shape) does not fit the golden")
        return
      }
      compared += 1
      let difference = maxAbsDifference(got, want.values)
      #expect(
        difference <= Self.tolerance * want.scale, "\(golden): differs by \(difference)")
    }
    let least = test.only == nil ? 8 : (test.only == ["logits"] ? 1 : 2)
    #expect(compared >= least, "compared \(compared) tensors")
  }
}

/// Converts `checkpoint` into `folder` and opens the result.
func convertedSession(
  _ checkpoint: String, _ scheme: Scheme, in folder: TemporaryFolder, threads: Int = 2,
  kernels: KernelSet? = nil, wideElements: Int = ConvNeXtContext.defaultWideElements,
  state: String? = nil, headActivation: HeadActivationOption? = nil
) throws -> Session {
  let output = folder.path("model.vlmz")
  let conversion = try Conversion(
    source: try SourceModel.open(
      path: checkpoint, parts: GivenParts(headActivation: headActivation),
      options: .init(state: state.map { .named($0) } ?? .automatic)),
    policy: QuantizationPolicy(scheme: scheme),
    ignoreUnexpected: false, pool: WorkerPool(threadCount: threads))
  _ = try conversion.run(to: output, overwrite: true) { _, _, _ in }
  return try Session(
    path: output, kernels: try kernels ?? KernelSet.selected(), threads: threads,
    wideElements: wideElements)
}
