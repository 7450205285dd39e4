#if defined(__x86_64__)

#include "../avx512vnni/avx512vnni.h"
#include "avx512bf16.h"

const vlm_kernels vlm_kernels_avx512bf16 = {
    .isa = VLM_ISA_AVX512BF16,
    .name = "avx512bf16",
    .gemm_scratch_bytes = vlm_gemm_scratch_bytes__avx512vnni,
    .gemm_u8_q8 = vlm_gemm_u8_q8__avx512vnni,
    .gemm_u8_q4 = vlm_gemm_u8_q4__avx512vnni,
    .add_outliers_q8 = vlm_add_outliers_q8__avx512vnni,
    .add_outliers_q4 = vlm_add_outliers_q4__avx512vnni,
    .gemm_f32_f16 = vlm_gemm_f32_f16__avx512vnni,
    .gemm_f32_bf16 = vlm_gemm_f32_bf16__avx512vnni,
    .multiply_f32 = vlm_multiply_f32__avx512vnni,
    .epilogue_f32 = vlm_epilogue_f32__avx512vnni,
    .quantize_rows_u8 = vlm_quantize_rows_u8__avx512vnni,
    .layer_norm_f32 = vlm_layer_norm_f32__avx512vnni,
    .depthwise_f32 = vlm_depthwise_f32__avx512vnni,
    .activation_f32 = vlm_activation_f32__avx512vnni,
    .sum_squares_f32 = vlm_sum_squares_f32__avx512vnni,
    .scale_shift_f32 = vlm_scale_shift_f32__avx512vnni,
    .rms_norm_f32 = vlm_rms_norm_f32__avx512vnni,
    .simple_norm_f32 = vlm_simple_norm_f32__avx512vnni,
    .rotate_half_f32 = vlm_rotate_half_f32__avx512vnni,
    .gate_f32 = vlm_gate_f32__avx512vnni,
    .store_keys_values = vlm_store_keys_values__avx512vnni,
    .attention_scratch_bytes = vlm_attention_scratch_bytes__avx512bf16,
    .attention_f32 = vlm_attention_f32__avx512bf16,
};

#endif
