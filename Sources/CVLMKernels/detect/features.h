// What this machine can run: the only place that asks the processor and the operating system.
// The kernels, the encoders, the decoders of GGUF and the conversions of halves choose by it.
#ifndef VLM_FEATURES_H
#define VLM_FEATURES_H

#include "../include/vlm_kernels.h"

/// A group of instructions that the processor has and whose registers the operating system saves.
enum {
  VLM_FEATURE_AVX2 = 1 << 0,       // with FMA and F16C
  VLM_FEATURE_AVXVNNI = 1 << 1,    // 256-bit dot products of bytes
  VLM_FEATURE_AVX512 = 1 << 2,     // F, BW, VL, DQ
  VLM_FEATURE_AVX512VNNI = 1 << 3,
  VLM_FEATURE_AVX512BF16 = 1 << 4,
  VLM_FEATURE_AMX = 1 << 5,        // tiles with products of bytes and of bf16
  VLM_FEATURE_NEON = 1 << 6,
  VLM_FEATURE_DOTPROD = 1 << 7,    // NEON's dot products of bytes
  VLM_FEATURE_I8MM = 1 << 8,       // NEON's matrix products of bytes
  VLM_FEATURE_SSE41 = 1 << 9,      // with SSSE3
};

/// All features of this machine. Detected by the first call and kept; callable from any thread.
unsigned vlm_machine_features(void);

/// Whether this machine has all of some features.
static inline bool vlm_machine_has(unsigned features) {
  return (vlm_machine_features() & features) == features;
}

/// The features that the kernels of an instruction set use; 0 for scalar.
unsigned vlm_isa_features(vlm_isa isa);

/// Asks the machine: x86.c, arm64.c.
unsigned vlm_detect_features(void);

#endif
