import VLMTensor

extension ConfigKeys {
  /// `LlavaConfig`.
  static let llava = ConfigKeys(
    free: [
      "text_config", "vision_config", "image_token_index", "image_token_id", "image_seq_length",
      "projector_hidden_act", "vision_feature_select_strategy", "vision_feature_layer",
      "tie_word_embeddings", "image_aspect_ratio", "vocab_size",
      "hidden_size", "ignore_index", "pad_token_id", "attention_bias", "mlp_bias",
      "multimodal_projector_bias",
    ],
    neutral: ["image_grid_pinpoints": [], "use_image_newline_parameter": []])

  /// `LlavaNextConfig` and `LlavaOnevisionConfig`.
  static let llavaTiles = ConfigKeys(
    free: llava.free.union([
      "image_grid_pinpoints", "vision_aspect_ratio", "video_token_index", "video_token_id",
    ]),
    neutral: ["use_image_newline_parameter": [true]])

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
