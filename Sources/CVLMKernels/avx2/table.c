#if defined(__x86_64__)

#include "avx2.h"

const vlm_kernels vlm_kernels_avx2 = {
    .isa = VLM_ISA_AVX2,
    .name = "avx2",
    .gemm_scratch_bytes = vlm_gemm_scratch_bytes__avx2,
    .gemm_u8_q8 = vlm_gemm_u8_q8__avx2,
    .gemm_u8_q4 = vlm_gemm_u8_q4__avx2,
    .add_outliers_q8 = vlm_add_outliers_q8__avx2,
    .add_outliers_q4 = vlm_add_outliers_q4__avx2,
    .gemm_f32_f16 = vlm_gemm_f32_f16__avx2,
    .gemm_f32_bf16 = vlm_gemm_f32_bf16__avx2,
    .multiply_f32 = vlm_multiply_f32__avx2,
    .epilogue_f32 = vlm_epilogue_f32__avx2,
    .quantize_rows_u8 = vlm_quantize_rows_u8__avx2,
    .layer_norm_f32 = vlm_layer_norm_f32__avx2,
    .depthwise_f32 = vlm_depthwise_f32__avx2,
    .activation_f32 = vlm_activation_f32__avx2,
    .sum_squares_f32 = vlm_sum_squares_f32__avx2,
    .scale_shift_f32 = vlm_scale_shift_f32__avx2,
    .rms_norm_f32 = vlm_rms_norm_f32__avx2,
    .simple_norm_f32 = vlm_simple_norm_f32__avx2,
    .rotate_half_f32 = vlm_rotate_half_f32__avx2,
    .gate_f32 = vlm_gate_f32__avx2,
    .store_keys_values = vlm_store_keys_values__avx2,
    .attention_scratch_bytes = vlm_attention_scratch_bytes__avx2,
    .attention_f32 = vlm_attention_f32__avx2,
};

#endif
