import Testing
import VLMModels

/// Where models are found among the names of a checkpoint.
struct ModelPlaceTests {
  private static let language = [
    "model.embed_tokens.weight", "model.layers.0.mlp.gate_proj.weight",
    "model.layers.0.self_attn.q_proj.weight", "model.norm.weight", "lm_head.weight",
  ]
  private static let convNeXt = [
    "stem.0.weight", "stages.0.blocks.0.conv_dw.weight", "stages.0.blocks.0.gamma",
    "head.fc.weight",
  ]
  private static let clip = [
    "vision_model.embeddings.patch_embedding.weight", "vision_model.embeddings.class_embedding",
    "vision_model.post_layernorm.weight", "vision_model.pre_layrnorm.weight",
  ]
  private static let sigLIP = [
    "embeddings.patch_embedding.weight", "embeddings.patch_embedding.bias",
    "embeddings.position_embedding.weight", "post_layernorm.weight", "head.probe",
  ]
  private static let timmSigLIP = [
    "patch_embed.proj.weight", "patch_embed.proj.bias", "pos_embed", "norm.weight",
    "attn_pool.latent",
  ]
  private static let transformersConvNeXt = [
    "convnext.embeddings.patch_embeddings.weight", "classifier.weight", "classifier.bias",
    "convnext.encoder.stages.0.layers.0.dwconv.weight",
  ]

  private static let models = [
    language, convNeXt, clip, sigLIP, timmSigLIP, transformersConvNeXt,
  ]

  private func places(_ names: [String]) -> [String] { ModelPlace.find(names).map(\.prefix) }

  @Test("a model under its own names is at the top, whatever is in it")
  func top() {
    for names in Self.models {
      #expect(places(names) == [""])
    }
    let llava =
      Self.language + ["model.mm_projector.0.weight"] + Self.clip.map { "model.tower.\($0)" }
    #expect(places(llava) == [""])
  }

  @Test("models behind prefixes are found in the order of their first names")
  func prefixes() {
    for names in Self.models {
      let both = names.flatMap { ["student.backbone.\($0)", "ema.module.\($0)"] }
      #expect(places(["epoch"] + both + ["loss.weight"]) == ["student.backbone.", "ema.module."])
    }
    #expect(places(Self.clip.map { "a.\($0)" } + Self.language.map { "b.\($0)" }) == ["a.", "b."])
  }

  @Test("only as deep as training code goes, and not in fewer tensors than a model has")
  func limits() {
    #expect(places(Self.convNeXt.map { "a.b.c.d.e.\($0)" }) == ["a.b.c.d.e."])
    #expect(places(Self.convNeXt.map { "a.b.c.d.e.f.\($0)" }).isEmpty)
    #expect(places(["a.stages.0.blocks.0.conv_dw.weight"]).isEmpty)
    #expect(places([]).isEmpty && places(["", ".", "a."]).isEmpty)
  }

  @Test("averages go by the names that training code gives them")
  func averages() {
    let prefixes = [
      "ema.", "net.ema_model.", "model_ema.module.", "averaged_model.", "emax.", "net.",
    ]
    let isAveraged = prefixes.map { prefix in
      ModelPlace.find(Self.convNeXt.map { prefix + $0 }).first?.isAveraged
    }
    #expect(isAveraged == [true, true, true, true, false, false])
  }
}
