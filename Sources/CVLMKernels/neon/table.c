#if defined(__aarch64__)

#include "neon.h"

const vlm_kernels vlm_kernels_neon = {
    .isa = VLM_ISA_NEON,
    .name = "neon",
    .gemm_scratch_bytes = vlm_gemm_scratch_bytes__neon,
    .gemm_u8_q8 = vlm_gemm_u8_q8__neon,
    .gemm_u8_q4 = vlm_gemm_u8_q4__neon,
    .add_outliers_q8 = vlm_add_outliers_q8__neon,
    .add_outliers_q4 = vlm_add_outliers_q4__neon,
    .gemm_f32_f16 = vlm_gemm_f32_f16__neon,
    .gemm_f32_bf16 = vlm_gemm_f32_bf16__neon,
    .multiply_f32 = vlm_multiply_f32__neon,
    .epilogue_f32 = vlm_epilogue_f32__neon,
    .quantize_rows_u8 = vlm_quantize_rows_u8__neon,
    .layer_norm_f32 = vlm_layer_norm_f32__neon,
    .depthwise_f32 = vlm_depthwise_f32__neon,
    .activation_f32 = vlm_activation_f32__neon,
    .sum_squares_f32 = vlm_sum_squares_f32__neon,
    .scale_shift_f32 = vlm_scale_shift_f32__neon,
    .rms_norm_f32 = vlm_rms_norm_f32__neon,
    .simple_norm_f32 = vlm_simple_norm_f32__neon,
    .rotate_half_f32 = vlm_rotate_half_f32__neon,
    .gate_f32 = vlm_gate_f32__neon,
    .store_keys_values = vlm_store_keys_values__neon,
    .attention_scratch_bytes = vlm_attention_scratch_bytes__neon,
    .attention_f32 = vlm_attention_f32__neon,
};

#endif
