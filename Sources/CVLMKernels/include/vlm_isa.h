// Instruction sets, by which kernels and encoders are chosen.
#ifndef VLM_ISA_H
#define VLM_ISA_H

/// In order of preference on either architecture.
typedef enum vlm_isa {
  VLM_ISA_SCALAR = 0,
  VLM_ISA_SSE41,         // sse4.1 + ssse3: x86-64 without AVX
  VLM_ISA_AVX2,          // avx2 + fma + f16c
  VLM_ISA_AVXVNNI,       // avx2 + avx-vnni: 256-bit dot products without AVX-512
  VLM_ISA_AVX512VNNI,    // avx512 f, bw, vl, dq, vnni
  VLM_ISA_AVX512BF16,    // avx512vnni + avx512 bf16
  VLM_ISA_AMX,           // avx512bf16 + amx-tile, amx-int8, amx-bf16
  VLM_ISA_NEON,          // Armv8.0
  VLM_ISA_NEON_DOTPROD,  // Armv8.2 dot product
  VLM_ISA_NEON_I8MM,     // dot product + int8 matrix multiply
  VLM_ISA_COUNT
} vlm_isa;

/// Who made the processor.
typedef enum vlm_vendor {
  VLM_VENDOR_OTHER = 0,
  VLM_VENDOR_INTEL,
  VLM_VENDOR_AMD, // and Hygon, whose cores are AMD's
} vlm_vendor;

/// By what the processor says of itself; other where it says nothing we know.
vlm_vendor vlm_processor_vendor(void);

/// The highest instruction set that this machine, its operating system included, can run.
vlm_isa vlm_isa_best(void);
/// "scalar" ...; NULL for a value out of range.
const char *vlm_isa_name(vlm_isa isa);

#endif
