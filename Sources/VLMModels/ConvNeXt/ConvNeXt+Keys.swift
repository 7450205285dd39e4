import VLMTensor

extension ConfigKeys {
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
    free: timmModel.union([
      "global_pool", "output_stride", "depths", "dims", "kernel_sizes", "ls_init_value",
      "stem_type", "patch_size", "head_init_scale", "head_norm_first", "head_hidden_size",
      "conv_mlp", "conv_bias", "use_grn", "act_layer", "norm_layer", "norm_eps",
      "features_only", "img_size",
    ]),
    neutral: [:], isClosed: true)
}
