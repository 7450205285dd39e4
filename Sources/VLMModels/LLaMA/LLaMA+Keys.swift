import VLMTensor

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
}
