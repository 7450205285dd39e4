import VLMTensor

// The keys of the families' classes: those of transformers 4 and 5, timm 1 and open_clip 3.

extension ConfigKeys {
  /// `LlamaConfig`, `MistralConfig`, `Qwen2Config`, and what the LLaVAs of upstream's code have
  /// beside it in the same object.
  static let llama = ConfigKeys(
    free: [
      "vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
      "num_key_value_heads", "hidden_act", "max_position_embeddings", "max_sequence_length",
      "rms_norm_eps", "tie_word_embeddings", "rope_theta", "rope_scaling", "rope_parameters",
      "attention_bias", "mlp_bias", "head_dim", "sliding_window", "use_sliding_window",
      "layer_types", "max_window_layers",
      // How a sum is ordered, and in which type softmax is computed.
      "pretraining_tp", "attention_softmax_in_fp32",
      // Read where a LLaVA is recognised, or settings of its training.
      "mm_vision_tower", "mm_projector_type", "mm_hidden_size", "mm_vision_select_layer",
      "mm_vision_select_feature", "mm_use_im_start_end", "mm_use_im_patch_token",
      "vision_tower_slow", "is_multipath_encoder", "input_image_size", "image_aspect_ratio",
      // Used with tiles only, which `image_aspect_ratio` would have to ask for.
      "image_grid_pinpoints", "image_crop_resolution", "image_split_resolution",
    ],
    neutral: [
      "partial_rotary_factor": [1], "mm_patch_merge_type": ["flat"], "mm_resampler_type": [],
      "s2": [], "s2_scales": [], "mm_newline_position": [], "mm_spatial_pool_mode": [],
      "mm_spatial_pool_stride": [1], "dim_model_base": [], "embedding_multiplier": [1],
      "lm_head_multiplier": [1], "query_pre_attn_scalar": [], "unpadded_vocab_size": [],
      "norm_type": ["rms_norm", "rmsnorm", "RMSNorm"], "position_embedding_type": ["rope"],
    ])

  /// One object about the rotation: `rope_scaling`, `rope_parameters`.
  static let rotation = ConfigKeys(
    free: [
      "type", "rope_type", "rope_theta", "factor", "original_max_position_embeddings",
      "low_freq_factor", "high_freq_factor", "attention_factor", "beta_fast", "beta_slow", "mscale",
      "mscale_all_dim", "truncate", "finetuned", "max_position_embeddings",
    ],
    neutral: ["partial_rotary_factor": [1]], isClosed: true)

  /// `LlavaNextConfig` and `LlavaOnevisionConfig`.
  static let llavaTiles = ConfigKeys(
    free: llava.free.union([
      "image_grid_pinpoints", "vision_aspect_ratio", "video_token_index", "video_token_id",
    ]),
    neutral: ["use_image_newline_parameter": [true], "multimodal_projector_bias": [true]])

  /// `LlavaConfig`.
  static let llava = ConfigKeys(
    free: [
      "text_config", "vision_config", "image_token_index", "image_token_id", "image_seq_length",
      "projector_hidden_act", "vision_feature_select_strategy", "vision_feature_layer",
      "tie_word_embeddings", "image_aspect_ratio", "vocab_size",
      "hidden_size", "ignore_index", "pad_token_id", "attention_bias", "mlp_bias",
    ],
    neutral: [
      "image_grid_pinpoints": [], "use_image_newline_parameter": [],
      "multimodal_projector_bias": [true],
    ])

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

  /// `ConvNextConfig`, `ConvNextV2Config`, `DINOv3ConvNextConfig`.
  static let convNeXt = ConfigKeys(
    free: [
      "num_channels", "patch_size", "num_stages", "hidden_sizes", "depths", "hidden_act",
      "layer_norm_eps", "layer_scale_init_value", "drop_path_rate", "image_size", "stage_names",
      "out_features", "out_indices", "reshape_hidden_states",
    ],
    neutral: ["num_register_tokens": [0]])

  /// The arguments of timm's `ConvNeXt`, which takes no others.
  static let timm = ConfigKeys(
    free: [
      "in_chans", "num_classes", "global_pool", "output_stride", "depths", "dims", "kernel_sizes",
      "ls_init_value", "stem_type", "patch_size", "head_init_scale", "head_norm_first",
      "head_hidden_size", "conv_mlp", "conv_bias", "use_grn", "act_layer", "norm_layer",
      "norm_eps", "drop_rate", "drop_path_rate", "device", "dtype",
      // Taken by `create_model` itself.
      "pretrained", "pretrained_cfg", "pretrained_cfg_overlay", "checkpoint_path", "cache_dir",
      "scriptable", "exportable", "no_jit", "features_only", "img_size", "pretrained_strict",
    ],
    neutral: [:], isClosed: true)

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

  /// What GGUF has under the name of a language model's architecture.
  static let gguf = ConfigKeys(
    free: [
      "vocab_size", "context_length", "embedding_length", "block_count", "feed_forward_length",
      "expert_used_count", "tensor_data_layout", "attention.head_count", "attention.head_count_kv",
      "attention.key_length", "attention.value_length", "attention.layer_norm_rms_epsilon",
      "attention.layer_norm_epsilon", "attention.sliding_window", "expert_count",
      "rope.dimension_count", "rope.freq_base", "rope.scale_linear",
      "rope.scaling.type", "rope.scaling.factor", "rope.scaling.attn_factor",
      "rope.scaling.original_context_length", "rope.scaling.finetuned",
      "rope.scaling.yarn_beta_fast", "rope.scaling.yarn_beta_slow",
    ],
    neutral: [
      "attention.causal": [true], "logit_scale": [0, 1], "residual_scale": [0, 1],
      "embedding_scale": [0, 1], "attention.scale": [0], "pooling_type": [0],
      "rope.scaling.yarn_ext_factor": [1], "rope.scaling.yarn_attn_factor": [1],
    ], isClosed: true)

  /// What a vision half in GGUF has under "clip".
  static let ggufVision = ConfigKeys(
    free: [
      "projector_type", "has_vision_encoder", "has_text_encoder", "has_llava_projector", "use_gelu",
      "vision.projector_type", "vision.image_size", "vision.patch_size", "vision.embedding_length",
      "vision.feed_forward_length", "vision.projection_dim", "vision.block_count",
      "vision.attention.head_count", "vision.attention.layer_norm_epsilon", "vision.image_mean",
      "vision.image_std", "vision.feature_layer", "vision.image_aspect_ratio",
      "vision.image_crop_resolution", "vision.mm_patch_merge_type", "vision.image_grid_pinpoints",
      "vision.image_split_resolution", "vision.mm_projector_type",
    ],
    neutral: [:])
}
