import VLMTensor

extension ConfigKeys {
  /// `CLIPVisionConfig`, `CLIPTextConfig`, and the `CLIPConfig` around both.
  static let clip = ConfigKeys(
    free: [
      "hidden_size", "intermediate_size", "projection_dim", "num_hidden_layers",
      "num_attention_heads", "num_channels", "image_size", "patch_size", "hidden_act",
      "layer_norm_eps", "vocab_size", "max_position_embeddings", "text_config", "vision_config",
      "text_config_dict", "vision_config_dict", "logit_scale_init_value", "image_processor",
    ],
    neutral: [
      "layer_scale_init_value": [], "num_register_tokens": [0],
      "use_head": [], "vision_use_head": [], "use_mask_token": [],
    ])

  /// `model_cfg` of open_clip.
  static let openCLIP = ConfigKeys(
    free: [
      "embed_dim", "vision_cfg", "text_cfg", "quick_gelu", "custom_text", "init_logit_scale",
      "cast_dtype", "output_dict", "nonscalar_logit_scale", "init_logit_bias",
    ],
    neutral: ["multimodal_cfg": []], isClosed: true)

  /// `CLIPVisionCfg` of open_clip's own transformer.
  static let openCLIPVision = ConfigKeys(
    free: [
      "layers", "width", "head_width", "mlp_ratio", "patch_size", "image_size", "patch_dropout",
      "attn_pooler_queries", "attn_pooler_heads", "output_tokens", "timm_model_name",
      "timm_model_pretrained", "timm_pool", "timm_proj", "timm_proj_bias", "timm_drop",
      "timm_drop_path",
    ],
    neutral: ["pool_type": ["tok"], "pos_embed_type": ["learnable"]], isClosed: true)

  /// The same of a model of timm's, of which open_clip reads nothing else.
  static let openCLIPTimm = ConfigKeys(
    free: openCLIPVision.free.union([
      "pool_type", "pos_embed_type", "ls_init_value", "attentional_pool", "no_ln_pre",
      "final_ln_after_pool", "act_kwargs", "norm_kwargs", "block_type", "qk_norm",
      "scaled_cosine_attn", "scale_heads", "scale_attn_inner", "scale_attn", "scale_fc",
      "global_average_pool", "input_patchnorm",
    ]).subtracting(["timm_pool"]),
    neutral: ["timm_pool": ["avg"]], isClosed: true)

  /// The same of a ViT of timm's.
  static let openCLIPTimmViT = ConfigKeys(
    free: openCLIPTimm.free.subtracting(["timm_proj"]),
    neutral: ["timm_pool": ["token", "avg"], "timm_proj": ["none"]], isClosed: true)

  /// `CLIPTextCfg`.
  static let openCLIPText = ConfigKeys(
    free: [
      "context_length", "vocab_size", "width", "heads", "layers", "mlp_ratio", "pad_id", "eos_id",
      "output_tokens", "hf_tokenizer_name", "tokenizer_mode", "tokenizer_kwargs",
      "hf_model_pretrained", "hf_proj_type", "hf_pooler_type", "hf_tokenizer_kwargs",
      "no_causal_mask", "proj_bias", "norm_kwargs", "act_kwargs",
    ],
    neutral: ["pool_type": ["argmax", "last"], "proj_type": ["linear"]], isClosed: true)
}
