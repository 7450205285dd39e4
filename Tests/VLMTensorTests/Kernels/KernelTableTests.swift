import CVLMKernels
import Testing

@Suite("kernel tables")
struct KernelTableTests {
  @Test("the scalar table is always there, and the best set is one that this machine has")
  func scalarAndBest() throws {
    #expect(vlm_kernels_for(VLM_ISA_SCALAR) != nil)
    let best = try #require(vlm_kernels_for(vlm_isa_best()))
    #expect(best.pointee.isa == vlm_isa_best())
  }

  @Test("a table knows its own instruction set and name", arguments: KernelTables.all)
  func identity(name: String) throws {
    let table = try KernelTables.named(name)
    #expect(String(cString: vlm_isa_name(table.isa)) == name)
    #expect(String(cString: table.name) == name)
  }

  @Test("a set stands after those that it extends, so that the last one that runs is the best")
  func order() {
    let x86 = [
      VLM_ISA_SCALAR, VLM_ISA_SSE41, VLM_ISA_AVX2, VLM_ISA_AVXVNNI, VLM_ISA_AVX512VNNI,
      VLM_ISA_AVX512BF16, VLM_ISA_AMX,
    ]
    let arm = [VLM_ISA_SCALAR, VLM_ISA_NEON, VLM_ISA_NEON_DOTPROD, VLM_ISA_NEON_I8MM]
    for sets in [x86, arm] {
      #expect(zip(sets, sets.dropFirst()).allSatisfy { $0.rawValue < $1.rawValue })
    }
  }

  @Test("a value that is no instruction set has no table and no name")
  func outOfRange() {
    #expect(vlm_kernels_for(VLM_ISA_COUNT) == nil)
    #expect(vlm_kernels_for(vlm_isa(rawValue: 1000)) == nil)
    #expect(vlm_isa_name(VLM_ISA_COUNT) == nil)
  }

  @Test("no table has an empty entry", arguments: KernelTables.all)
  func complete(name: String) throws {
    let table = try KernelTables.named(name)
    #expect(table.gemm_scratch_bytes != nil && table.gemm_u8_q8 != nil && table.gemm_u8_q4 != nil)
    #expect(table.gemm_f32_f16 != nil && table.gemm_f32_bf16 != nil && table.epilogue_f32 != nil)
    #expect(table.quantize_rows_u8 != nil && table.layer_norm_f32 != nil)
    #expect(table.simple_norm_f32 != nil)
    #expect(table.depthwise_f32 != nil && table.activation_f32 != nil)
    #expect(table.sum_squares_f32 != nil && table.scale_shift_f32 != nil)
    #expect(table.rms_norm_f32 != nil && table.rotate_half_f32 != nil && table.gate_f32 != nil)
    #expect(table.take_outliers != nil)
    #expect(table.add_outliers_q8 != nil && table.add_outliers_q4 != nil)
    #expect(table.store_keys_values != nil && table.attention_f32 != nil)
    #expect(table.attention_scratch_bytes != nil)
  }

  @Test("panels have the sizes of the documented layouts")
  func layoutSizes() {
    #expect(vlm_panel_count(0) == 0 && vlm_panel_count(16) == 1 && vlm_panel_count(17) == 2)
    #expect(vlm_q8_panel_bytes(0) == 128)
    #expect(vlm_q8_panel_bytes(33) == 2 * 512 + 128)
    #expect(vlm_qn_panel_bytes(4, 32) == 256 + 64 + 128)
    #expect(vlm_qn_panel_bytes(4, 96) == 3 * 256 + 128 + 128)
    #expect(vlm_qn_panel_bytes(3, 96) == 3 * 192 + 128 + 128)
    #expect(vlm_qn_panel_bytes(5, 64) == 2 * 320 + 64 + 128)
    #expect(vlm_qn_panel_bytes(6, 1) == 384 + 64 + 128)
    #expect(vlm_half_panel_bytes(31) == 1024)
  }
}
