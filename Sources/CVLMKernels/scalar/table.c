#include "scalar.h"

size_t vlm_gemm_scratch_bytes__scalar(size_t inputs) {
  (void)inputs;
  return 0;
}

const vlm_kernels vlm_kernels_scalar = {
    .isa = VLM_ISA_SCALAR,
    .name = "scalar",
    .gemm_scratch_bytes = vlm_gemm_scratch_bytes__scalar,
    .gemm_u8_q8 = vlm_gemm_u8_q8__scalar,
    .gemm_u8_q4 = vlm_gemm_u8_q4__scalar,
    .add_outliers_q8 = vlm_add_outliers_q8__scalar,
    .add_outliers_q4 = vlm_add_outliers_q4__scalar,
    .gemm_f32_f16 = vlm_gemm_f32_f16__scalar,
    .gemm_f32_bf16 = vlm_gemm_f32_bf16__scalar,
    .multiply_f32 = vlm_multiply_f32__scalar,
    .epilogue_f32 = vlm_epilogue_f32__scalar,
    .quantize_rows_u8 = vlm_quantize_rows_u8__scalar,
    .layer_norm_f32 = vlm_layer_norm_f32__scalar,
    .depthwise_f32 = vlm_depthwise_f32__scalar,
    .activation_f32 = vlm_activation_f32__scalar,
    .sum_squares_f32 = vlm_sum_squares_f32__scalar,
    .scale_shift_f32 = vlm_scale_shift_f32__scalar,
    .rms_norm_f32 = vlm_rms_norm_f32__scalar,
    .simple_norm_f32 = vlm_simple_norm_f32__scalar,
    .rotate_half_f32 = vlm_rotate_half_f32__scalar,
    .gate_f32 = vlm_gate_f32__scalar,
    .store_keys_values = vlm_store_keys_values__scalar,
    .attention_scratch_bytes = vlm_attention_scratch_bytes__scalar,
    .attention_f32 = vlm_attention_f32__scalar,
};
